//! `/pools`.

use serde_json::{Value, json};

use super::super::world::Pool;
use super::endpoint::Access::{All, Every};
use super::formats as f;
use super::guest::status;
use super::param::{Kind, Param, optional as o, required};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post, Put};

const ID: &[Param] = &[required("poolid", Kind::Format(f::pool_id))];
const OPTIONAL_ID: &[Param] = &[o("poolid", Kind::Format(f::pool_id))];
const TYPE: &[Param] = &[o("type", Kind::Enum(&["qemu", "lxc", "storage"]))];
const COMMENT: &[Param] = &[o("comment", Kind::Text)];
const UPDATE: &[Param] = &[
    o("allow-move", Kind::Bool),
    o("comment", Kind::Text),
    o("delete", Kind::Bool),
    o("storage", Kind::List(f::storage_ids)),
    o("vms", Kind::List(f::vmids)),
];

/// The rows of this area. The forms with the id in the path are the old ones, still served.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/pools", &[OPTIONAL_ID, TYPE], All, list),
    Endpoint::new(Post, "/pools", &[ID, COMMENT], Every("/pool/{poolid}", &["Pool.Allocate"]), create),
    Endpoint::new(Put, "/pools", &[ID, UPDATE], Every("/pool/{poolid}", &["Pool.Allocate"]), update),
    Endpoint::new(Delete, "/pools", &[ID], Every("/pool/{poolid}", &["Pool.Allocate"]), delete),
    Endpoint::new(Get, "/pools/{poolid}", &[TYPE], Every("/pool/{poolid}", &["Pool.Audit"]), get),
    Endpoint::new(Put, "/pools/{poolid}", &[UPDATE], Every("/pool/{poolid}", &["Pool.Allocate"]), update),
    Endpoint::new(Delete, "/pools/{poolid}", &[], Every("/pool/{poolid}", &["Pool.Allocate"]), delete),
];

fn id(call: &Call<'_>) -> String {
    call.values.get("poolid").map_or_else(|| call.var("poolid").to_owned(), str::to_owned)
}

fn members(call: &Call<'_>, pool: &Pool) -> Vec<Value> {
    let wanted = call.values.get("type");
    let mut rows = Vec::new();
    for vmid in &pool.guests {
        if let Some(guest) = call.world.guests.get(vmid).filter(|g| wanted.is_none_or(|w| w == g.kind.as_str())) {
            let mut row = status::resource(call.world, *vmid, guest);
            if let Some(row) = row.as_object_mut() {
                row.shift_remove("pool");
            }
            rows.push(row);
        }
    }
    if wanted.is_none_or(|w| w == "storage") {
        for id in &pool.storages {
            for node in call.world.nodes.keys() {
                let (total, free) = call.world.space(node, id);
                rows.push(json!({
                    "id": format!("storage/{node}/{id}"), "type": "storage", "storage": id, "node": node,
                    "status": "available", "shared": 0, "disk": total - free, "maxdisk": total,
                    "plugintype": call.world.storages.get(id).map(super::super::world::Storage::type_name),
                    "content": call.world.storages.get(id).map(super::super::world::Storage::content_list),
                }));
            }
        }
    }
    rows
}

fn shown(call: &Call<'_>, name: &str, pool: &Pool, with_members: bool) -> Value {
    let mut row = json!({"poolid": name});
    if let Some(comment) = &pool.comment {
        row["comment"] = json!(comment);
    }
    if with_members {
        row["members"] = Value::Array(members(call, pool));
    }
    row
}

