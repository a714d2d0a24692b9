//! What is on storages: space, volumes, and how they are made, grown and freed.
//!
//! Files and logical volumes are kept in [`Node::volumes`](super::Node::volumes), those of a share in
//! [`World::shared_volumes`]; a `zfspool` storage has none of its own: its volumes *are* datasets, so that
//! `zfs list` and the API agree.

use std::collections::BTreeMap;

use super::{Dataset, DatasetKind, Provision, Storage, StorageKind, Volume, World, split_volid};

/// What an image takes that nobody has written to: QEMU writes one block to find out about alignment (9.2.11).
const EMPTY_IMAGE: u64 = 4096;

impl World {
    /// Total and free bytes of a storage on a node; nothing, if it is not there.
    #[must_use]
    pub fn space(&self, node: &str, storage: &str) -> (u64, u64) {
        let (Some(host), Some(entry)) = (self.nodes.get(node), self.storages.get(storage)) else { return (0, 0) };
        let within = |size: u64, taken: u64| (size, size.saturating_sub(taken));
        match &entry.kind {
            StorageKind::ZfsPool { pool, .. } => {
                let free = host.zfs.available(pool);
                (free + host.zfs.used(pool), free)
            }
            _ if host.capacities.contains_key(storage) => {
                let capacity = host.capacities[storage];
                within(capacity.total, capacity.other + self.taken(node, storage))
            }
            StorageKind::Dir { size: Some(size), .. } => within(*size, self.taken(node, storage)),
            StorageKind::Dir { size: None, .. } => {
                let on_root =
                    self.storages.iter().filter(|(_, s)| matches!(s.kind, StorageKind::Dir { size: None, .. }));
                let taken: u64 = on_root.map(|(name, _)| self.taken(node, name)).sum();
                within(host.root_size, host.root_used + taken)
            }
            StorageKind::Lvm { vgname } => {
                let Some(group) = host.volume_groups.get(vgname) else { return (0, 0) };
                let pools: u64 = group.thin_pools.values().sum();
                let same = |s: &&Storage| matches!(&s.kind, StorageKind::Lvm { vgname: other } if other == vgname);
                within(group.size, pools + self.taken_together(node, same))
            }
            StorageKind::LvmThin { vgname, thinpool } => {
                let pool = host.volume_groups.get(vgname).and_then(|group| group.thin_pools.get(thinpool));
                let same = |s: &&Storage| s.kind == entry.kind;
                pool.map_or((0, 0), |size| within(*size, self.taken_together(node, same)))
            }
            StorageKind::Nfs { .. } | StorageKind::Cifs { .. } | StorageKind::Pbs { .. } => {
                let size = entry.share().and_then(|share| self.shares.get(&share).copied()).unwrap_or_default();
                within(size, self.taken(node, storage))
            }
        }
    }

    fn taken_together(&self, node: &str, of: impl Fn(&&Storage) -> bool) -> u64 {
        self.storages.iter().filter(|(_, s)| of(s)).map(|(id, _)| self.taken(node, id)).sum()
    }

    fn taken(&self, node: &str, storage: &str) -> u64 {
        self.kept(node, storage).map_or(0, |v| v.values().map(|v| v.used).sum())
    }

    pub(super) fn kept(&self, node: &str, storage: &str) -> Option<&BTreeMap<String, Volume>> {
        if self.storages.get(storage).is_some_and(Storage::is_shared) {
            return self.shared_volumes.get(storage);
        }
        self.nodes.get(node).and_then(|n| n.volumes.get(storage))
    }

    /// Files and logical volumes of a storage as a node sees them, to be changed.
    fn kept_mut(&mut self, node: &str, storage: &str) -> Option<&mut BTreeMap<String, Volume>> {
        if self.storages.get(storage).is_some_and(Storage::is_shared) {
            return Some(self.shared_volumes.entry(storage.to_owned()).or_default());
        }
        Some(self.nodes.get_mut(node)?.volumes.entry(storage.to_owned()).or_default())
    }

