//! Storages and the volumes on them.
//!
//! A directory storage keeps its volumes in [`Node::volumes`](super::Node::volumes); a `zfspool`
//! storage has none of its own: its volumes *are* datasets, so that `zfs list` and the API agree.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetKind, World};

/// One entry of `storage.cfg`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    /// Directory or pool.
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
}

/// A file, image or dataset that a storage holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// `raw`, `qcow2`, `iso`, `tzst`, `tgz`, `txz`, `subvol`, `snippet`.
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
    /// Snapshots of an image, oldest first, each with the size it had.
    pub snapshots: Vec<(String, u64)>,
}

impl Storage {
    /// `dir` or `zfspool`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            StorageKind::Dir { .. } => "dir",
            StorageKind::ZfsPool { .. } => "zfspool",
        }
    }

    /// Content types as one list. PVE's order is random per request; this one is sorted.
    #[must_use]
    pub fn content_list(&self) -> String {
        self.content.iter().cloned().collect::<Vec<_>>().join(",")
    }

    /// Whether it is there on that node.
    #[must_use]
    pub fn serves(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
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

impl World {
    /// Total and free bytes of a storage on a node.
    #[must_use]
    pub fn space(&self, node: &str, storage: &str) -> (u64, u64) {
        let (Some(host), Some(entry)) = (self.nodes.get(node), self.storages.get(storage)) else { return (0, 0) };
        match &entry.kind {
            StorageKind::ZfsPool { pool, .. } => {
                let free = host.zfs.available(pool);
                (free + host.zfs.used(pool), free)
            }
            StorageKind::Dir { size: Some(size), .. } => (*size, size.saturating_sub(self.taken(node, storage))),
            StorageKind::Dir { size: None, .. } => {
                let on_root =
                    self.storages.iter().filter(|(_, s)| matches!(s.kind, StorageKind::Dir { size: None, .. }));
                let taken: u64 = on_root.map(|(name, _)| self.taken(node, name)).sum();
                (host.root_size, host.root_size.saturating_sub(host.root_used + taken))
            }
        }
    }

    fn taken(&self, node: &str, storage: &str) -> u64 {
        let volumes = self.nodes.get(node).and_then(|n| n.volumes.get(storage));
        volumes.map_or(0, |v| v.values().map(|v| v.used).sum())
    }

    /// Every volume of a storage on a node, by name within the storage.
    #[must_use]
    pub fn volumes(&self, node: &str, storage: &str) -> BTreeMap<String, Volume> {
        let (Some(host), Some(entry)) = (self.nodes.get(node), self.storages.get(storage)) else {
            return BTreeMap::new();
        };
        match &entry.kind {
            StorageKind::ZfsPool { pool, .. } => {
                let prefix = format!("{pool}/");
                let named = host.zfs.datasets.iter().filter_map(|(name, d)| Some((name.strip_prefix(&prefix)?, d)));
                named.filter_map(|(name, d)| Some((name.to_owned(), zfs_volume(name, d)?))).collect()
            }
            StorageKind::Dir { path, .. } => {
                let mut volumes = host.volumes.get(storage).cloned().unwrap_or_default();
                // Snippets are ordinary files, put there over SSH: PVE has no upload for them.
                let prefix = format!("{path}/snippets/");
                for (file, entry) in host.files.iter().filter(|(file, _)| file.starts_with(&prefix)) {
                    let size = entry.content.len() as u64;
                    let ctime = entry.modified_ms / 1000;
                    let volume = Volume { format: "snippet".to_owned(), size, used: size, ctime, ..Volume::default() };
                    volumes.insert(format!("snippets/{}", &file[prefix.len()..]), volume);
                }
                volumes
            }
        }
    }

    /// One volume by its full id.
    #[must_use]
    pub fn volume(&self, node: &str, volid: &str) -> Option<Volume> {
        let (storage, name) = split_volid(volid)?;
        let name = name.rsplit_once('/').filter(|_| self.is_zfs(storage)).map_or(name, |(_, leaf)| leaf);
        self.volumes(node, storage).remove(name)
    }

    /// Whether a storage is a `zfspool`.
    #[must_use]
    pub fn is_zfs(&self, storage: &str) -> bool {
        self.storages.get(storage).is_some_and(|s| matches!(s.kind, StorageKind::ZfsPool { .. }))
    }

    /// Dataset behind a volume of a `zfspool` storage.
    #[must_use]
    pub fn dataset_of(&self, volid: &str) -> Option<String> {
        let (storage, name) = split_volid(volid)?;
        match &self.storages.get(storage)?.kind {
            StorageKind::ZfsPool { pool, .. } => Some(format!("{pool}/{}", name.rsplit('/').next().unwrap_or(name))),
            StorageKind::Dir { .. } => None,
        }
    }

    /// Path of a volume on its node, as `pvesm path` prints it.
    #[must_use]
    pub fn volume_path(&self, volid: &str) -> Option<String> {
        let (storage, name) = split_volid(volid)?;
        Some(match &self.storages.get(storage)?.kind {
            StorageKind::ZfsPool { pool, .. } if name.contains("subvol-") => format!("/{pool}/{name}"),
            StorageKind::ZfsPool { pool, .. } => format!("/dev/zvol/{pool}/{name}"),
            StorageKind::Dir { path, .. } => match name.split_once('/') {
                Some(("iso", rest)) => format!("{path}/template/iso/{rest}"),
                Some(("vztmpl", rest)) => format!("{path}/template/cache/{rest}"),
                Some(("import", rest)) => format!("{path}/import/{rest}"),
                Some(("snippets", rest)) => format!("{path}/snippets/{rest}"),
                Some(("backup", rest)) => format!("{path}/dump/{rest}"),
                _ => format!("{path}/images/{name}"),
            },
        })
    }

    /// Makes a volume for a guest and gives its id back.
    ///
    /// `stem` is `vm` or `subvol` for numbered disks; a whole name (such as `vm-100-cloudinit`) is
    /// taken as it is.
    ///
    /// # Errors
    /// PVE's text when the storage is unknown or the space does not suffice.
    pub fn allocate(
        &mut self,
        node: &str,
        storage: &str,
        vmid: u32,
        stem: &str,
        format: &str,
        size: u64,
    ) -> Result<String, String> {
        let now = self.now_ms / 1000;
        let entry = self.storages.get(storage).ok_or_else(|| format!("storage '{storage}' does not exist"))?.clone();
        let taken = self.volumes(node, storage);
        let leaf_taken = |leaf: &str| taken.keys().any(|name| name.rsplit('/').next() == Some(leaf));
        let extension = match &entry.kind {
            StorageKind::Dir { .. } if format != "subvol" => format!(".{format}"),
            _ => String::new(),
        };
        let leaf = if stem.contains('-') {
            format!("{stem}{extension}")
        } else {
            // PVE numbers across formats: `vm-100-disk-0.raw` keeps `vm-100-disk-0.qcow2` from being used.
            let free = (0..).find(|n| {
                let base = format!("{stem}-{vmid}-disk-{n}");
                !["", ".raw", ".qcow2"].iter().any(|end| leaf_taken(&format!("{base}{end}")))
            });
            format!("{stem}-{vmid}-disk-{}{extension}", free.unwrap_or_default())
        };
        let (_, free) = self.space(node, storage);
        let host = self.nodes.get_mut(node).ok_or_else(|| format!("no such node '{node}'"))?;
        match &entry.kind {
            StorageKind::ZfsPool { pool, sparse } => {
                let name = format!("{pool}/{leaf}");
                let subvol = format == "subvol";
                if (!subvol && !sparse && size > free) || free < (1 << 20) {
                    return Err(format!("zfs error: cannot create '{name}': out of space"));
                }
                let mut properties = BTreeMap::new();
                let kind = if subvol {
                    properties.insert("refquota".to_owned(), size.to_string());
                    properties.insert("acltype".to_owned(), "posix".to_owned());
                    properties.insert("xattr".to_owned(), "sa".to_owned());
                    DatasetKind::Filesystem
                } else {
                    properties.insert("volsize".to_owned(), size.to_string());
                    if !sparse {
                        properties.insert("refreservation".to_owned(), size.to_string());
                    }
                    DatasetKind::Volume
                };
                host.zfs
                    .create(&name, kind, properties, false, now)
                    .map_err(|error| format!("zfs error: {}", error.message))?;
                Ok(format!("{storage}:{leaf}"))
            }
            StorageKind::Dir { path, .. } => {
                if format == "raw" && size > free {
                    return Err(format!(
                        "unable to create image: qemu-img: {path}/images/{vmid}/{leaf}: Could not resize file: No space left on device"
                    ));
                }
                let used = if format == "raw" { size } else { 262_144 };
                let volume =
                    Volume { format: format.to_owned(), size, used, vmid: Some(vmid), ctime: now, ..Volume::default() };
                let name = format!("{vmid}/{leaf}");
                host.volumes.entry(storage.to_owned()).or_default().insert(name.clone(), volume);
                Ok(format!("{storage}:{name}"))
            }
        }
    }

    /// Frees a volume; whether there was one.
    ///
    /// # Errors
    /// PVE's text when a dataset cannot go.
    pub fn free(&mut self, node: &str, volid: &str) -> Result<bool, String> {
        let dataset = self.dataset_of(volid);
        let path = self.volume_path(volid);
        let Some((storage, name)) = split_volid(volid) else { return Ok(false) };
        let Some(host) = self.nodes.get_mut(node) else { return Ok(false) };
        if let Some(dataset) = dataset {
            if !host.zfs.datasets.contains_key(&dataset) {
                return Ok(false);
            }
            return host.zfs.destroy(&dataset, true).map(|()| true).map_err(|e| format!("zfs error: {}", e.message));
        }
        if name.starts_with("snippets/") {
            return Ok(path.is_some_and(|path| host.files.remove(&path).is_some()));
        }
        Ok(host.volumes.get_mut(storage).is_some_and(|v| v.remove(name).is_some()))
    }

    /// Sets the size of a volume.
    ///
    /// # Errors
    /// PVE's text when there is no such volume or no space.
    pub fn resize(&mut self, node: &str, volid: &str, size: u64) -> Result<(), String> {
        let old = self.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let dataset = self.dataset_of(volid);
        let (storage, name) = split_volid(volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        let (_, free) = self.space(node, storage);
        if size.saturating_sub(old.size) > free && old.format != "qcow2" && old.format != "subvol" {
            return Err(match &dataset {
                Some(dataset) => format!("zfs error: cannot set property for '{dataset}': out of space"),
                None => "unable to resize image: No space left on device".to_owned(),
            });
        }
        let Some(host) = self.nodes.get_mut(node) else { return Ok(()) };
        if let Some(found) = dataset.and_then(|name| host.zfs.datasets.get_mut(&name)) {
            let property = if found.kind == DatasetKind::Volume { "volsize" } else { "refquota" };
            found.properties.insert(property.to_owned(), size.to_string());
            if let Some(reservation) = found.properties.get_mut("refreservation") {
                *reservation = size.to_string();
            }
        } else if let Some(volume) = host.volumes.get_mut(storage).and_then(|v| v.get_mut(name)) {
            if volume.used == volume.size {
                volume.used = size;
            }
            volume.size = size;
        }
        Ok(())
    }
}

fn zfs_volume(name: &str, dataset: &Dataset) -> Option<Volume> {
    let leaf = name.split('/').next_back()?;
    let vmid = leaf.split('-').nth(1)?.parse().ok()?;
    let size = dataset.properties.get("volsize").or_else(|| dataset.properties.get("refquota"));
    let format = if dataset.kind == DatasetKind::Volume { "raw" } else { "subvol" };
    Some(Volume {
        format: format.to_owned(),
        size: size.and_then(|s| s.parse().ok()).unwrap_or_default(),
        used: dataset.used,
        vmid: Some(vmid),
        ctime: dataset.created,
        snapshots: Vec::new(),
        ..Volume::default()
    })
}