fn missing(name: &str) -> Refusal {
    Refusal::failed(format!("pool '{name}' does not exist"))
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    if let Some(name) = call.values.get("poolid").map(str::to_owned) {
        call.need(&format!("/pool/{name}"), &["Pool.Audit"])?;
        let pool = call.world.pools.get(&name).cloned().ok_or_else(|| missing(&name))?;
        return Ok(Value::Array(vec![shown(call, &name, &pool, true)]).into());
    }
    let visible =
        call.world.pools.iter().filter(|(name, _)| {
            call.world.may(call.caller, &format!("/pool/{name}"), &["Pool.Audit", "Pool.Allocate"])
        });
    Ok(Value::Array(visible.map(|(name, pool)| shown(call, name, pool, false)).collect()).into())
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = id(call);
    let pool = call.world.pools.get(&name).cloned().ok_or_else(|| missing(&name))?;
    Ok(shown(call, &name, &pool, true).into())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = id(call);
    if call.world.pools.contains_key(&name) {
        return Err(format!("create pool failed: pool '{name}' already exists").into());
    }
    if let Some((parent, _)) = name.rsplit_once('/').filter(|(parent, _)| !call.world.pools.contains_key(*parent)) {
        return Err(format!("create pool failed: parent '{parent}' of pool '{name}' does not exist").into());
    }
    let comment = call.values.get("comment").map(str::to_owned);
    call.world.pools.insert(name, Pool { comment, ..Pool::default() });
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = id(call);
    let fail = |text: String| Refusal::failed(format!("update pools failed: {text}"));
    let mut pool = call.world.pools.get(&name).cloned().ok_or_else(|| fail(format!("pool '{name}' does not exist")))?;
    if let Some(comment) = call.values.get("comment") {
        pool.comment = Some(comment.to_owned());
    }
    let remove = call.values.flag("delete");
    for text in f::split_list(call.values.text("vms")) {
        let vmid: u32 = text.parse().unwrap_or_default();
        call.need(&format!("/vms/{vmid}"), &["VM.Allocate", "Permissions.Modify"])?;
        if remove {
            if !pool.guests.remove(&vmid) {
                return Err(fail(format!("VM {vmid} is not a pool member")));
            }
            continue;
        }
        match call.world.pool_of(vmid).map(str::to_owned) {
            Some(other) if other == name => {
                return Err(fail(format!("VM {vmid} is already a pool member")));
            }
            Some(other) => {
                if !call.values.flag("allow-move") {
                    return Err(fail(format!(
                        "VM {vmid} belongs already to pool '{other}' and 'allow-move' is not set"
                    )));
                }
                if let Some(old) = call.world.pools.get_mut(&other) {
                    old.guests.remove(&vmid);
                }
            }
            None => {}
        }
        // A vmid that does not exist is taken silently (9.2.11).
        pool.guests.insert(vmid);
    }
    for storage in f::split_list(call.values.text("storage")).map(str::to_owned).collect::<Vec<_>>() {
        call.need(&format!("/storage/{storage}"), &["Datastore.Allocate", "Permissions.Modify"])?;
        if remove {
            if !pool.storages.remove(&storage) {
                return Err(fail(format!("Storage '{storage}' is not a pool member")));
            }
        } else if !pool.storages.insert(storage.clone()) {
            return Err(fail(format!("Storage '{storage}' is already a pool member")));
        }
    }
    call.world.pools.insert(name, pool);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = id(call);
    let fail = |text: String| Refusal::failed(format!("delete pool failed: {text}"));
    let pool = call.world.pools.get(&name).ok_or_else(|| fail(format!("pool '{name}' does not exist")))?;
    let prefix = format!("{name}/");
    if let Some(child) = call.world.pools.keys().find(|p| p.starts_with(&prefix)) {
        return Err(fail(format!("pool '{name}' is not empty (contains pool '{child}')")));
    }
    // Members that are gone do not keep a pool.
    if let Some(vmid) = pool.guests.iter().find(|vmid| call.world.guests.contains_key(vmid)) {
        return Err(fail(format!("pool '{name}' is not empty (contains VM {vmid})")));
    }
    if let Some(storage) = pool.storages.iter().next() {
        return Err(fail(format!("pool '{name}' is not empty (contains storage '{storage}')")));
    }
    call.world.pools.remove(&name);
    Ok(().into())
}
