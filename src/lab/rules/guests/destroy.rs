//! `DELETE` of a guest: a VM's lock is found by the worker, a container's at once.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::guest::access::check_skiplock;
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::{GuestKind, Work};
use crate::ports::Method::Delete;

const DESTROY_QEMU: &[Param] =
    &[o("destroy-unreferenced-disks", Kind::Bool), o("purge", Kind::Bool), o("skiplock", Kind::Bool)];

const DESTROY_LXC: &[Param] =
    &[o("destroy-unreferenced-disks", Kind::Bool), o("force", Kind::Bool), o("purge", Kind::Bool)];

const ALLOCATE: Access = Every("/vms/{vmid}", &["VM.Allocate"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Delete, "/nodes/{node}/qemu/{vmid}", &[DESTROY_QEMU], ALLOCATE, destroy),
    Endpoint::new(Delete, "/nodes/{node}/lxc/{vmid}", &[DESTROY_LXC], ALLOCATE, destroy),
];

fn destroy(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if guest.number("protection", 0) == 1 {
        return Err(match kind {
            GuestKind::Qemu => format!("can't remove VM {vmid} - protection mode enabled").into(),
            GuestKind::Lxc => format!("can't remove CT {vmid} - protection mode enabled").into(),
        });
    }
    let force = call.values.flag("force");
    if kind == GuestKind::Lxc
        && let Some(lock) = guest.lock().filter(|lock| *lock != "destroyed" && !force)
    {
        return Err(format!("CT is locked ({lock})").into());
    }
    if guest.is_running() && kind == GuestKind::Qemu {
        return Err(format!("VM {vmid} is running - destroy failed").into());
    }
    if guest.is_running() && !force {
        return Err(format!("unable to destroy CT {vmid} - container is running").into());
    }
    let task = if kind == GuestKind::Qemu { "qmdestroy" } else { "vzdestroy" };
    let work = Work::Destroy { vmid, purge: call.values.flag("purge"), force };
    Ok(call.spawn(task, &vmid.to_string(), 1500, work))
}
