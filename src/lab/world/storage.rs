//! Entries of `storage.cfg`: which kind, what they may hold, where they are.
//!
//! What is on them is told by [`World::volumes`](super::World::volumes) and its neighbours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One entry of `storage.cfg`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    /// What it is made of.
    #[serde(flatten)]
    pub kind: StorageKind,
    /// Content types it may hold: `iso`, `vztmpl`, `import`, `snippets`, `backup`, `images`, `rootdir`.
    pub content: BTreeSet<String>,
    /// Nodes that it is limited to; all, if empty.
    #[serde(default)]
    pub nodes: BTreeSet<String>,
    /// Switched off.
    #[serde(default)]
    pub disabled: bool,
    /// What else stands in its section, such as `prune-backups` or `blocksize`, as text.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Not in the file: PVE assumes a `local` where there is none, until the file is written next.
    #[serde(default)]
    pub assumed: bool,
}

/// What a storage is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StorageKind {
    /// A directory on the root file system, or a size of its own.
    Dir {
        /// Absolute path.
        path: String,
        /// Size in bytes if it has a disk of its own.
        #[serde(default)]
        size: Option<u64>,
    },
    /// A ZFS dataset.
    ZfsPool {
        /// Dataset, such as `rpool/data`.
        pool: String,
        /// Volumes take space only as they fill.
        #[serde(default)]
        sparse: bool,
    },
    /// A volume group, whose volumes take their whole size at once.
    Lvm {
        /// Volume group, such as `pve`.
        vgname: String,
    },
    /// A thin pool, whose volumes take space as they fill.
    LvmThin {
        /// Volume group, such as `pve`.
        vgname: String,
        /// Pool in it, such as `data`.
        thinpool: String,
    },
    /// A directory of an NFS server.
    Nfs {
        /// Address or name of the server.
        server: String,
        /// What it exports.
        export: String,
        /// Where it is mounted.
        path: String,
    },
    /// A directory of an SMB server.
    Cifs {
        /// Address or name of the server.
        server: String,
        /// What it shares.
        share: String,
        /// Where it is mounted.
        path: String,
    },
    /// A datastore of a Proxmox Backup Server.
    Pbs {
        /// Address or name of the server.
        server: String,
        /// The datastore.
        datastore: String,
    },
}

/// How the volumes of a storage take space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provision {
    /// As they fill: more can be promised than there is.
    Thin,
    /// Their whole size at once.
    Thick,
}

/// A file, image or dataset that a storage holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// `raw`, `qcow2`, `iso`, `tzst`, `tgz`, `txz`, `subvol`, `snippet`, `vma.zst` …
    pub format: String,
    /// Size that users see, in bytes.
    pub size: u64,
    /// Space it takes, in bytes.
    pub used: u64,
    /// Size of the disk inside an image that is there to be imported, in bytes.
    pub virtual_size: Option<u64>,
    /// SHA-256 of a downloaded file, in hex.
    pub sha256: Option<String>,
    /// Guest that it belongs to.
    pub vmid: Option<u32>,
    /// When it was made, in seconds.
    pub ctime: i64,
    /// Name of the base volume that a linked clone hangs on.
    pub base: Option<String>,
    /// Snapshots of an image, oldest first, each with the size it had.
    pub snapshots: Vec<(String, u64)>,
    /// What was written about a backup.
    pub notes: Option<String>,
    /// Whether a backup is safe from being pruned.
    pub protected: bool,
}

impl Storage {
    /// A storage for these content types on every node.
    #[must_use]
    pub fn new(kind: StorageKind, content: &[&str]) -> Self {
        Self {
            kind,
            content: content.iter().map(|c| (*c).to_owned()).collect(),
            nodes: BTreeSet::new(),
            disabled: false,
            options: BTreeMap::new(),
            assumed: false,
        }
    }

