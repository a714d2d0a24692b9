//! Volumes that guests' configurations name: on their storages, as large as is written there.

use super::storages::format;
use crate::lab::world::property::{Properties, is_disk, is_mount};
use crate::lab::world::{Dataset, DatasetKind, File, GuestKind, Provision, StorageKind, Volume, World, split_volid};
use crate::model::Size;

/// A drive with what cloud-init is told, where its size is not written.
const CLOUD_INIT: u64 = 4 << 20;

/// Puts the volumes of one guest there, and the directories that it mounts.
pub(super) fn seed(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get(&vmid).cloned() else { return };
    let named = guest.config.iter().filter(|(key, _)| is_disk(key) || is_mount(key) || key.starts_with("unused"));
    for (_, value) in named {
        let fields = Properties::parse(value);
        let key = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
        let Some(head) = fields.head(key).map(str::to_owned) else { continue };
        if head.starts_with('/') {
            directory(world, &guest.node, &head);
            continue;
        }
        let cdrom = fields.get("media") == Some("cdrom");
        let size = fields.get("size").and_then(Size::from_pve).map_or(CLOUD_INIT, Size::as_bytes);
        volume(world, &guest.node, &head, vmid, size);
        // Whatever runs or is to be started has a system, as far as anybody can tell from here.
        if !cdrom {
            world.installed.insert(head);
        }
    }
}

fn directory(world: &mut World, node: &str, path: &str) {
    let there = world.directory_exists(node, path);
    if let Some(host) = world.nodes.get_mut(node).filter(|_| !there && !path.starts_with("/dev/")) {
        host.directories.insert(path.to_owned(), File { mode: 0o755, ..File::default() });
    }
}

fn volume(world: &mut World, node: &str, volid: &str, vmid: u32, size: u64) {
    let Some((storage, name)) = split_volid(volid) else { return };
    let there = world.volume(node, volid).is_some();
    let Some(entry) = world.storages.get(storage).cloned() else { return };
    if let StorageKind::ZfsPool { pool, sparse } = &entry.kind {
        zvol(world, node, &format!("{pool}/{}", name.rsplit('/').next().unwrap_or(name)), *sparse, size);
    } else if !there {
        let thin = entry.provision() == Provision::Thin;
        // How full a thin volume is nobody tells; that it takes nothing leaves the room that was seen.
        let used = if thin || name.starts_with("iso/") { 0 } else { size };
        let owner = (!name.starts_with("iso/")).then_some(vmid);
        let made = Volume { format: format(name).to_owned(), size, used, vmid: owner, ..Volume::default() };
        world.put_volume(node, volid, made);
        // What is free was seen with this volume on it.
        let capacity = world.nodes.get_mut(node).and_then(|host| host.capacities.get_mut(storage));
        if let Some(capacity) = capacity {
            capacity.other = capacity.other.saturating_sub(used);
        }
    }
}

fn zvol(world: &mut World, node: &str, name: &str, sparse: bool, size: u64) {
    let Some(host) = world.nodes.get_mut(node) else { return };
    let subvol = name.contains("subvol-") || name.contains("basevol-");
    let kind = if subvol { DatasetKind::Filesystem } else { DatasetKind::Volume };
    let known = host.zfs.datasets.contains_key(name);
    let made = || Dataset { kind, mode: 0o755, mounted: subvol, ..Dataset::default() };
    let found = host.zfs.datasets.entry(name.to_owned()).or_insert_with(made);
    let property = if subvol { "refquota" } else { "volsize" };
    found.properties.insert(property.to_owned(), size.to_string());
    // Volumes are in no list of file systems: what they take is in what was read of their parent.
    if !known && !subvol && !sparse {
        found.properties.insert("refreservation".to_owned(), size.to_string());
        let parent = name.rsplit_once('/').map(|(parent, _)| parent).unwrap_or_default();
        if let Some(parent) = host.zfs.datasets.get_mut(parent) {
            parent.used = parent.used.saturating_sub(size);
        }
    }
}
