//! Values of a VM's configuration as they are stored.

use std::collections::BTreeMap;

use super::{config, disks, password};
use crate::lab::world::property::{Properties, indexed, is_disk};
use crate::lab::world::{GuestKind, World};

/// The first disk, the first CD drive, the first NIC.
pub fn default_boot(built: &BTreeMap<String, String>) -> String {
    let bus = |key: &str| match indexed(key).map(|(stem, _)| stem) {
        Some("ide") => 0,
        Some("scsi") => 1,
        Some("virtio") => 2,
        Some("sata") => 3,
        _ => 4,
    };
    let mut drives: Vec<&String> = built.keys().filter(|k| is_disk(k) && bus(k) < 4).collect();
    drives.sort_by_key(|key| (bus(key), indexed(key).map_or(0, |(_, n)| n)));
    let cdrom = |key: &&&String| Properties::parse(&built[**key]).get("media") == Some("cdrom");
    let disk = drives.iter().find(|k| !cdrom(k));
    let cd = drives.iter().find(cdrom);
    let nic = built.keys().find(|k| indexed(k).is_some_and(|(stem, _)| stem == "net"));
    let order: Vec<&str> = [disk.copied(), cd.copied(), nic].into_iter().flatten().map(String::as_str).collect();
    if order.is_empty() { " ".to_owned() } else { format!("order={}", order.join(";")) }
}

/// A value as it goes into the configuration; makes disks that are asked for.
pub fn stored(
    world: &mut World,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<String, String> {
    Ok(match indexed(key).map_or(key, |(stem, _)| stem) {
        _ if is_disk(key) => disks::make(world, node, vmid, key, value, log, made)?,
        "net" => config::qemu_net(world, value),
        "tags" => config::tags(world, value),
        "description" => config::description(GuestKind::Qemu, value),
        // Passwords are never kept in clear text.
        "cipassword" if !password::is_hash(value) => {
            let salt = password::salt(world.next_random());
            password::hash(value, &salt)
        }
        "vmgenid" if value == "1" => world.next_uuid(),
        _ => config::number(GuestKind::Qemu, key, value),
    })
}
