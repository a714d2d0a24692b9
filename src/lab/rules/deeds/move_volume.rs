//! Moving a guest's volume to another storage, or to another guest.

use super::copy::{self, Copied};
use super::template;
use crate::lab::rules::guest::qemu_pending::settle;
use crate::lab::rules::guest::status::locked;
use crate::lab::rules::guest::{config, disks};
use crate::lab::world::property::indexed;
use crate::lab::world::{Guest, GuestKind, Pending, World, split_volid};
use crate::model::Size;

/// A container is locked while a volume of it moves; a VM is not.
pub fn begin(world: &mut World, vmid: u32) {
    if let Some(guest) = world.guests.get_mut(&vmid).filter(|guest| guest.kind == GuestKind::Lxc) {
        guest.config.insert("lock".to_owned(), "disk".to_owned());
    }
}

fn volid_of(guest: &Guest, key: &str) -> Result<String, String> {
    let value = guest.config.get(key).ok_or_else(|| format!("disk '{key}' does not exist"))?;
    let head = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
    Ok(disks::normal(value, head).get("").unwrap_or_default().to_owned())
}

/// Copies a volume to another storage, where the guest has it from then on.
///
/// # Errors
/// PVE's text; nothing has changed then.
pub fn to_storage(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    (key, storage, format): (&str, &str, Option<&str>),
    delete: bool,
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    let old = volid_of(guest, key)?;
    let plan = Copied { key, volid: &old, newid: vmid, storage: Some(storage), format };
    let new = match guest.kind {
        GuestKind::Qemu => {
            let own = split_volid(&old).map(|(own, _)| own).unwrap_or_default();
            log.push(format!("copying volume '{old}' from current storage '{own}' to target storage '{storage}'"));
            copy::copy(world, guest, &plan, log).map_err(|text| format!("storage migration failed: {text}"))?
        }
        GuestKind::Lxc => copy::copy_files(world, guest, &plan, storage, log)?,
    };
    let size = world.volume(&guest.node, &new).map_or(0, |volume| volume.size);
    if let Some(found) = world.guests.get_mut(&vmid) {
        let head = if found.kind == GuestKind::Qemu { "file" } else { "volume" };
        let mut fields = disks::normal(found.config.get(key).map_or("", String::as_str), head);
        fields.take("");
        if fields.get("size").is_some() {
            fields.set("size", Size::bytes(size).to_pve());
        }
        found.config.insert(key.to_owned(), fields.print(&new, &["mp"]));
        if !delete {
            let unused = config::unused_key(found);
            if found.kind == GuestKind::Qemu {
                log.push(format!("adding source volume '{old}' as '{unused}' to config"));
            }
            found.config.insert(unused, old.clone());
        }
    }
    if guest.number("template", 0) == 1
        && let Some(now) = world.guests.get(&vmid).cloned()
    {
        template::template(world, &now, vmid, Some(key))?;
    }
    if delete {
        if guest.kind == GuestKind::Qemu {
            log.push(format!("removing source volume '{old}' after successful copy"));
        }
        world.free(&guest.node, &old)?;
        world.installed.remove(&old);
    }
    Ok("OK".to_owned())
}

/// Hands a volume over to another guest.
///
/// # Errors
/// PVE's text; nothing has changed then.
pub fn to_guest(
    world: &mut World,
    guest: &Guest,
    (vmid, key): (u32, &str),
    (target, target_key): (u32, &str),
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    let value = guest.config.get(key).cloned().ok_or_else(|| format!("disk '{key}' does not exist"))?;
    let old = volid_of(guest, key)?;
    let qemu = guest.kind == GuestKind::Qemu;
    log.push(match guest.kind {
        GuestKind::Qemu => format!("reassign disk '{key}' from VM '{vmid}' as '{target_key}' to VM '{target}'"),
        GuestKind::Lxc => format!("moving volume '{key}' from container '{vmid}' to '{target}'"),
    });
    let new = world.hand_over(&guest.node, &old, target)?;
    if let Some(source) = world.guests.get_mut(&vmid) {
        source.config.remove(key);
        if let Some(order) = source.config.get_mut("boot").filter(|order| order.starts_with("order=")) {
            let devices: Vec<&str> = order["order=".len()..].split(';').filter(|device| *device != key).collect();
            *order = format!("order={}", devices.join(";"));
        }
        log.push(if qemu {
            format!("removing disk '{key}' from VM '{vmid}' config")
        } else {
            format!("removing volume '{key}' from container '{vmid}' config")
        });
    }
    let unused = indexed(target_key).is_some_and(|(stem, _)| stem == "unused");
    let printed = if unused { new } else { value.replacen(&old, &new, 1) };
    if let Some(other) = world.guests.get_mut(&target) {
        if qemu && !unused && other.is_running() {
            other.pending.insert(target_key.to_owned(), Pending::Set(printed));
            let only = [target_key.to_owned()].into();
            settle(world, target, Some(&only)).map_err(|refusal| refusal.text())?;
        } else {
            other.config.insert(target_key.to_owned(), printed);
        }
    }
    if !qemu {
        log.push(format!("target container '{target}' updated with '{target_key}'"));
    }
    Ok("OK".to_owned())
}
