//! `GET /nodes/N/qemu` and `…/lxc`: the guests that the caller may see.

use serde_json::Value;

use crate::lab::rules::endpoint::Access::All;
use crate::lab::rules::guest::status;
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::GuestKind;
use crate::ports::Method::Get;

const FULL: &[Param] = &[o("full", Kind::Bool)];

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/qemu", &[FULL], All, list_qemu),
    Endpoint::new(Get, "/nodes/{node}/lxc", &[], All, list_lxc),
];

fn list(call: &Call<'_>, kind: GuestKind) -> Answer {
    let node = call.node();
    let rows = call.world.guests.iter().filter(|(_, g)| g.kind == kind && g.node == node);
    let visible = rows.filter(|(vmid, _)| call.world.may(call.caller, &format!("/vms/{vmid}"), &["VM.Audit"]));
    Value::Array(visible.map(|(vmid, guest)| Value::Object(status::row(call.world, *vmid, guest))).collect()).into()
}

fn list_qemu(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(list(call, GuestKind::Qemu))
}

fn list_lxc(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(list(call, GuestKind::Lxc))
}
