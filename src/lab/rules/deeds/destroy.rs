//! Removing guests with everything that is theirs.

use super::power::halt;
use crate::lab::rules::guest::status::locked;
use crate::lab::rules::guest::volumes::owned_volumes;
use crate::lab::world::{Guest, GuestKind, World};

/// Removes every trace of a guest but its volumes: configuration, firewall, ACLs, pool membership.
pub fn forget(world: &mut World, vmid: u32) {
    world.guests.remove(&vmid);
    world.guest_firewalls.remove(&vmid);
    let path = format!("/vms/{vmid}");
    world.access.acls.retain(|acl| acl.path != path);
    for pool in world.pools.values_mut() {
        pool.guests.remove(&vmid);
    }
}

/// Removes a guest with its volumes.
///
/// # Errors
/// PVE's text.
pub fn destroy(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    purge: bool,
    force: bool,
    log: &mut Vec<String>,
) -> Result<String, String> {
    if guest.kind == GuestKind::Qemu {
        locked(guest)?;
    }
    if guest.is_running() && force {
        log.push(format!("forced to stop CT {vmid} before destroying!"));
        halt(world, vmid);
    } else if guest.is_running() {
        return Err(format!("{} {vmid} is running - destroy failed", guest.kind.noun()));
    }
    if let Some(volid) = owned_volumes(guest).into_iter().find(|volid| world.is_base_in_use(&guest.node, volid)) {
        let name = volid.split_once(':').map_or(volid.as_str(), |(_, name)| name);
        return Err(match guest.kind {
            GuestKind::Qemu => format!("base volume '{volid}' is still in use by linked cloned"),
            GuestKind::Lxc => format!("base volume '{name}' is still in use by linked clones"),
        });
    }
    for volid in owned_volumes(guest) {
        // A volume of somebody else that is merely mentioned stays.
        if world.volume(&guest.node, &volid).is_some_and(|v| v.vmid == Some(vmid)) {
            world.free(&guest.node, &volid)?;
            world.installed.remove(&volid);
        }
    }
    if purge {
        log.push(format!("purging {} {vmid} from related configurations..", guest.kind.noun()));
    }
    forget(world, vmid);
    Ok("OK".to_owned())
}
