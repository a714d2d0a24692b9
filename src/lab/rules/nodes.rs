//! `/nodes`: hosts, their hardware and interfaces.

use serde_json::{Map, Value, json};

use super::super::world::{Caller, Network, World};
use super::endpoint::Access::{All, Any, Every};
use super::guest::status;
use super::param::{Kind, Param, optional as o, since_9, until_8};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const PCI: &[Param] = &[o("pci-class-blacklist", Kind::Text), o("verbose", Kind::Bool)];
const NETWORK: &[Param] = &[
    since_9(
        "type",
        Kind::Enum(&[
            "bridge",
            "bond",
            "eth",
            "alias",
            "vlan",
            "fabric",
            "OVSBridge",
            "OVSBond",
            "OVSPort",
            "OVSIntPort",
            "vnet",
            "any_bridge",
            "any_local_bridge",
            "include_sdn",
        ]),
    ),
    until_8(
        "type",
        Kind::Enum(&[
            "bridge",
            "bond",
            "eth",
            "alias",
            "vlan",
            "OVSBridge",
            "OVSBond",
            "OVSPort",
            "OVSIntPort",
            "vnet",
            "any_bridge",
            "any_local_bridge",
        ]),
    ),
];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes", &[], All, list),
    Endpoint::new(Get, "/nodes/{node}/status", &[], Every("/nodes/{node}", &["Sys.Audit"]), node_status),
    Endpoint::new(Get, "/nodes/{node}/time", &[], Every("/nodes/{node}", &["Sys.Audit"]), time),
    Endpoint::new(Get, "/nodes/{node}/hardware/pci", &[PCI], Any("/", &["Sys.Audit", "Sys.Modify"]), pci),
    Endpoint::new(Get, "/nodes/{node}/network", &[NETWORK], All, networks),
    Endpoint::new(Get, "/nodes/{node}/network/{iface}", &[], Every("/nodes/{node}", &["Sys.Audit"]), network),
];

/// Memory that running guests and the system take, in bytes.
fn memory_used(world: &World, node: &str) -> u64 {
    let guests = world.guests.values().filter(|g| g.node == node && g.is_running());
    let zfs_cache = 1 << 30;
    (2u64 << 30) + zfs_cache + guests.map(status::memory).sum::<u64>()
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

fn node_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.node();
    let version = call.world.version;
    let used = memory_used(call.world, &name);
    let node = &call.world.nodes[&name];
    let used = used.min(node.memory);
    let kernel = if version.release() == "8.4" { "6.8.12-13-pve" } else { "6.17.2-1-pve" };
    let build = "#1 SMP PREEMPT_DYNAMIC PMX";
    Ok(json!({
        "uptime": (call.world.now_ms - node.booted_ms) / 1000,
        "cpu": 0.01, "wait": 0, "idle": 0,
        "loadavg": ["0.10", "0.10", "0.10"],
        "cpuinfo": {
            "cpus": node.cpus, "cores": node.cpus / 2, "sockets": 1, "model": node.cpu_model, "mhz": "4500.000",
            "user_hz": 100, "hvm": "1", "flags": "svm vmx",
        },
        "memory": {"total": node.memory, "used": used, "free": node.memory - used, "available": node.memory - used},
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {
            "total": node.root_size, "used": node.root_used, "free": node.root_size - node.root_used,
            "avail": node.root_size - node.root_used,
        },
        "ksm": {"shared": 0},
        "boot-info": {"mode": "efi", "secureboot": 0},
        "current-kernel": {"sysname": "Linux", "release": kernel, "version": build, "machine": "x86_64"},
        "kversion": format!("Linux {kernel} {build}"),
        "pveversion": format!("pve-manager/{}/14a22df3", version.full()),
    })
    .into())
}

fn time(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let now = call.world.now();
    Ok(json!({"timezone": "Etc/UTC", "localtime": now, "time": now}).into())
}

fn pci(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    // Memory controllers, bridges and processors are left out unless the list is given as empty.
    let blacklist: Vec<String> = match call.values.get("pci-class-blacklist") {
        None => ["05", "06", "0b"].iter().map(|c| (*c).to_owned()).collect(),
        Some(list) => super::split_list(list).map(str::to_ascii_lowercase).collect(),
    };
    let verbose = call.values.get("verbose").is_none_or(|v| v == "1");
    let node = &call.world.nodes[call.var("node")];
    let shown = node.pci.iter().filter(|(_, d)| !blacklist.iter().any(|class| d.class.starts_with(class.as_str())));
    let rows = shown
        .map(|(id, device)| {
            if !verbose {
                return json!(id);
            }
            let mut row = json!({
                "id": id, "class": format!("0x{}", device.class), "vendor": format!("0x{}", device.vendor),
                "device": format!("0x{}", device.device), "iommugroup": device.iommu_group,
            });
            // Some devices have no subsystem.
            if !device.subsystem_vendor.is_empty() {
                row["subsystem_vendor"] = json!(format!("0x{}", device.subsystem_vendor));
                row["subsystem_device"] = json!(format!("0x{}", device.subsystem_device));
            }
            for (key, value) in [("vendor_name", &device.vendor_name), ("device_name", &device.device_name)] {
                if let Some(value) = value {
                    row[key] = json!(value);
                }
            }
            row
        })
        .collect();
    Ok(Value::Array(rows).into())
}

fn interface(name: &str, network: &Network, priority: usize) -> Value {
    let method = if network.cidr.is_some() { "static" } else { "manual" };
    let mut row = json!({
        "iface": name, "type": network.kind, "active": 1, "method": method, "method6": "manual", "families": ["inet"],
        "priority": priority,
    });
    if network.autostart {
        row["autostart"] = json!(1);
    }
    if network.kind == "eth" {
        row["exists"] = json!(1);
    }
    if let Some(cidr) = &network.cidr {
        row["cidr"] = json!(cidr);
        if let Some((address, prefix)) = cidr.split_once('/') {
            row["address"] = json!(address);
            row["netmask"] = json!(prefix);
        }
    }
    if let Some(gateway) = &network.gateway {
        row["gateway"] = json!(gateway);
    }
    if network.kind == "bridge" {
        row["bridge_ports"] = json!(network.ports);
        row["bridge_stp"] = json!("off");
        row["bridge_fd"] = json!("0");
        if network.vlan_aware {
            row["bridge_vlan_aware"] = json!(1);
        }
    }
    row
}

fn networks(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = &call.world.nodes[call.var("node")];
    let wanted = call.values.get("type");
    let bridges = matches!(wanted, Some("any_bridge" | "any_local_bridge"));
    let shows = |kind: &str| match wanted {
        None | Some("include_sdn") => true,
        Some(_) if bridges => kind == "bridge",
        Some(wanted) => kind == wanted,
    };
    let mut rows = Vec::new();
    for (index, (name, network)) in node.networks.iter().enumerate() {
        // With a bridge filter only those are shown that the caller may attach guests to.
        let usable = !bridges
            || call.world.may(call.caller, &format!("/sdn/zones/localnetwork/{name}"), &["SDN.Audit", "SDN.Use"]);
        if shows(&network.kind) && usable {
            rows.push(interface(name, network, index + 3));
        }
    }
    Ok(Value::Array(rows).into())
}

fn network(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = &call.world.nodes[call.var("node")];
    let name = call.var("iface");
    let found = node.networks.get(name).ok_or_else(|| Refusal::param("iface", "interface does not exist"))?;
    let mut row = interface(name, found, 3);
    if let Some(row) = row.as_object_mut() {
        row.shift_remove("iface");
    }
    Ok(row.into())
}