    /// The `local` that PVE assumes where the file has none.
    #[must_use]
    pub fn assumed_local() -> Self {
        let kind = StorageKind::Dir { path: "/var/lib/vz".to_owned(), size: None };
        let mut local = Self::new(kind, &["backup", "images", "iso", "rootdir", "snippets", "vztmpl"]);
        local.options.insert("prune-backups".to_owned(), "keep-all=1".to_owned());
        Self { assumed: true, ..local }
    }

    /// Its type in `storage.cfg`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            StorageKind::Dir { .. } => "dir",
            StorageKind::ZfsPool { .. } => "zfspool",
            StorageKind::Lvm { .. } => "lvm",
            StorageKind::LvmThin { .. } => "lvmthin",
            StorageKind::Nfs { .. } => "nfs",
            StorageKind::Cifs { .. } => "cifs",
            StorageKind::Pbs { .. } => "pbs",
        }
    }

    /// Content types as one list. PVE's order is random per request; this one is sorted.
    #[must_use]
    pub fn content_list(&self) -> String {
        if self.content.is_empty() {
            return "none".to_owned();
        }
        self.content.iter().cloned().collect::<Vec<_>>().join(",")
    }

    /// Whether it is there on that node.
    #[must_use]
    pub fn serves(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }

    /// Its directory, if its volumes are files.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.kind {
            StorageKind::Dir { path, .. } | StorageKind::Nfs { path, .. } | StorageKind::Cifs { path, .. } => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether every node sees the same volumes.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.share().is_some() || self.options.get("shared").is_some_and(|s| s == "1")
    }

    /// Name of what it takes from the network, as [`World::shares`](super::World::shares) has it.
    #[must_use]
    pub fn share(&self) -> Option<String> {
        match &self.kind {
            StorageKind::Nfs { server, export, .. } => Some(format!("{server}:{export}")),
            StorageKind::Cifs { server, share, .. } => Some(format!("//{server}/{share}")),
            StorageKind::Pbs { server, datastore } => Some(format!("{server}:{datastore}")),
            _ => None,
        }
    }

    /// How its volumes take space.
    ///
    /// Files do not take any before they are filled, unless the storage says that they are to be preallocated.
    #[must_use]
    pub fn provision(&self) -> Provision {
        match &self.kind {
            StorageKind::ZfsPool { sparse: false, .. } | StorageKind::Lvm { .. } => Provision::Thick,
            _ if self.options.get("preallocation").is_some_and(|p| p == "full" || p == "falloc") => Provision::Thick,
            _ => Provision::Thin,
        }
    }
}

/// Splits `local:iso/x.iso` into storage and name.
#[must_use]
pub fn split_volid(volid: &str) -> Option<(&str, &str)> {
    let (storage, name) = volid.split_once(':')?;
    (!storage.is_empty() && !name.is_empty() && !storage.contains('/')).then_some((storage, name))
}

/// Content type of a volume by its name within a directory storage.
#[must_use]
pub fn content_of(name: &str) -> &'static str {
    match name.split('/').next().unwrap_or_default() {
        "iso" => "iso",
        "vztmpl" => "vztmpl",
        "import" => "import",
        "snippets" => "snippets",
        "backup" => "backup",
        _ if name.contains("subvol-") || name.contains("basevol-") => "rootdir",
        _ => "images",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_volumes_take_their_space_at_once_is_known_by_type_and_options() {
        let thick = |kind| Storage::new(kind, &[]).provision() == Provision::Thick;
        let pool = |sparse| StorageKind::ZfsPool { pool: "p".into(), sparse };
        assert!(thick(pool(false)) && !thick(pool(true)));
        assert!(thick(StorageKind::Lvm { vgname: "pve".into() }));
        assert!(!thick(StorageKind::LvmThin { vgname: "pve".into(), thinpool: "data".into() }));
        let mut dir = Storage::new(StorageKind::Dir { path: "/srv".into(), size: None }, &[]);
        assert_eq!(dir.provision(), Provision::Thin);
        dir.options.insert("preallocation".into(), "full".into());
        assert_eq!(dir.provision(), Provision::Thick);
    }
}
