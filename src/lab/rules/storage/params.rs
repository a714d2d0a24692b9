//! Parameters of `/storage`: those of every type of storage in one list, as PVE's schema has them.

use super::super::formats as f;
use super::super::param::{Kind, Param, Props, optional as o, required, since_9, until_8};
use super::super::tables::DIGEST_64;

const TYPES: &[&str] = &[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
];
const TYPES_8: &[&str] = &[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "glusterfs",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
];

/// `type` as a filter.
pub const BY_TYPE: &[Param] = &[since_9("type", Kind::Enum(TYPES)), until_8("type", Kind::Enum(TYPES_8))];

/// What retention options look like.
pub const PRUNE: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("keep-all", Kind::Bool, false),
        ("keep-last", COUNT, false),
        ("keep-hourly", COUNT, false),
        ("keep-daily", COUNT, false),
        ("keep-weekly", COUNT, false),
        ("keep-monthly", COUNT, false),
        ("keep-yearly", COUNT, false),
    ],
};
const COUNT: Kind = Kind::Int { min: Some(0), max: None };

/// Parameters of a new storage that no change can have.
pub const CREATE: &[Param] = &[
    Param { required: true, ..since_9("type", Kind::Enum(TYPES)) },
    Param { required: true, ..until_8("type", Kind::Enum(TYPES_8)) },
    o("authsupported", Kind::Text),
    o("base", Kind::Text),
    o("datastore", Kind::Text),
    o("export", Kind::Format(storage_path)),
    o("iscsiprovider", Kind::Text),
    o("path", Kind::Format(storage_path)),
    o("portal", Kind::Text),
    o("share", Kind::Text),
    required("storage", Kind::Format(f::storage_id)),
    o("target", Kind::Text),
    o("thinpool", Kind::Format(lvm_name)),
    o("vgname", Kind::Format(lvm_name)),
    until_8("volume", Kind::Text),
];

/// Parameters of a change that a new storage does not have.
pub const UPDATE: &[Param] = &[o("delete", Kind::Short { min: 0, max: 4096 }), o("digest", DIGEST_64)];

/// Parameters of both.
pub const COMMON: &[Param] = &[
    o("blocksize", Kind::Format(blocksize)),
    o("bwlimit", Kind::Text),
    o("comstar_hg", Kind::Text),
    o("comstar_tg", Kind::Text),
    o("content", Kind::List(f::contents)),
    o("content-dirs", Kind::Text),
    o("create-base-path", Kind::Bool),
    o("create-subdirs", Kind::Bool),
    o("data-pool", Kind::Text),
    o("disable", Kind::Bool),
    o("domain", Kind::Short { min: 0, max: 256 }),
    o("encryption-key", Kind::Text),
    o("fingerprint", Kind::Text),
    o("format", Kind::Enum(&["raw", "qcow2", "subvol", "vmdk"])),
    o("fs-name", Kind::Text),
    o("fuse", Kind::Bool),
    o("is_mountpoint", Kind::Text),
    o("keyring", Kind::Text),
    o("krbd", Kind::Bool),
    o("lio_tpg", Kind::Text),
    o("master-pubkey", Kind::Text),
    o("max-protected-backups", Kind::Int { min: Some(-1), max: None }),
    until_8("maxfiles", Kind::Int { min: Some(0), max: None }),
    o("mkdir", Kind::Bool),
    o("monhost", Kind::Text),
    o("mountpoint", Kind::Format(storage_path)),
    o("namespace", Kind::Text),
    o("nocow", Kind::Bool),
    o("nodes", Kind::List(f::nodes)),
    o("nowritecache", Kind::Bool),
    o("options", Kind::Pattern(no_space)),
    o("password", Kind::Short { min: 0, max: 256 }),
    o("pool", Kind::Text),
    o("port", Kind::Int { min: Some(1), max: Some(65535) }),
    o("preallocation", Kind::Enum(&["off", "metadata", "falloc", "full"])),
    o("prune-backups", Kind::Props(&PRUNE)),
    o("saferemove", Kind::Bool),
    since_9("saferemove-stepsize", Kind::Int { min: None, max: None }),
    o("saferemove_throughput", Kind::Text),
    o("server", Kind::Format(server)),
    until_8("server2", Kind::Format(server)),
    o("shared", Kind::Bool),
    o("skip-cert-verification", Kind::Bool),
    o("smbversion", Kind::Enum(&["default", "2.0", "2.1", "3", "3.0", "3.11"])),
    since_9("snapshot-as-volume-chain", Kind::Bool),
    o("sparse", Kind::Bool),
    o("subdir", Kind::Format(storage_path)),
    o("tagged_only", Kind::Bool),
    until_8("transport", Kind::Enum(&["tcp", "rdma", "unix"])),
    o("username", Kind::Text),
    o("zfs-base-path", Kind::Format(storage_path)),
];

fn storage_path(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix('/').unwrap_or_default();
    let fits = rest.starts_with(|c: char| !matches!(c, ';' | '(' | ')'));
    if fits { Ok(()) } else { Err("value does not look like a valid absolute path".to_owned()) }
}

fn server(text: &str) -> Result<(), String> {
    let fits = text.parse::<std::net::IpAddr>().is_ok() || f::dns_name(text).is_ok();
    if fits { Ok(()) } else { Err("value does not look like a valid server name or IP address".to_owned()) }
}

fn lvm_name(text: &str) -> Result<(), String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = text.len() > 1 && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner);
    if fits { Ok(()) } else { Err(format!("lvm name '{text}' contains illegal characters")) }
}

fn blocksize(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let (digits, unit) = match text.to_ascii_lowercase() {
        t if t.ends_with('k') => (t[..t.len() - 1].to_owned(), 1 << 10),
        t if t.ends_with('m') => (t[..t.len() - 1].to_owned(), 1 << 20),
        t => (t, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with(['0', '+']));
    match number.and_then(|n| n.checked_mul(unit)) {
        None => Err(format!(
            "invalid ZFS blocksize format '{text}'. Use a positive number (no leading zeros) with an optional 'k' or 'm' suffix."
        )),
        Some(size) if (512..=16 << 20).contains(&size) && size.is_power_of_two() => Ok(()),
        Some(_) => Err(format!(
            "value '{text}' is not a valid ZFS blocksize. Must be a power of 2 between 512B and 16MiB (e.g., 4k, 8k, 16k, 64k, 1m)."
        )),
    }
}

fn no_space(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_whitespace)
}
