//! Volumes that a guest holds: what goes with it, what a snapshot takes along.

use super::disks;
use crate::lab::world::property::{Properties, indexed, is_disk, is_mount};
use crate::lab::world::{Guest, GuestKind, Pending, World, split_volid};

/// Volumes of a guest that a snapshot takes along, in PVE's order, with their keys.
#[must_use]
pub fn volumes(guest: &Guest) -> Vec<(String, String)> {
    let order = |key: &str| match (key, indexed(key)) {
        ("rootfs", _) => (0, 0),
        (_, Some((stem, n))) => {
            let buses = ["mp", "ide", "scsi", "virtio", "sata", "efidisk", "tpmstate"];
            (1 + buses.iter().position(|b| *b == stem).unwrap_or(9), n)
        }
        _ => (99, 0),
    };
    let mut found: Vec<(String, String)> = guest
        .config
        .iter()
        .filter(|(key, _)| if guest.kind == GuestKind::Qemu { is_disk(key) } else { is_mount(key) })
        .filter(|(_, value)| Properties::parse(value).get("media") != Some("cdrom"))
        .map(|(key, value)| {
            let head = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
            (key.clone(), disks::normal(value, head).get("").unwrap_or_default().to_owned())
        })
        .collect();
    found.sort_by_key(|(key, _)| order(key));
    found
}

/// Whether every volume of a guest can be snapshotted: bind mounts and raw files cannot.
#[must_use]
pub fn possible(world: &World, guest: &Guest) -> bool {
    volumes(guest)
        .iter()
        .all(|(_, volid)| world.volume(&guest.node, volid).is_some() && world.keeps_snapshots(&guest.node, volid))
}

/// Every volume that a guest's configuration, snapshots and pending changes name, but images and snippets.
#[must_use]
pub fn owned_volumes(guest: &Guest) -> Vec<String> {
    let sections = std::iter::once(&guest.config).chain(guest.snapshots.values().map(|s| &s.config));
    let mut volids: Vec<String> = sections
        .flat_map(|config| config.iter())
        .filter(|(key, _)| is_disk(key) || is_mount(key) || key.starts_with("unused"))
        .filter_map(|(_, value)| value.split(',').next())
        .map(|head| head.trim_start_matches("file=").trim_start_matches("volume=").to_owned())
        .chain(guest.pending.values().filter_map(|p| match p {
            Pending::Set(value) => value.split(',').next().map(str::to_owned),
            Pending::Delete | Pending::Destroy => None,
        }))
        .filter(|volid| {
            split_volid(volid).is_some_and(|(_, name)| !name.starts_with("iso/") && !name.starts_with("snippets/"))
        })
        .collect();
    volids.sort();
    volids.dedup();
    volids
}