    /// A file or logical volume by its full id, to be changed; datasets are changed in [`Node::zfs`](super::Node::zfs).
    pub fn volume_mut(&mut self, node: &str, volid: &str) -> Option<&mut Volume> {
        let (storage, name) = split_volid(volid)?;
        let name = self.kept_name(storage, name);
        self.kept_mut(node, storage)?.get_mut(name)
    }

    /// Puts a file or logical volume on a storage, or takes its place.
    pub fn put_volume(&mut self, node: &str, volid: &str, volume: Volume) {
        let Some((storage, name)) = split_volid(volid) else { return };
        let name = self.kept_name(storage, name);
        if let Some(kept) = self.kept_mut(node, storage) {
            kept.insert(name.to_owned(), volume);
        }
    }

    /// Takes a file or logical volume from a storage.
    pub fn take_volume(&mut self, node: &str, volid: &str) -> Option<Volume> {
        let (storage, name) = split_volid(volid)?;
        let name = self.kept_name(storage, name);
        self.kept_mut(node, storage)?.remove(name)
    }

    /// Every volume of a storage on a node, by name within the storage.
    #[must_use]
    pub fn volumes(&self, node: &str, storage: &str) -> BTreeMap<String, Volume> {
        let (Some(host), Some(entry)) = (self.nodes.get(node), self.storages.get(storage)) else {
            return BTreeMap::new();
        };
        if let StorageKind::ZfsPool { pool, .. } = &entry.kind {
            let prefix = format!("{pool}/");
            let named = host.zfs.datasets.iter().filter_map(|(name, d)| Some((name.strip_prefix(&prefix)?, d)));
            return named.filter_map(|(name, d)| Some((name.to_owned(), zfs_volume(name, d)?))).collect();
        }
        let mut volumes = self.kept(node, storage).cloned().unwrap_or_default();
        if let Some(path) = entry.path() {
            // Snippets are ordinary files, put there over SSH: PVE has no upload for them.
            let prefix = format!("{path}/snippets/");
            for (file, entry) in host.files.iter().filter(|(file, _)| file.starts_with(&prefix)) {
                let size = entry.content.len() as u64;
                let ctime = entry.modified_ms / 1000;
                let volume = Volume { format: "snippet".to_owned(), size, used: size, ctime, ..Volume::default() };
                volumes.insert(format!("snippets/{}", &file[prefix.len()..]), volume);
            }
        }
        volumes
    }

    /// One volume by its full id.
    #[must_use]
    pub fn volume(&self, node: &str, volid: &str) -> Option<Volume> {
        let (storage, name) = split_volid(volid)?;
        self.volumes(node, storage).remove(self.kept_name(storage, name))
    }

    /// Whether a storage is a `zfspool`.
    #[must_use]
    pub fn is_zfs(&self, storage: &str) -> bool {
        self.storages.get(storage).is_some_and(|s| matches!(s.kind, StorageKind::ZfsPool { .. }))
    }

    /// Whether the volumes of a storage are devices, which have neither a directory nor a file's ending.
    #[must_use]
    pub fn is_block(&self, storage: &str) -> bool {
        self.storages.get(storage).is_some_and(|s| {
            matches!(s.kind, StorageKind::ZfsPool { .. } | StorageKind::Lvm { .. } | StorageKind::LvmThin { .. })
        })
    }

    /// Whether a storage can keep snapshots of this volume.
    #[must_use]
    pub fn keeps_snapshots(&self, node: &str, volid: &str) -> bool {
        let storage = split_volid(volid).and_then(|(storage, _)| self.storages.get(storage));
        storage.is_some_and(|s| matches!(s.kind, StorageKind::ZfsPool { .. } | StorageKind::LvmThin { .. }))
            || self.volume(node, volid).is_some_and(|volume| volume.format == "qcow2")
    }

    /// Dataset behind a volume of a `zfspool` storage.
    #[must_use]
    pub fn dataset_of(&self, volid: &str) -> Option<String> {
        let (storage, name) = split_volid(volid)?;
        match &self.storages.get(storage)?.kind {
            StorageKind::ZfsPool { pool, .. } => Some(format!("{pool}/{}", name.rsplit('/').next().unwrap_or(name))),
            _ => None,
        }
    }

