//! A guest's own disk: how large it is, and what of it is taken.

use super::world::property::Properties;
use super::world::{Guest, World};

/// What a system takes before anybody does anything with it, in bytes.
const SYSTEM: u64 = 2 << 30;

/// Size of a guest's root file system in bytes.
#[must_use]
pub fn size(guest: &Guest) -> u64 {
    let keys = ["rootfs", "scsi0", "virtio0", "sata0"];
    let size = keys.iter().find_map(|key| Properties::parse(guest.config.get(*key)?).get("size").map(str::to_owned));
    let Some(text) = size else { return 8 << 30 };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().unwrap_or(8);
    number
        << match &text[digits..] {
            "T" => 40,
            "G" => 30,
            "M" => 20,
            "K" => 10,
            _ => 0,
        }
}

/// What of it is taken, in bytes.
#[must_use]
pub fn used(guest: &Guest) -> u64 {
    let files: u64 = guest.files.values().map(|file| file.content.len() as u64).sum();
    let packages = guest.inside.packages.len() as u64 * (40 << 20);
    let docker = guest.docker.as_ref().map_or(0, super::world::Docker::bytes);
    (SYSTEM + files + packages + docker + guest.inside.ballast).min(size(guest))
}

/// What of it is free, in bytes.
#[must_use]
pub fn free(world: &World, vmid: u32) -> u64 {
    world.guests.get(&vmid).map_or(0, |guest| size(guest) - used(guest))
}
