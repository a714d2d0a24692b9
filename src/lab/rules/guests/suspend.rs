//! Pausing a VM, keeping its state on a storage, and letting it go on.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::formats as f;
use crate::lab::rules::guest::access::check_skiplock;
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::tables::SKIPLOCK;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::indexed;
use crate::lab::world::{Guest, GuestKind, Work, World, split_volid};
use crate::ports::Method::Post;

const SUSPEND: &[Param] = &[o("statestorage", Kind::Format(f::storage_id)), o("todisk", Kind::Bool)];
const RESUME: &[Param] = &[o("nocheck", Kind::Bool)];
const POWER: Access = Every("/vms/{vmid}", &["VM.PowerMgmt"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/suspend", &[SUSPEND, SKIPLOCK], POWER, suspend),
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/resume", &[RESUME, SKIPLOCK], POWER, resume),
];

fn suspend(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let vmid = call.vmid();
    check_skiplock(call)?;
    let to_disk = call.values.flag("todisk");
    if call.values.get("statestorage").is_some() && call.values.get("todisk").is_none() {
        return Err(Refusal::param("statestorage", "missing property - 'todisk' requires this property"));
    }
    let guest = call.guest(GuestKind::Qemu)?;
    if !guest.is_running() {
        return Err(format!("VM {vmid} not running").into());
    }
    if !to_disk {
        return Ok(call.spawn("qmpause", &vmid.to_string(), 500, Work::Suspend { vmid, to: None }));
    }
    call.need(&format!("/vms/{vmid}"), &["VM.Config.Disk"])?;
    // The state of a real card cannot be saved.
    if guest.config.keys().any(|key| indexed(key).is_some_and(|(stem, _)| stem == "hostpci")) {
        return Err("cannot suspend VM to disk due to passed-through PCI device(s), which lack the possibility to \
                    save/restore their internal state"
            .into());
    }
    let storage = call.values.get("statestorage").map_or_else(|| state_storage(call.world, guest), str::to_owned);
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    Ok(call.spawn("qmsuspend", &vmid.to_string(), 8000, Work::Suspend { vmid, to: Some(storage) }))
}

/// Where a VM's state goes if nobody says: `vmstatestorage`, else the storage of its first disk, else `local`.
fn state_storage(world: &World, guest: &Guest) -> String {
    let of_disk = || {
        let volumes = crate::lab::rules::guest::volumes::volumes(guest);
        volumes.iter().find_map(|(_, volid)| Some(split_volid(volid)?.0.to_owned()))
    };
    let named = guest.config.get("vmstatestorage").cloned();
    named.or_else(of_disk).filter(|id| world.storages.contains_key(id)).unwrap_or_else(|| "local".to_owned())
}

fn resume(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let vmid = call.vmid();
    check_skiplock(call)?;
    if call.values.flag("nocheck") && !call.caller.is_root_pam() {
        return Err(Refusal::param("nocheck", "Only root may use this option."));
    }
    let guest = call.guest(GuestKind::Qemu)?;
    if !guest.is_running() && guest.lock() != Some("suspended") {
        return Err(format!("VM {vmid} not running").into());
    }
    Ok(call.spawn("qmresume", &vmid.to_string(), 500, Work::Resume { vmid }))
}