    /// Path of a volume on its node, as `pvesm path` prints it.
    #[must_use]
    pub fn volume_path(&self, volid: &str) -> Option<String> {
        let (storage, name) = split_volid(volid)?;
        let entry = self.storages.get(storage)?;
        Some(match &entry.kind {
            StorageKind::ZfsPool { pool, .. } if name.contains("subvol-") => format!("/{pool}/{name}"),
            StorageKind::ZfsPool { pool, .. } => format!("/dev/zvol/{pool}/{name}"),
            StorageKind::Lvm { vgname } | StorageKind::LvmThin { vgname, .. } => format!("/dev/{vgname}/{name}"),
            StorageKind::Pbs { server, datastore } => format!("pbs://root@pam@{server}:{datastore}/{name}"),
            StorageKind::Dir { path, .. } | StorageKind::Nfs { path, .. } | StorageKind::Cifs { path, .. } => {
                match name.split_once('/') {
                    Some(("iso", rest)) => format!("{path}/template/iso/{rest}"),
                    Some(("vztmpl", rest)) => format!("{path}/template/cache/{rest}"),
                    Some(("import", rest)) => format!("{path}/import/{rest}"),
                    Some(("snippets", rest)) => format!("{path}/snippets/{rest}"),
                    Some(("backup", rest)) => format!("{path}/dump/{rest}"),
                    _ => format!("{path}/images/{name}"),
                }
            }
        })
    }

