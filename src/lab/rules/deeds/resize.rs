//! Growing a guest's volume.

use crate::lab::rules::guest::disks;
use crate::lab::rules::guest::status::locked;
use crate::lab::world::{Guest, GuestKind, World};
use crate::model::Size;

/// Sets the size of a volume, or adds to it.
///
/// # Errors
/// PVE's text.
pub fn resize(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    disk: &str,
    size: &str,
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    let value = guest.config.get(disk).ok_or_else(|| format!("disk '{disk}' does not exist"))?;
    let head = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
    let mut fields = disks::normal(value, head);
    let volid = fields.take("").unwrap_or_default();
    let old = world.volume(&guest.node, &volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
    let new = disks::resized(old.size, size).ok_or("unable to parse size")?;
    if new < old.size {
        return Err("shrinking disks is not supported".to_owned());
    }
    world.resize(&guest.node, &volid, new)?;
    if !world.is_zfs(volid.split(':').next().unwrap_or_default()) {
        log.push("Image resized.".to_owned());
    }
    fields.set("size", Size::bytes(new).to_pve());
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.config.insert(disk.to_owned(), fields.print(&volid, &["mp"]));
    }
    Ok("OK".to_owned())
}
