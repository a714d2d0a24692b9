//! `/cluster/mapping/pci`.

use serde_json::{Value, json};

use super::super::world::property::Properties;
use super::super::world::{Mapping, World, conf};
use super::endpoint::Access::{All, Any, Every};
use super::formats as f;
use super::param::{Kind, Param, optional as o, required};
use super::tables::DIGEST_64;
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post, Put};

const MAP: Kind = Kind::Many(&Kind::Props(&super::property_strings::PCI_MAP));
const SHORT: Kind = Kind::Short { min: 0, max: 4096 };
const LIST: &[Param] = &[o("check-node", Kind::Format(f::node))];
const CREATE: &[Param] = &[
    required("id", Kind::Format(f::config_id)),
    required("map", MAP),
    o("description", SHORT),
    o("live-migration-capable", Kind::Bool),
    o("mdev", Kind::Bool),
];
const UPDATE: &[Param] = &[
    o("delete", SHORT),
    o("description", SHORT),
    o("digest", DIGEST_64),
    o("live-migration-capable", Kind::Bool),
    o("map", MAP),
    o("mdev", Kind::Bool),
];
const READ: &[&str] = &["Mapping.Use", "Mapping.Modify", "Mapping.Audit"];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/mapping/pci", &[LIST], All, list),
    Endpoint::new(Post, "/cluster/mapping/pci", &[CREATE], Every("/mapping/pci", &["Mapping.Modify"]), create),
    Endpoint::new(Get, "/cluster/mapping/pci/{id}", &[], Any("/mapping/pci/{id}", READ), get),
    Endpoint::new(Put, "/cluster/mapping/pci/{id}", &[UPDATE], Every("/mapping/pci/{id}", &["Mapping.Modify"]), update),
    Endpoint::new(Delete, "/cluster/mapping/pci/{id}", &[], Every("/mapping/pci", &["Mapping.Modify"]), delete),
];

fn shown(world: &World, mapping: &Mapping) -> Value {
    let mut row = json!({"type": "pci", "map": mapping.map, "digest": conf::digest(&conf::mappings(world))});
    if let Some(description) = &mapping.description {
        row["description"] = json!(description);
    }
    if mapping.mdev {
        row["mdev"] = json!(1);
    }
    if mapping.live_migration {
        row["live-migration-capable"] = json!(1);
    }
    row
}

/// What is wrong with an entry on its node, as PVE::Mapping::PCI finds it.
///
/// # Errors
/// The first mismatch, without final newline.
pub fn verify(world: &World, id: &str, map: &str) -> Result<(), String> {
    let fields = Properties::parse(map);
    let get = |key: &str| fields.get(key).unwrap_or_default();
    let Some(node) = world.nodes.get(get("node")) else { return Ok(()) };
    for path in get("path").split(';') {
        // A path without function stands for the device, and is compared with its first function.
        let full = if path.contains('.') { path.to_owned() } else { format!("{path}.0") };
        let Some(device) = node.pci.get(&full) else {
            return Err(format!("pci device '{path}' not found"));
        };
        let differs = |what: &str, expected: &str, found: &str| {
            format!("'{what}' does not match for '{id}' ({found} != {expected})")
        };
        let wanted = get("id").to_ascii_lowercase();
        if wanted != device.id() {
            return Err(differs("id", &wanted, &device.id()));
        }
        let group = get("iommugroup");
        let now = node.iommu_group(&full).map_or(-1, i64::from).to_string();
        if !group.is_empty() && group != now {
            return Err(differs("iommugroup", group, &now));
        }
        let subsystem = get("subsystem-id").to_ascii_lowercase();
        if !subsystem.is_empty() && subsystem != device.subsystem_id() {
            return Err(differs("subsystem-id", &subsystem, &device.subsystem_id()));
        }
    }
    Ok(())
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, caller) = (&*call.world, call.caller);
    let check = call.values.get("check-node");
    let mut rows = Vec::new();
    for (id, mapping) in &world.mappings {
        if !world.may(caller, &format!("/mapping/pci/{id}"), READ) {
            continue;
        }
        let mut row = shown(world, mapping);
        row["id"] = json!(id);
        if let Some(node) = check {
            let mut checks = Vec::new();
            let entries: Vec<&String> =
                mapping.map.iter().filter(|m| Properties::parse(m).get("node") == Some(node)).collect();
            if entries.is_empty() {
                let text = format!("No mapping for node {node}.");
                checks.push(json!({"severity": "warning", "message": text}));
            }
            for entry in entries {
                if let Err(text) = verify(world, id, entry) {
                    let message = format!("Invalid configuration: {text}\n");
                    checks.push(json!({"severity": "error", "message": message}));
                }
            }
            row["checks"] = Value::Array(checks);
        }
        rows.push(row);
    }
    Ok(Value::Array(rows).into())
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id");
    let mapping = call.world.mappings.get(id).ok_or_else(|| format!("mapping '{id}' not found"))?;
    Ok(shown(call.world, mapping).into())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.values.text("id").to_owned();
    if call.world.mappings.contains_key(&id) {
        return Err(format!("create hardware mapping failed: pci ID '{id}' already defined").into());
    }
    // Whether the devices are there and are what is claimed is not looked at (9.2.11).
    let mapping = Mapping {
        description: call.values.get("description").map(str::to_owned),
        map: call.values.all("map"),
        mdev: call.values.flag("mdev"),
        live_migration: call.values.flag("live-migration-capable"),
    };
    call.world.mappings.insert(id, mapping);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id").to_owned();
    let fail = |text: &str| Refusal::failed(format!("update hardware mapping failed: {text}"));
    let digest = conf::digest(&conf::mappings(call.world));
    if call.values.get("digest").is_some_and(|given| given != digest) {
        return Err(fail("detected modified configuration - file changed by other user? Try again."));
    }
    let Some(mapping) = call.world.mappings.get(&id) else {
        return Err(fail(&format!("mapping '{id}' does not exist")));
    };
    let mut mapping = mapping.clone();
    // The schema calls it optional; the code does not (9.2.11).
    if call.values.get("map").is_none() {
        return Err(fail("missing value for required option 'map'"));
    }
    mapping.map = call.values.all("map");
    for (name, value) in [("mdev", &mut mapping.mdev), ("live-migration-capable", &mut mapping.live_migration)] {
        if call.values.get(name).is_some() {
            *value = call.values.flag(name);
        }
    }
    if let Some(description) = call.values.get("description") {
        mapping.description = Some(description.to_owned());
    }
    for key in f::split_list(call.values.text("delete")) {
        match key {
            "description" => mapping.description = None,
            "mdev" => mapping.mdev = false,
            "live-migration-capable" => mapping.live_migration = false,
            _ => return Err(fail(&format!("unknown option '{key}'"))),
        }
    }
    call.world.mappings.insert(id, mapping);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id").to_owned();
    // One that is not there is no error (9.2.11).
    call.world.mappings.remove(&id);
    Ok(().into())
}
