//! What a section of `storage.cfg` may and must hold, by type of storage (pve-storage 9.2).

/// The options of one type.
#[derive(Debug)]
pub struct Options {
    /// Content types that fit, `none` among them if it may be nothing.
    pub contents: &'static [&'static str],
    /// Content types if none are given.
    pub usual: &'static [&'static str],
    /// Must be given once, and never change.
    pub fixed: &'static [&'static str],
    /// May be given once, and never change.
    pub fixed_optional: &'static [&'static str],
    /// May be given and changed.
    pub optional: &'static [&'static str],
}

const FILES: &[&str] = &["backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl"];
const FILES_OR_NONE: &[&str] = &["backup", "images", "import", "iso", "none", "rootdir", "snippets", "vztmpl"];
const GUESTS: &[&str] = &["images", "rootdir"];

const DIR: Options = Options {
    contents: FILES_OR_NONE,
    usual: GUESTS,
    fixed: &["path"],
    fixed_optional: &[],
    optional: &[
        "bwlimit",
        "content",
        "content-dirs",
        "create-base-path",
        "create-subdirs",
        "disable",
        "format",
        "is_mountpoint",
        "max-protected-backups",
        "maxfiles",
        "mkdir",
        "nodes",
        "preallocation",
        "prune-backups",
        "shared",
        "snapshot-as-volume-chain",
    ],
};
const ZFSPOOL: Options = Options {
    contents: GUESTS,
    usual: GUESTS,
    fixed: &["pool"],
    fixed_optional: &[],
    optional: &["blocksize", "bwlimit", "content", "disable", "mountpoint", "nodes", "sparse"],
};
const LVM: Options = Options {
    contents: GUESTS,
    usual: GUESTS,
    fixed: &["vgname"],
    fixed_optional: &["base"],
    optional: &[
        "bwlimit",
        "content",
        "disable",
        "nodes",
        "saferemove",
        "saferemove-stepsize",
        "saferemove_throughput",
        "shared",
        "snapshot-as-volume-chain",
        "tagged_only",
    ],
};
const LVMTHIN: Options = Options {
    contents: GUESTS,
    usual: GUESTS,
    fixed: &["thinpool", "vgname"],
    fixed_optional: &[],
    optional: &["bwlimit", "content", "disable", "nodes"],
};
const NFS: Options = Options {
    contents: FILES,
    usual: &["images"],
    fixed: &["export", "server"],
    fixed_optional: &["path"],
    optional: &[
        "bwlimit",
        "content",
        "content-dirs",
        "create-base-path",
        "create-subdirs",
        "disable",
        "format",
        "max-protected-backups",
        "maxfiles",
        "mkdir",
        "nodes",
        "options",
        "preallocation",
        "prune-backups",
        "snapshot-as-volume-chain",
    ],
};
const CIFS: Options = Options {
    contents: FILES,
    usual: &["images"],
    fixed: &["server", "share"],
    fixed_optional: &["path"],
    optional: &[
        "bwlimit",
        "content",
        "content-dirs",
        "create-base-path",
        "create-subdirs",
        "disable",
        "domain",
        "format",
        "max-protected-backups",
        "maxfiles",
        "mkdir",
        "nodes",
        "options",
        "password",
        "preallocation",
        "prune-backups",
        "smbversion",
        "snapshot-as-volume-chain",
        "subdir",
        "username",
    ],
};
const PBS: Options = Options {
    contents: &["backup", "none"],
    usual: &["backup"],
    fixed: &["datastore", "server"],
    fixed_optional: &[],
    optional: &[
        "content",
        "disable",
        "encryption-key",
        "fingerprint",
        "master-pubkey",
        "max-protected-backups",
        "namespace",
        "nodes",
        "password",
        "port",
        "prune-backups",
        "username",
    ],
};

/// The options of a type, if the lab has anything of the kind.
#[must_use]
pub fn of(kind: &str) -> Option<&'static Options> {
    Some(match kind {
        "dir" => &DIR,
        "zfspool" => &ZFSPOOL,
        "lvm" => &LVM,
        "lvmthin" => &LVMTHIN,
        "nfs" => &NFS,
        "cifs" => &CIFS,
        "pbs" => &PBS,
        _ => return None,
    })
}

/// Options that PVE keeps in a file of their own, for root's eyes only.
pub const SENSITIVE: &[&str] = &["encryption-key", "master-pubkey", "password"];

/// Options that PVE gives back as numbers.
pub const NUMBERS: &[&str] = &[
    "create-base-path",
    "create-subdirs",
    "krbd",
    "max-protected-backups",
    "maxfiles",
    "mkdir",
    "nocow",
    "port",
    "saferemove",
    "saferemove-stepsize",
    "shared",
    "snapshot-as-volume-chain",
    "tagged_only",
];

impl Options {
    /// Whether a section of this type may hold the option at all.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.is_fixed(name) || self.optional.contains(&name)
    }

    /// Whether it cannot be changed.
    #[must_use]
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains(&name) || self.fixed_optional.contains(&name)
    }
}
