//! Volumes that come of others: base volumes of templates, linked clones, full copies, volumes handed over.

use super::{DatasetKind, Volume, World, split_volid};

/// The snapshot that linked clones of a base volume on ZFS hang on.
const BASE_SNAPSHOT: &str = "__base__";

/// Last part of a volume's name: `vm-100-disk-0.raw`.
fn leaf(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a volume is the base of a template.
#[must_use]
pub fn is_base(volid: &str) -> bool {
    let name = leaf(volid.split_once(':').map_or(volid, |(_, name)| name));
    name.starts_with("base-") || name.starts_with("basevol-")
}

impl World {
    /// The name by which a storage keeps a volume: that of a linked clone has its base's before it.
    #[must_use]
    pub fn kept_name<'a>(&self, storage: &str, name: &'a str) -> &'a str {
        let own = if self.is_block(storage) { 1 } else { 2 };
        let nested = name.split('/').count() == 2 * own;
        let cut = name.rmatch_indices('/').nth(own - 1).filter(|(at, _)| nested && is_base(&name[..*at]));
        cut.map_or(name, |(at, _)| &name[at + 1..])
    }

    /// Whether linked clones of a base volume are left.
    #[must_use]
    pub fn is_base_in_use(&self, node: &str, volid: &str) -> bool {
        let Some((storage, name)) = split_volid(volid).filter(|_| is_base(volid)) else { return false };
        if let Some(dataset) = self.dataset_of(volid) {
            let origin = format!("{dataset}@{BASE_SNAPSHOT}");
            let host = self.nodes.get(node);
            return host.is_some_and(|h| h.zfs.datasets.values().any(|d| d.origin.as_deref() == Some(&origin)));
        }
        let kept = self.kept_name(storage, name);
        self.volumes(node, storage).values().any(|volume| volume.base.as_deref() == Some(kept))
    }

    /// Makes a volume the base of a template and gives its new id back.
    ///
    /// # Errors
    /// PVE's text when there is no such volume.
    pub fn make_base(&mut self, node: &str, volid: &str) -> Result<String, String> {
        if is_base(volid) {
            return Ok(volid.to_owned());
        }
        let stem = leaf(volid.split_once(':').map_or(volid, |(_, name)| name));
        let new = match (stem.strip_prefix("subvol-"), stem.strip_prefix("vm-")) {
            (Some(rest), _) => format!("basevol-{rest}"),
            (None, Some(rest)) => format!("base-{rest}"),
            (None, None) => return Err(format!("unable to parse volume name '{stem}'")),
        };
        let new = self.rename_leaf(node, volid, &new)?;
        if let Some(dataset) = self.dataset_of(&new)
            && let Some(host) = self.nodes.get_mut(node)
        {
            let now = self.now_ms / 1000;
            let made = host.zfs.snapshot(&[(dataset, BASE_SNAPSHOT.to_owned())], now);
            made.map_err(|error| format!("zfs error: {}", error.message))?;
        }
        Ok(new)
    }

    /// Makes a linked clone of a base volume for another guest.
    ///
    /// # Errors
    /// PVE's text when it is no base volume, or there is none of its name.
    pub fn link(&mut self, node: &str, volid: &str, newid: u32) -> Result<String, String> {
        let base = self.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let (storage, name) = split_volid(volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        if !is_base(volid) {
            return Err(format!("clone_image on wrong vtype '{name}'"));
        }
        let subvol = base.format == "subvol";
        let (stem, format) = match (subvol, self.is_block(storage)) {
            (true, _) => ("subvol", "subvol"),
            (false, true) => ("vm", "raw"),
            // On files a clone is an image with a backing file, whatever its base is.
            (false, false) => ("vm", "qcow2"),
        };
        let new = self.allocate(node, storage, newid, stem, format, base.size)?;
        if let Some(origin) = self.dataset_of(volid)
            && let Some(dataset) = self.dataset_of(&new)
            && let Some(host) = self.nodes.get_mut(node)
            && let Some(found) = host.zfs.datasets.get_mut(&dataset)
        {
            found.origin = Some(format!("{origin}@{BASE_SNAPSHOT}"));
        }
        let kept = self.kept_name(storage, name).to_owned();
        if let Some(volume) = self.volume_mut(node, &new) {
            volume.base = Some(kept.clone());
        }
        if self.installed.contains(volid) {
            self.installed.insert(new.clone());
        }
        let own = new.split_once(':').map_or("", |(_, own)| own);
        let nested = format!("{storage}:{kept}/{own}");
        if self.installed.remove(&new) {
            self.installed.insert(nested.clone());
        }
        Ok(nested)
    }

    /// Makes a full copy of a volume for a guest: `name` as [`World::allocate`] takes it.
    ///
    /// # Errors
    /// PVE's text when there is no such volume, or no space.
    pub fn copy(
        &mut self,
        node: &str,
        volid: &str,
        newid: u32,
        storage: &str,
        name: &str,
        format: &str,
    ) -> Result<String, String> {
        let source = self.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let new = self.allocate(node, storage, newid, name, format, source.size)?;
        if self.installed.contains(volid) {
            self.installed.insert(new.clone());
        }
        if let Some(dataset) = self.dataset_of(&new) {
            let found = self.nodes.get_mut(node).and_then(|host| host.zfs.datasets.get_mut(&dataset));
            if let Some(found) = found {
                found.used = found.used.max(source.used);
            }
        } else if let Some(volume) = self.volume_mut(node, &new) {
            volume.used = volume.used.max(source.used.min(source.size));
        }
        Ok(new)
    }

    /// Hands a volume over to another guest and gives its new id back.
    ///
    /// # Errors
    /// PVE's text when there is no such volume.
    pub fn hand_over(&mut self, node: &str, volid: &str, newid: u32) -> Result<String, String> {
        let volume = self.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let (storage, name) = split_volid(volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        let stem = if volume.format == "subvol" { "subvol" } else { "vm" };
        let ending = leaf(name).rsplit_once('.').map_or(String::new(), |(_, end)| format!(".{end}"));
        let taken = self.volumes(node, storage);
        let free = (0..)
            .map(|n| format!("{stem}-{newid}-disk-{n}"))
            .find(|base| !taken.keys().any(|name| leaf(name).split('.').next() == Some(base)));
        let new = self.rename_leaf(node, volid, &format!("{}{ending}", free.unwrap_or_default()))?;
        let Some((storage, name)) = split_volid(&new) else { return Ok(new) };
        if self.is_block(storage) {
            if let Some(volume) = self.volume_mut(node, &new) {
                volume.vmid = Some(newid);
            }
            return Ok(new);
        }
        // Files move into the directory of their new owner.
        let moved = format!("{storage}:{newid}/{}", leaf(name));
        if let Some(mut volume) = self.take_volume(node, &new) {
            volume.vmid = Some(newid);
            self.put_volume(node, &moved, volume);
        }
        if self.installed.remove(&new) {
            self.installed.insert(moved.clone());
        }
        Ok(moved)
    }

    /// Gives the last part of a volume's name another text.
    fn rename_leaf(&mut self, node: &str, volid: &str, new: &str) -> Result<String, String> {
        let absent = || format!("volume '{volid}' does not exist");
        let (storage, name) = split_volid(volid).ok_or_else(absent)?;
        let renamed = match name.rsplit_once('/') {
            Some((before, _)) => format!("{storage}:{before}/{new}"),
            None => format!("{storage}:{new}"),
        };
        match (self.dataset_of(volid), self.dataset_of(&renamed)) {
            (Some(from), Some(to)) => {
                let host = self.nodes.get_mut(node).ok_or_else(absent)?;
                let dataset = host.zfs.datasets.remove(&from).ok_or_else(absent)?;
                host.zfs.datasets.insert(to, dataset);
            }
            _ => {
                let volume: Volume = self.take_volume(node, volid).ok_or_else(absent)?;
                self.put_volume(node, &renamed, volume);
            }
        }
        if self.installed.remove(volid) {
            self.installed.insert(renamed.clone());
        }
        Ok(renamed)
    }

    /// Whether a volume is a file system of its own, as containers have them on ZFS.
    #[must_use]
    pub fn is_filesystem(&self, node: &str, volid: &str) -> bool {
        let dataset = self.dataset_of(volid);
        let host = self.nodes.get(node);
        let found = dataset.and_then(|name| host?.zfs.datasets.get(&name));
        found.is_some_and(|dataset| dataset.kind == DatasetKind::Filesystem)
    }
}
