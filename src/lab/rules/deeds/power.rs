//! Taking guests down: at once, by asking the system inside, and up again.

use super::start;
use crate::lab::rules::guest::status::{self, locked};
use crate::lab::rules::guest::{lxc_pending, qemu_pending};
use crate::lab::world::{Guest, GuestKind, World};

/// Ends a guest's process at once.
///
/// # Errors
/// PVE's text when it is locked.
pub fn stop(world: &mut World, guest: &Guest, vmid: u32) -> Result<String, String> {
    locked(guest)?;
    halt(world, vmid);
    Ok("OK".to_owned())
}

/// Asks the system inside to go down. If it does not hear within `limit` seconds that fails; without a limit its process
/// is ended then.
///
/// # Errors
/// PVE's text when it is locked or does not go down in time.
pub fn shutdown(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    limit: Option<i64>,
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    if let Some(limit) = limit
        && guest.is_running()
        && !guest.has_booted(world.now_ms)
    {
        return deaf(guest, vmid, limit, log);
    }
    halt(world, vmid);
    Ok("OK".to_owned())
}

/// Asks the system inside to go down and starts the guest again.
///
/// # Errors
/// PVE's text when it is locked, does not go down in time, or does not start.
pub fn reboot(world: &mut World, guest: &Guest, vmid: u32, log: &mut Vec<String>) -> Result<String, String> {
    locked(guest)?;
    if !guest.has_booted(world.now_ms) {
        return deaf(guest, vmid, 60, log);
    }
    halt(world, vmid);
    start::start(world, vmid, log)
}

/// Resets a VM: the system inside boots again, pending changes stay pending.
///
/// # Errors
/// PVE's text when it is locked.
pub fn reset(world: &mut World, guest: &Guest, vmid: u32) -> Result<String, String> {
    locked(guest)?;
    let (now, pace) = (world.now_ms, i64::from(world.pace));
    if let Some(run) = world.guests.get_mut(&vmid).and_then(|g| g.run.as_mut()) {
        run.booted_ms = run.booted_ms.map(|_| now + 12_000 * pace / 100);
    }
    Ok("OK".to_owned())
}

fn deaf(guest: &Guest, vmid: u32, limit: i64, log: &mut Vec<String>) -> Result<String, String> {
    if status::agent_enabled(guest) {
        log.push(format!("QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"));
    }
    Err(match guest.kind {
        GuestKind::Qemu => "VM quit/powerdown failed - got timeout".to_owned(),
        GuestKind::Lxc => {
            log.push(format!("command 'lxc-stop -n {vmid} --nokill --timeout {limit}' failed: exit code 1"));
            "container did not stop".to_owned()
        }
    })
}

/// Ends a guest's process; what was pending takes effect then.
pub fn halt(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    guest.run = None;
    match guest.kind {
        // Nothing is plugged in a machine that is off: this cannot be refused.
        GuestKind::Qemu => drop(qemu_pending::settle(world, vmid, None)),
        GuestKind::Lxc => lxc_pending::settle(world, vmid),
    }
}
