//! Who may make guests, put them into pools and attach them to bridges.
//!
//! Privileges per key of a configuration are with the keys: [`qemu_keys`](super::qemu_keys), [`lxc_keys`](super::lxc_keys).

use crate::lab::rules::{Call, Refusal, need};
use crate::lab::world::{Caller, World};

/// Whether the caller may make this guest: by its id, or by its pool.
///
/// # Errors
/// 403 without a path in it, as PVE says it here.
pub fn may_create(call: &Call<'_>, vmid: u32, pool: Option<&str>) -> Result<(), Refusal> {
    if let Some(pool) = pool {
        if !call.world.pools.contains_key(pool) {
            return Err(Refusal::denied(&format!("pool '{pool}' does not exist")));
        }
        if call.world.may(call.caller, &format!("/pool/{pool}"), &["VM.Allocate"]) {
            return Ok(());
        }
    }
    if call.world.may(call.caller, &format!("/vms/{vmid}"), &["VM.Allocate"]) {
        Ok(())
    } else {
        Err(Refusal::denied(""))
    }
}

/// Puts a new guest into its pool.
pub fn join_pool(world: &mut World, vmid: u32, pool: Option<&str>) {
    if let Some(pool) = pool.and_then(|pool| world.pools.get_mut(pool)) {
        pool.guests.insert(vmid);
    }
}

/// Whether the caller may attach guests to a bridge.
///
/// # Errors
/// 403 that names the bridge's path.
pub fn may_use_bridge(world: &World, caller: &Caller, bridge: &str) -> Result<(), Refusal> {
    need(world, caller, &format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])
}

/// Refuses `skiplock` to everybody but root@pam.
///
/// # Errors
/// 400 that names it.
pub fn check_skiplock(call: &Call<'_>) -> Result<(), Refusal> {
    if call.values.flag("skiplock") && !call.caller.is_root_pam() {
        return Err(Refusal::param("skiplock", "Only root may use this option."));
    }
    Ok(())
}

/// Whether a storage is there on a node and switched on.
///
/// # Errors
/// PVE's text, which says what of it is missing.
pub fn storage_enabled(world: &World, node: &str, storage: &str) -> Result<(), Refusal> {
    let entry = world.storages.get(storage).ok_or_else(|| format!("storage '{storage}' does not exist"))?;
    if entry.disabled {
        return Err(format!("storage '{storage}' is disabled").into());
    }
    if !entry.serves(node) {
        return Err(format!("storage '{storage}' is not available on node '{node}'").into());
    }
    Ok(())
}
