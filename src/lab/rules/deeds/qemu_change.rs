//! Changing a VM's configuration, at once or as the `qmconfig` worker does.

use std::collections::BTreeMap;

use crate::lab::rules::guest::config;
use crate::lab::rules::guest::qemu_keys::NOT_CONFIG;
use crate::lab::rules::guest::qemu_pending::{settle, touched};
use crate::lab::rules::guest::qemu_values::stored;
use crate::lab::rules::{Refusal, split_list};
use crate::lab::world::property::indexed;
use crate::lab::world::{GuestKind, Pending, World};

/// Carries a change out that has been checked: what is set and deleted goes to *pending* first, and from
/// there into effect as far as the VM's state lets it.
///
/// # Errors
/// PVE's text; 400 for what a running VM would not let go of.
pub fn change(
    world: &mut World,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Some(guest) = world.guests.get(&vmid).cloned() else { return Ok(()) };
    let node = guest.node.clone();
    for key in split_list(params.get("revert").map_or("", String::as_str)) {
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
        }
    }
    let force = params.get("force").is_some_and(|force| force == "1");
    for key in config::deletions(GuestKind::Qemu, params)? {
        let unused = indexed(&key).is_some_and(|(stem, _)| stem == "unused");
        if let (true, Some(volid)) = (unused, guest.config.get(&key)) {
            world.free(&node, volid)?;
            world.installed.remove(volid);
            if let Some(guest) = world.guests.get_mut(&vmid) {
                guest.config.remove(&key);
            }
        } else if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(&key);
            if guest.config.contains_key(&key) {
                guest.pending.insert(key, if force { Pending::Destroy } else { Pending::Delete });
            }
        }
    }
    if let Some(order) = params.get("boot").and_then(|b| b.strip_prefix("order=")) {
        for device in order.split(';').filter(|d| !d.is_empty()) {
            if !guest.wanted().contains_key(device) && !params.contains_key(device) {
                return Err(format!("invalid bootorder: device '{device}' does not exist'").into());
            }
        }
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let mut made = Vec::new();
        let stored = stored(world, &node, vmid, key, value, log, &mut made)?;
        if let Some(guest) = world.guests.get_mut(&vmid) {
            if key == "description" && stored.is_empty() {
                guest.config.remove(key);
                continue;
            }
            guest.pending.insert(key.clone(), Pending::Set(stored));
        }
    }
    let touched = touched(params);
    settle(world, vmid, Some(&touched))
}
