//! `/nodes`: hosts and how they are.

use serde_json::{Map, Value, json};

use super::super::world::{Caller, World};
use super::endpoint::Access::{All, Every};
use super::guest::status;
use super::param::{Kind, Param, required};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Get, Post};

const COMMAND: &[Param] = &[required("command", Kind::Enum(&["reboot", "shutdown"]))];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes", &[], All, list),
    Endpoint::new(Get, "/nodes/{node}/status", &[], Every("/nodes/{node}", &["Sys.Audit"]), node_status),
    Endpoint::new(Post, "/nodes/{node}/status", &[COMMAND], Every("/nodes/{node}", &["Sys.PowerMgmt"]), node_command),
];

/// Memory that running guests take on a node, in bytes.
#[must_use]
pub fn guest_memory(world: &World, node: &str) -> u64 {
    world.guests.values().filter(|g| g.node == node && g.is_running()).map(status::memory).sum()
}

/// Memory that running guests and the system take, in bytes.
fn memory_used(world: &World, node: &str) -> u64 {
    let zfs_cache = 1 << 30;
    (2u64 << 30) + zfs_cache + guest_memory(world, node)
}

/// A node as lists show it.
pub fn row(world: &World, caller: &Caller, name: &str) -> Map<String, Value> {
    let Some(node) = world.nodes.get(name) else { return Map::new() };
    let mut row = Map::from_iter([
        ("id".to_owned(), json!(format!("node/{name}"))),
        ("type".to_owned(), json!("node")),
        ("node".to_owned(), json!(name)),
        ("status".to_owned(), json!(if node.online { "online" } else { "offline" })),
        ("level".to_owned(), json!("")),
        ("ssl_fingerprint".to_owned(), json!(node.fingerprint)),
    ]);
    if node.online && world.may(caller, &format!("/nodes/{name}"), &["Sys.Audit"]) {
        row.extend(Map::from_iter([
            ("cpu".to_owned(), json!(0.01)),
            ("maxcpu".to_owned(), json!(node.cpus)),
            ("mem".to_owned(), json!(memory_used(world, name).min(node.memory))),
            ("maxmem".to_owned(), json!(node.memory)),
            ("disk".to_owned(), json!(node.root_used)),
            ("maxdisk".to_owned(), json!(node.root_size)),
            ("uptime".to_owned(), json!((world.now_ms - node.booted_ms) / 1000)),
        ]));
    }
    row
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let rows = call.world.nodes.keys().map(|name| Value::Object(row(call.world, call.caller, name))).collect();
    Ok(Value::Array(rows).into())
}

fn node_command(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    if call.values.text("command") == "reboot" {
        crate::lab::power::reboot(call.world, &node);
        return Ok(().into());
    }
    Err("the lab has nobody who would switch a host on again".into())
}

fn node_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.node();
    let version = call.world.version;
    let used = memory_used(call.world, &name);
    let node = &call.world.nodes[&name];
    let used = used.min(node.memory);
    let system = &node.system;
    let kernel = node.kernel(version);
    let build = &system.kernel_version;
    let boot =
        if system.legacy_bios { json!({"mode": "legacy-bios"}) } else { json!({"mode": "efi", "secureboot": 0}) };
    Ok(json!({
        "uptime": (call.world.now_ms - node.booted_ms) / 1000,
        "cpu": 0.01, "wait": 0, "idle": 0,
        "loadavg": ["0.10", "0.10", "0.10"],
        "cpuinfo": {
            "cpus": node.cpus, "cores": if system.cores == 0 { (node.cpus / 2).max(1) } else { system.cores },
            "sockets": system.sockets, "model": node.cpu_model, "mhz": system.mhz, "user_hz": 100,
            "hvm": if system.virtualisation { "1" } else { "" }, "flags": system.cpu_flags,
            "vendor": system.cpu_vendor, "family": system.cpu_family,
        },
        "memory": {"total": node.memory, "used": used, "free": node.memory - used, "available": node.memory - used},
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {
            "total": node.root_size, "used": node.root_used, "free": node.root_size - node.root_used,
            "avail": node.root_size - node.root_used,
        },
        "ksm": {"shared": 0},
        "boot-info": boot,
        "current-kernel": {"sysname": "Linux", "release": kernel, "version": build, "machine": "x86_64"},
        "kversion": format!("Linux {kernel} {build}"),
        "pveversion": format!("pve-manager/{}/14a22df3", version.full()),
    })
    .into())
}
