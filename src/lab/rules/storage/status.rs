//! `/nodes/N/storage`: which storages a node has, and how much is left on them.

use serde_json::{Value, json};

use super::super::super::world::Storage;
use super::super::endpoint::Access::{All, Any};
use super::super::param::{Kind, Param, optional as o};
use super::super::{Answer, Call, Endpoint, Refusal, formats as f};
use super::LOOK;
use crate::ports::Method::Get;

const LIST: &[Param] = &[
    o("content", Kind::List(f::contents)),
    o("enabled", Kind::Bool),
    o("format", Kind::Bool),
    o("storage", Kind::Format(f::storage_id)),
    o("target", Kind::Format(f::node)),
];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/storage", &[LIST], All, node_list),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}", &[], Any("/storage/{storage}", LOOK), index),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/status", &[], Any("/storage/{storage}", LOOK), node_status),
];

fn index(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut parts = vec!["content", "download-url", "file-restore", "import-metadata"];
    if call.world.version >= super::super::super::world::Version::V9_1 {
        parts.push("oci-registry-pull");
    }
    parts.extend(["prunebackups", "rrd", "rrddata", "status", "upload"]);
    Ok(Value::Array(parts.into_iter().map(|subdir| json!({"subdir": subdir})).collect()).into())
}

fn state(call: &Call<'_>, id: &str, storage: &Storage) -> Value {
    let node = call.var("node");
    let active = call.world.is_active(node, id);
    let (total, free) = if active { call.world.space(node, id) } else { (0, 0) };
    json!({
        "type": storage.type_name(), "content": storage.content_list(),
        "enabled": u8::from(!storage.disabled && storage.serves(node)), "active": u8::from(active),
        "shared": u8::from(storage.is_shared()), "total": total, "used": total - free, "avail": free,
    })
}

fn node_list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let contents: Option<Vec<&str>> = call.values.get("content").map(|c| f::split_list(c).collect());
    if call.values.get("storage").is_some_and(|id| !call.world.storages.contains_key(id)) {
        return Err(Refusal::param("storage", "No such storage."));
    }
    let target = call.values.get("target").filter(|target| *target != node);
    let mut rows = Vec::new();
    for (id, storage) in &call.world.storages {
        // What this node may not use is listed all the same, as not enabled; unless a content type is asked for.
        let usable = !storage.disabled && storage.serves(&node);
        let fits = !(call.values.flag("enabled") && storage.disabled)
            && call.values.get("storage").is_none_or(|s| s == id)
            && contents.as_ref().is_none_or(|wanted| usable && wanted.iter().any(|c| storage.content.contains(*c)))
            && target.is_none_or(|target| storage.is_shared() && storage.serves(&node) && storage.serves(target));
        if !fits || !call.world.may(call.caller, &format!("/storage/{id}"), LOOK) {
            continue;
        }
        let mut row = state(call, id, storage);
        row["storage"] = json!(id);
        #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
        if let (Some(used), Some(total)) = (row["used"].as_u64(), row["total"].as_u64().filter(|t| *t > 0)) {
            row["used_fraction"] = json!(used as f64 / total as f64);
        }
        rows.push(row);
    }
    Ok(Value::Array(rows).into())
}

fn node_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| Refusal::param("storage", "No such storage."))?;
    Ok(state(call, id, storage).into())
}