    /// Makes a volume for a guest and gives its id back.
    ///
    /// `stem` is `vm` or `subvol` for numbered disks; a whole name (such as `vm-100-cloudinit`) is
    /// taken as it is. Devices are always raw.
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
        let block = self.is_block(storage);
        let format = if block && format != "subvol" { "raw" } else { format };
        let extension = if !block && format != "subvol" { format!(".{format}") } else { String::new() };
        let leaf = if stem.contains('-') {
            if stem.ends_with(&extension) { stem.to_owned() } else { format!("{stem}{extension}") }
        } else {
            // PVE numbers across formats: `vm-100-disk-0.raw` keeps `vm-100-disk-0.qcow2` from being used.
            let free = (0..).find(|n| {
                let base = format!("{stem}-{vmid}-disk-{n}");
                !["", ".raw", ".qcow2", ".vmdk"].iter().any(|end| leaf_taken(&format!("{base}{end}")))
            });
            format!("{stem}-{vmid}-disk-{}{extension}", free.unwrap_or_default())
        };
        let (total, free) = self.space(node, storage);
        let thick = entry.provision() == Provision::Thick;
        let host = self.nodes.get_mut(node).ok_or_else(|| format!("no such node '{node}'"))?;
        let used = match &entry.kind {
            StorageKind::ZfsPool { pool, sparse } => {
                let name = format!("{pool}/{leaf}");
                let subvol = format == "subvol";
                if (!subvol && !sparse && size > free) || free < (1 << 20) {
                    return Err(format!("zfs error: cannot create '{name}': out of space"));
                }
                let (kind, properties) = dataset(subvol, *sparse, size);
                host.zfs
                    .create(&name, kind, properties, false, now)
                    .map_err(|error| format!("zfs error: {}", error.message))?;
                return Ok(format!("{storage}:{leaf}"));
            }
            StorageKind::Lvm { vgname } => {
                let extents = |bytes: u64| bytes.div_ceil(4 << 20);
                if total == 0 {
                    return Err(format!("no such volume group '{vgname}'"));
                }
                if size > free {
                    return Err(format!(
                        "lvcreate '{vgname}/{leaf}' error:   Volume group \"{vgname}\" has insufficient free space ({} extents): {} required.",
                        free / (4 << 20),
                        extents(size)
                    ));
                }
                size
            }
            StorageKind::LvmThin { vgname, thinpool } => {
                if free == 0 {
                    return Err(format!(
                        "lvcreate '{vgname}/{leaf}' error:   Cannot create new thin volume, free space in thin pool {vgname}/{thinpool} reached threshold."
                    ));
                }
                0
            }
            _ => {
                let used = if thick && format == "raw" { size } else { empty(format, size) };
                let path = entry.path().unwrap_or_default();
                if used > free {
                    return Err(format!(
                        "unable to create image: qemu-img: {path}/images/{vmid}/{leaf}: Could not resize file: No space left on device"
                    ));
                }
                used
            }
        };
        let volume =
            Volume { format: format.to_owned(), size, used, vmid: Some(vmid), ctime: now, ..Volume::default() };
        let volid = if block { format!("{storage}:{leaf}") } else { format!("{storage}:{vmid}/{leaf}") };
        self.put_volume(node, &volid, volume);
        Ok(volid)
    }

    /// Frees a volume; whether there was one.
    ///
    /// # Errors
    /// PVE's text when a dataset cannot go.
    pub fn free(&mut self, node: &str, volid: &str) -> Result<bool, String> {
        let dataset = self.dataset_of(volid);
        let path = self.volume_path(volid);
        let Some((_, name)) = split_volid(volid) else { return Ok(false) };
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
        Ok(self.take_volume(node, volid).is_some())
    }

    /// Sets the size of a volume.
    ///
    /// # Errors
    /// PVE's text when there is no such volume or no space.
    pub fn resize(&mut self, node: &str, volid: &str, size: u64) -> Result<(), String> {
        let old = self.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let dataset = self.dataset_of(volid);
        let (storage, _) = split_volid(volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        let (_, free) = self.space(node, storage);
        let thick = self.storages.get(storage).is_some_and(|s| s.provision() == Provision::Thick);
        let takes = thick && !matches!(old.format.as_str(), "qcow2" | "subvol");
        if takes && size.saturating_sub(old.size) > free {
            let path = self.volume_path(volid).unwrap_or_default();
            return Err(match &dataset {
                Some(dataset) => format!("zfs error: cannot set property for '{dataset}': out of space"),
                None if self.is_block(storage) => format!("error resizing volume '{path}':   Insufficient free space"),
                None => "unable to resize image: No space left on device".to_owned(),
            });
        }
        if let Some(name) = dataset {
            let found = self.nodes.get_mut(node).and_then(|host| host.zfs.datasets.get_mut(&name));
            if let Some(found) = found {
                let property = if found.kind == DatasetKind::Volume { "volsize" } else { "refquota" };
                found.properties.insert(property.to_owned(), size.to_string());
                if let Some(reservation) = found.properties.get_mut("refreservation") {
                    *reservation = size.to_string();
                }
            }
        } else if let Some(volume) = self.volume_mut(node, volid) {
            if volume.used == volume.size {
                volume.used = size;
            }
            volume.size = size;
        }
        Ok(())
    }
}

/// What an empty image takes of its storage, in bytes.
fn empty(format: &str, size: u64) -> u64 {
    match format {
        // Header, reference counts, and the tables of each 512 MiB, which PVE has written beforehand.
        "qcow2" => (192 << 10) + (64 << 10) * size.div_ceil(512 << 20) + EMPTY_IMAGE,
        "vmdk" => 64 << 10,
        _ => EMPTY_IMAGE,
    }
}

fn dataset(subvol: bool, sparse: bool, size: u64) -> (DatasetKind, BTreeMap<String, String>) {
    let mut properties = BTreeMap::new();
    if subvol {
        properties.insert("refquota".to_owned(), size.to_string());
        properties.insert("acltype".to_owned(), "posix".to_owned());
        properties.insert("xattr".to_owned(), "sa".to_owned());
        return (DatasetKind::Filesystem, properties);
    }
    properties.insert("volsize".to_owned(), size.to_string());
    if !sparse {
        properties.insert("refreservation".to_owned(), size.to_string());
    }
    (DatasetKind::Volume, properties)
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
