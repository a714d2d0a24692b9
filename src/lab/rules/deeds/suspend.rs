//! Pausing a VM and letting it go on; with its state on a storage, if that was asked for.

use super::start;
use crate::lab::rules::guest::status::{self, locked};
use crate::lab::world::{Guest, World};

/// Pauses a VM, or keeps its state on a storage and ends its process.
///
/// # Errors
/// PVE's text when it is locked, or there is no space for its state.
pub fn suspend(world: &mut World, guest: &Guest, vmid: u32, to: Option<&str>) -> Result<String, String> {
    locked(guest)?;
    let Some(storage) = to else {
        if let Some(run) = world.guests.get_mut(&vmid).and_then(|g| g.run.as_mut()) {
            run.paused = true;
        }
        return Ok("OK".to_owned());
    };
    let day = jiff::Timestamp::from_second(world.now()).map(|at| at.strftime("%Y-%m-%d").to_string());
    let name = format!("vm-{vmid}-state-suspend-{}", day.unwrap_or_default());
    // Memory twice and half a GiB: what the driver state takes besides.
    let size = status::memory(guest) * 2 + (500 << 20);
    let volid = world.allocate(&guest.node, storage, vmid, &name, "raw", size)?;
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.run = None;
        guest.config.insert("lock".to_owned(), "suspended".to_owned());
        guest.config.insert("vmstate".to_owned(), volid);
    }
    Ok("OK".to_owned())
}

/// Lets a paused VM go on, or starts one whose state was kept.
///
/// # Errors
/// PVE's text when it is locked or does not start.
pub fn resume(world: &mut World, guest: &Guest, vmid: u32, log: &mut Vec<String>) -> Result<String, String> {
    if guest.lock() == Some("suspended") {
        return start::start(world, vmid, log);
    }
    locked(guest)?;
    if let Some(run) = world.guests.get_mut(&vmid).and_then(|g| g.run.as_mut()) {
        run.paused = false;
    }
    Ok("OK".to_owned())
}
