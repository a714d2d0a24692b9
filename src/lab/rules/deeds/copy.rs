//! Copying one volume of a guest, to another guest or another storage.

use crate::lab::rules::guest::disk_log::{filesystem, formatting, transferred};
use crate::lab::world::{Guest, GuestKind, World, split_volid};

/// What is copied, and where to.
#[derive(Debug)]
pub struct Copied<'a> {
    /// Key of the volume, such as `scsi0`.
    pub key: &'a str,
    /// The volume.
    pub volid: &'a str,
    /// Guest that the copy is for.
    pub newid: u32,
    /// Storage that it goes to; that of the source, if none is said.
    pub storage: Option<&'a str>,
    /// Format that it gets, if the storage has it; else that of the source.
    pub format: Option<&'a str>,
}

/// Copies a volume and gives the id of the copy back.
///
/// # Errors
/// PVE's text when there is no such volume or no space.
pub fn copy(world: &mut World, guest: &Guest, plan: &Copied<'_>, log: &mut Vec<String>) -> Result<String, String> {
    let Copied { key, volid, newid, .. } = plan;
    let (own, _) = split_volid(volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
    let storage = plan.storage.unwrap_or(own).to_owned();
    let source = world.volume(&guest.node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
    match guest.kind {
        GuestKind::Qemu => {
            log.push(format!("create full clone of drive {key} ({volid})"));
            let wanted = plan.format.unwrap_or(&source.format);
            let format = if world.is_block(&storage) || wanted == "subvol" { "raw" } else { wanted };
            let image = volid.contains("-cloudinit");
            let name = if image { format!("vm-{newid}-cloudinit") } else { "vm".to_owned() };
            let new = world.copy(&guest.node, volid, *newid, &storage, &name, format)?;
            log.extend(formatting(world, &guest.node, &new));
            log.push(format!("allocated target volume '{new}'"));
            if !image {
                log.extend(transferred(source.size));
            }
            Ok(new)
        }
        GuestKind::Lxc => {
            log.push(format!("create full clone of mountpoint {key} ({volid})"));
            copy_files(world, guest, plan, &storage, log)
        }
    }
}

/// Copies the files of a container's volume: what `rsync` says of it is left out.
///
/// # Errors
/// PVE's text when there is no such volume or no space.
pub fn copy_files(
    world: &mut World,
    guest: &Guest,
    plan: &Copied<'_>,
    storage: &str,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let (stem, format) = if world.is_zfs(storage) { ("subvol", "subvol") } else { ("vm", "raw") };
    let new = world.copy(&guest.node, plan.volid, plan.newid, storage, stem, format)?;
    log.extend(formatting(world, &guest.node, &new));
    let uuid = world.next_uuid();
    log.extend(filesystem(world, &guest.node, &new, &uuid));
    Ok(new)
}
