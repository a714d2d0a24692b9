//! `/version` and `/cluster/{status,resources,nextid,tasks}`.

use serde_json::{Value, json};

use super::super::world::{Task, TaskState, Version};
use super::endpoint::Access::{All, Every};
use super::guest::status;
use super::param::{Kind, Param, optional as o};
use super::tasks::listed;
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const TYPE: &[Param] = &[o("type", Kind::Enum(&["vm", "storage", "node", "sdn"]))];
const VMID: &[Param] = &[o("vmid", Kind::Vmid)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/version", &[], All, version),
    Endpoint::new(Get, "/cluster/status", &[], Every("/", &["Sys.Audit"]), cluster_status),
    Endpoint::new(Get, "/cluster/resources", &[TYPE], All, resources),
    Endpoint::new(Get, "/cluster/nextid", &[VMID], All, next_id),
    Endpoint::new(Get, "/cluster/tasks", &[], All, tasks),
    Endpoint::new(Get, "/nodes/{node}/version", &[], All, version),
];

fn version(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let version = call.world.version;
    Ok(json!({"version": version.full(), "release": version.release(), "repoid": "14a22df3"}).into())
}

fn cluster_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &*call.world;
    let mut rows = Vec::new();
    if let Some(name) = &world.cluster {
        let quorate = u8::from(!world.without_quorum);
        rows.push(json!({
            "type": "cluster", "id": "cluster", "name": name, "nodes": world.nodes.len(), "quorate": quorate, "version": 1,
        }));
    }
    for (index, (name, node)) in world.nodes.iter().enumerate() {
        let id = if world.cluster.is_some() { index + 1 } else { 0 };
        rows.push(json!({
            "type": "node", "id": format!("node/{name}"), "name": name, "ip": node.address, "level": "",
            "local": u8::from(*name == call.local), "online": u8::from(node.online), "nodeid": id,
        }));
    }
    Ok(Value::Array(rows).into())
}

fn resources(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, caller) = (&*call.world, call.caller);
    let wanted = call.values.get("type");
    let shows = |kind: &str| wanted.is_none_or(|w| w == kind);
    let mut rows = Vec::new();
    if wanted.is_none() {
        for (name, pool) in &world.pools {
            if world.may(caller, &format!("/pool/{name}"), &["Pool.Audit"]) {
                let _ = pool;
                rows.push(json!({"id": format!("/pool/{name}"), "type": "pool", "pool": name}));
            }
        }
    }
    if shows("vm") {
        for (vmid, guest) in &world.guests {
            if world.may(caller, &format!("/vms/{vmid}"), &["VM.Audit"]) {
                rows.push(status::resource(world, *vmid, guest));
            }
        }
    }
    if shows("node") {
        for name in world.nodes.keys() {
            let mut row = super::nodes::row(world, caller, name);
            row.shift_remove("ssl_fingerprint");
            row.insert("cgroup-mode".into(), json!(2));
            rows.push(Value::Object(row));
        }
    }
    if shows("storage") {
        for (id, storage) in world.storages.iter().filter(|(_, s)| !s.disabled) {
            for node in world.nodes.keys().filter(|n| storage.serves(n)) {
                if !world.may(caller, &format!("/storage/{id}"), &["Datastore.Audit", "Datastore.AllocateSpace"]) {
                    continue;
                }
                let (total, free) = world.space(node, id);
                let online = world.nodes.get(node).is_some_and(|n| n.online);
                rows.push(json!({
                    "id": format!("storage/{node}/{id}"), "type": "storage", "storage": id, "node": node,
                    "plugintype": storage.type_name(), "content": storage.content_list(),
                    "shared": u8::from(storage.is_shared()),
                    "status": if online { "available" } else { "unknown" },
                    "disk": total - free, "maxdisk": total,
                }));
            }
        }
    }
    if wanted.is_none() && world.may(caller, "/sdn/zones/localnetwork", &["SDN.Audit"]) {
        for node in world.nodes.keys() {
            // PVE 8 calls it `sdn`, and PVE 9 does not list it under that type any more.
            rows.push(if world.version >= Version::V9_1 {
                json!({
                    "id": format!("network/{node}/zone/localnetwork"), "type": "network", "network": "localnetwork",
                    "network-type": "zone", "node": node, "status": "ok",
                })
            } else {
                json!({
                    "id": format!("sdn/{node}/localnetwork"), "type": "sdn", "sdn": "localnetwork", "node": node,
                    "status": "ok",
                })
            });
        }
    }
    Ok(Value::Array(rows).into())
}

fn next_id(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    if let Some(vmid) = call.values.int("vmid").and_then(|v| u32::try_from(v).ok()) {
        if call.world.guests.contains_key(&vmid) {
            return Err(Refusal::param("vmid", format!("VM {vmid} already exists")));
        }
        return Ok(vmid.to_string().into());
    }
    // It reserves nothing: two askers get the same answer.
    let (lower, upper) = super::options::next_id_range(call.world);
    match (lower..upper).find(|id| !call.world.guests.contains_key(id)) {
        Some(free) => Ok(free.to_string().into()),
        None => Err(format!("unable to get any free VMID in range [{lower}, {upper}]").into()),
    }
}

fn tasks(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let auditor = call.world.may(call.caller, "/", &["Sys.Audit"]);
    let user = &call.caller.user;
    let shown = call.world.tasks.iter().rev().filter(|task| auditor || task.user == *user);
    // What was written down last is a number yet; everything older was read back as text (9.2.11).
    let ended = |task: &&Task| match &task.state {
        TaskState::Stopped { ended_ms, .. } => Some(*ended_ms),
        TaskState::Running { .. } => None,
    };
    let fresh = call.world.tasks.iter().max_by_key(ended).filter(|t| !t.is_running()).map(|task| &task.upid);
    let rows: Vec<Value> = shown
        .take(25)
        .map(|task| {
            let saved = if task.is_running() { "0" } else { "1" };
            let mut row = listed(task);
            row.shift_remove("pid");
            row.shift_remove("pstart");
            row.insert("saved".into(), if Some(&task.upid) == fresh { json!(1) } else { json!(saved) });
            Value::Object(row)
        })
        .collect();
    Ok(Value::Array(rows).into())
}
