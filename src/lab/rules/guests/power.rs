//! Starting and stopping guests. Containers refuse at once what makes no sense, VMs leave it to the worker.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::guest::access::check_skiplock;
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::tables::SKIPLOCK;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::{Guest, GuestKind, Work};
use crate::ports::Method::Post;

const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const TIMEOUT: &[Param] = &[o("timeout", FROM_0)];
const START_QEMU: &[Param] = &[o("force-cpu", Kind::Text), o("machine", Kind::Text), o("timeout", FROM_0)];
const DEBUG: &[Param] = &[o("debug", Kind::Bool)];
const STOP: &[Param] = &[o("overrule-shutdown", Kind::Bool)];
const STOP_QEMU: &[Param] = &[o("keepActive", Kind::Bool), o("timeout", FROM_0)];
const SHUTDOWN: &[Param] = &[o("forceStop", Kind::Bool), o("timeout", FROM_0)];
const KEEP_ACTIVE: &[Param] = &[o("keepActive", Kind::Bool)];
const POWER: Access = Every("/vms/{vmid}", &["VM.PowerMgmt"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/start", &[START_QEMU, SKIPLOCK], POWER, start),
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/stop", &[STOP, STOP_QEMU, SKIPLOCK], POWER, stop),
    Endpoint::new(
        Post,
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        &[SHUTDOWN, KEEP_ACTIVE, SKIPLOCK],
        POWER,
        shutdown,
    ),
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/reboot", &[TIMEOUT], POWER, reboot),
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/reset", &[SKIPLOCK], POWER, reset),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/start", &[DEBUG, SKIPLOCK], POWER, start),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/stop", &[STOP, SKIPLOCK], POWER, stop),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/shutdown", &[SHUTDOWN], POWER, shutdown),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/reboot", &[TIMEOUT], POWER, reboot),
];

fn start(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if kind == GuestKind::Lxc && guest.is_running() {
        return Err(format!("CT {vmid} already running").into());
    }
    let (task, real_ms) = if kind == GuestKind::Qemu { ("qmstart", 3000) } else { ("vzstart", 2000) };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Start { vmid }))
}

/// Containers refuse at once what makes no sense; VMs leave it to the worker.
fn need_running(call: &Call<'_>) -> Result<(), Refusal> {
    let guest = call.guest(call.kind())?;
    if guest.kind == GuestKind::Lxc && !guest.is_running() {
        return Err(format!("CT {} not running", call.vmid()).into());
    }
    Ok(())
}

fn stop(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    need_running(call)?;
    let vmid = call.vmid();
    let task = if call.kind() == GuestKind::Qemu { "qmstop" } else { "vzstop" };
    Ok(call.spawn(task, &vmid.to_string(), 1000, Work::Stop { vmid }))
}

/// How long a system inside needs to go down, in milliseconds; the whole time limit if it does not hear.
fn down_ms(call: &Call<'_>, guest: &Guest) -> i64 {
    let limit = call.values.int("timeout").unwrap_or(60).saturating_mul(1000);
    if guest.kind == GuestKind::Lxc || guest.has_booted(call.world.now_ms) { 4000.min(limit) } else { limit }
}

fn shutdown(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    need_running(call)?;
    let (vmid, force) = (call.vmid(), call.values.flag("forceStop"));
    let timeout = call.values.int("timeout").unwrap_or(60);
    let guest = call.guest(call.kind())?;
    // What is paused does not hear, and would go down when it is let on.
    if guest.is_paused() && !force {
        return Err("VM is paused - cannot shutdown".into());
    }
    if guest.is_paused() {
        return Ok(call.spawn("qmshutdown", &vmid.to_string(), 1000, Work::Stop { vmid }));
    }
    let real_ms = if guest.is_running() { down_ms(call, guest) } else { 500 };
    let task = if call.kind() == GuestKind::Qemu { "qmshutdown" } else { "vzshutdown" };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Shutdown { vmid, force, timeout }))
}

fn reboot(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let vmid = call.vmid();
    let guest = call.guest(call.kind())?;
    if guest.is_paused() {
        return Err("VM is paused - cannot shutdown".into());
    }
    if !guest.is_running() {
        // Of containers, too (9.2.11).
        return Err(format!("VM {vmid} not running").into());
    }
    let real_ms = down_ms(call, guest) + 3000;
    let task = if call.kind() == GuestKind::Qemu { "qmreboot" } else { "vzreboot" };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Reboot { vmid }))
}

fn reset(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let vmid = call.vmid();
    if !call.guest(GuestKind::Qemu)?.is_running() {
        return Err(format!("VM {vmid} not running").into());
    }
    Ok(call.spawn("qmreset", &vmid.to_string(), 500, Work::Reset { vmid }))
}
