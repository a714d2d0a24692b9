//! Changing a container's configuration.

use std::collections::BTreeMap;

use crate::lab::rules::guest::disks;
use crate::lab::rules::guest::lxc_keys::NOT_CONFIG;
use crate::lab::rules::guest::lxc_pending::settle;
use crate::lab::rules::guest::lxc_values::stored;
use crate::lab::rules::{Refusal, split_list};
use crate::lab::world::property::{indexed, is_mount};
use crate::lab::world::{Pending, World};

/// Carries a change out that has been checked.
///
/// # Errors
/// PVE's text.
pub fn change(
    world: &mut World,
    vmid: u32,
    params: &BTreeMap<String, String>,
    deleted: &[String],
) -> Result<(), Refusal> {
    let Some(guest) = world.guests.get(&vmid).cloned() else { return Ok(()) };
    let node = guest.node.clone();
    for key in split_list(params.get("revert").map_or("", String::as_str)) {
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
        }
    }
    for key in deleted {
        let unused = indexed(key).is_some_and(|(stem, _)| stem == "unused");
        if let (true, Some(volid)) = (unused, guest.config.get(key)) {
            world.free(&node, volid)?;
            if let Some(guest) = world.guests.get_mut(&vmid) {
                guest.config.remove(key);
            }
        } else if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
            if guest.config.contains_key(key) {
                guest.pending.insert(key.clone(), Pending::Delete);
            }
        }
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let (mut log, mut made) = (Vec::new(), Vec::new());
        let stored = if is_mount(key) {
            disks::make_mount(world, &node, vmid, value, &mut log, &mut made)?
        } else {
            stored(world, key, value)
        };
        if let Some(guest) = world.guests.get_mut(&vmid) {
            if key == "description" && value.is_empty() {
                guest.config.remove(key);
            } else {
                guest.pending.insert(key.clone(), Pending::Set(stored));
            }
        }
    }
    settle(world, vmid);
    Ok(())
}
