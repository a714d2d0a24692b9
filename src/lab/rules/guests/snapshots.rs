//! Snapshots of guests: listing, making, going back, removing.

use serde_json::{Value, json};

use crate::lab::rules::endpoint::Access::{self, All, Any, Every};
use crate::lab::rules::guest::config;
use crate::lab::rules::guest::features::{Feature, of_guest};
use crate::lab::rules::param::{Kind, Param, optional as o, required};
use crate::lab::rules::tables::SNAPSHOT_NAME;
use crate::lab::rules::work::begin;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::{GuestKind, Work};
use crate::ports::Method::{Delete, Get, Post, Put};

const FEATURE: &[Param] =
    &[required("feature", Kind::Enum(&["snapshot", "clone", "copy"])), o("snapname", SNAPSHOT_NAME)];
const CREATE: &[Param] = &[required("snapname", SNAPSHOT_NAME), o("description", Kind::Text)];
const VMSTATE: &[Param] = &[o("vmstate", Kind::Bool)];
const DESCRIBE: &[Param] = &[o("description", Kind::Text)];
const START: &[Param] = &[o("start", Kind::Bool)];
const FORCE: &[Param] = &[o("force", Kind::Bool)];
const READ: Access = Every("/vms/{vmid}", &["VM.Audit"]);
const WRITE: Access = Every("/vms/{vmid}", &["VM.Snapshot"]);
const BACK: Access = Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]);
const LOOK: Access = Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"]);

macro_rules! rows {
    ($base:literal, $create:expr) => {
        &[
            Endpoint::new(Get, concat!($base, "/feature"), &[FEATURE], READ, feature),
            Endpoint::new(Get, concat!($base, "/snapshot"), &[], READ, list),
            Endpoint::new(Post, concat!($base, "/snapshot"), $create, WRITE, create),
            Endpoint::new(Get, concat!($base, "/snapshot/{snapname}"), &[], All, index),
            Endpoint::new(Delete, concat!($base, "/snapshot/{snapname}"), &[FORCE], WRITE, delete),
            Endpoint::new(Get, concat!($base, "/snapshot/{snapname}/config"), &[], LOOK, get_config),
            Endpoint::new(Put, concat!($base, "/snapshot/{snapname}/config"), &[DESCRIBE], WRITE, describe),
            Endpoint::new(Post, concat!($base, "/snapshot/{snapname}/rollback"), &[START], BACK, rollback),
        ]
    };
}

/// The rows of VMs.
pub const QEMU: &[Endpoint] = rows!("/nodes/{node}/qemu/{vmid}", &[CREATE, VMSTATE]);
/// The rows of containers.
pub const LXC: &[Endpoint] = rows!("/nodes/{node}/lxc/{vmid}", &[CREATE]);

fn feature(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    let feature = match call.values.text("feature") {
        "copy" => Feature::Copy,
        "clone" => Feature::Clone,
        _ => Feature::Snapshot,
    };
    let snapshot = call.values.get("snapname");
    let mut then = guest.clone();
    if let Some(name) = snapshot {
        let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        then.config = found.config.clone();
    }
    let has = of_guest(call.world, &then, feature, snapshot);
    let mut row = json!({"hasFeature": u8::from(has)});
    if guest.kind == GuestKind::Qemu {
        row["nodes"] = json!([guest.node]);
    }
    Ok(row.into())
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    let mut rows: Vec<Value> = guest
        .snapshots
        .iter()
        .map(|(name, snapshot)| {
            let description = if snapshot.description.is_empty() {
                String::new()
            } else {
                config::description(guest.kind, &snapshot.description)
            };
            let mut row = json!({"name": name, "snaptime": snapshot.time, "description": description});
            if guest.kind == GuestKind::Qemu {
                row["vmstate"] = json!(0);
            }
            if let Some(parent) = &snapshot.parent {
                row["parent"] = json!(parent);
            }
            if let Some(state) = &snapshot.state {
                row["snapstate"] = json!(state);
            }
            row
        })
        .collect();
    let mut now = json!({
        "name": "current", "description": "You are here!", "digest": config::digest(guest),
        "running": u8::from(guest.is_running()),
    });
    if let Some(parent) = guest.config.get("parent") {
        now["parent"] = json!(parent);
    }
    rows.push(now);
    Ok(Value::Array(rows).into())
}

fn index(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.guest(call.kind())?;
    Ok(json!([{"cmd": "rollback"}, {"cmd": "config"}]).into())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid) = (call.kind(), call.vmid());
    let name = call.values.text("snapname").to_owned();
    call.guest(kind)?;
    if name == "current" {
        return Err("unable to use snapshot name 'current' (reserved name)".into());
    }
    if kind == GuestKind::Lxc && name == "vzdump" {
        return Err("unable to use snapshot name 'vzdump' (reserved name)".into());
    }
    let work = Work::Snapshot { vmid, name, description: call.values.text("description").to_owned() };
    let task = if kind == GuestKind::Qemu { "qmsnapshot" } else { "vzsnapshot" };
    let answer = call.spawn(task, &vmid.to_string(), 1000, work);
    begin(call.world);
    Ok(answer)
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid, name) = (call.kind(), call.vmid(), call.var("snapname").to_owned());
    let force = call.values.flag("force");
    call.guest(kind)?;
    let task = if kind == GuestKind::Qemu { "qmdelsnapshot" } else { "vzdelsnapshot" };
    let work = Work::DeleteSnapshot { vmid, name, force };
    let answer = call.spawn(task, &vmid.to_string(), 1000, work);
    begin(call.world);
    Ok(answer)
}

fn rollback(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid, name) = (call.kind(), call.vmid(), call.var("snapname").to_owned());
    let start = call.values.flag("start");
    call.guest(kind)?;
    let task = if kind == GuestKind::Qemu { "qmrollback" } else { "vzrollback" };
    let work = Work::Rollback { vmid, name, start };
    let answer = call.spawn(task, &vmid.to_string(), 1500, work);
    begin(call.world);
    Ok(answer)
}

fn get_config(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.var("snapname").to_owned();
    let guest = call.guest(call.kind())?;
    let found = guest.snapshots.get(&name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    Ok(Value::Object(config::section(guest.kind, found)).into())
}

fn describe(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (vmid, name) = (call.vmid(), call.var("snapname").to_owned());
    let text = call.values.get("description").map(str::to_owned);
    call.guest(call.kind())?;
    let found = call.world.guests.get_mut(&vmid).and_then(|g| g.snapshots.get_mut(&name));
    let found = found.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    if let Some(text) = text {
        found.description = text;
    }
    Ok(().into())
}
