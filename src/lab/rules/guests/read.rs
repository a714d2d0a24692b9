//! What is read of one guest: configuration, pending changes, status, addresses.

use serde_json::{Map, Value, json};

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::guest::addresses::{addresses, mac};
use crate::lab::rules::guest::{config, status};
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::tables::SNAPSHOT_NAME;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::GuestKind;
use crate::lab::world::property::Properties;
use crate::ports::Method::Get;

const CONFIG: &[Param] = &[o("current", Kind::Bool), o("snapshot", SNAPSHOT_NAME)];

const READ: Access = Every("/vms/{vmid}", &["VM.Audit"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}", &[], Access::All, parts),
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/config", &[CONFIG], READ, get_config),
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/pending", &[], READ, pending),
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/status/current", &[], READ, current),
    Endpoint::new(Get, "/nodes/{node}/lxc/{vmid}/config", &[CONFIG], READ, get_config),
    Endpoint::new(Get, "/nodes/{node}/lxc/{vmid}/pending", &[], READ, pending),
    Endpoint::new(Get, "/nodes/{node}/lxc/{vmid}/status/current", &[], READ, current),
    Endpoint::new(Get, "/nodes/{node}/lxc/{vmid}/interfaces", &[], READ, interfaces),
];

/// What can be asked of a VM, whether there is one or not (9.2.11).
fn parts(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    const PARTS: &[&str] = &[
        "config",
        "cloudinit",
        "pending",
        "status",
        "unlink",
        "vncproxy",
        "termproxy",
        "migrate",
        "resize",
        "move",
        "rrd",
        "rrddata",
        "monitor",
        "agent",
        "snapshot",
        "spiceproxy",
        "sendkey",
        "firewall",
        "mtunnel",
        "remote_migrate",
    ];
    Ok(PARTS.iter().map(|part| json!({"subdir": part})).collect::<Value>().into())
}

fn get_config(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let kind = call.kind();
    let guest = call.guest(kind)?;
    let mut row: Map<String, Value> = match call.values.get("snapshot") {
        Some(name) => {
            let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
            config::section(kind, found)
        }
        None if call.values.flag("current") => config::object(kind, &guest.config),
        None => config::object(kind, &guest.wanted()),
    };
    row.insert("digest".into(), json!(config::digest(guest)));
    Ok(Value::Object(row).into())
}

fn pending(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    Ok(Value::Array(config::pending(guest)).into())
}

fn current(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    Ok(status::current(call.world, call.vmid(), guest).into())
}

fn interfaces(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(GuestKind::Lxc)?;
    if !guest.is_running() {
        return Err("container not running".into());
    }
    let zero = "00:00:00:00:00:00";
    let mut rows = vec![json!({"name": "lo", "hwaddr": zero, "hardware-address": zero, "ip-addresses": []})];
    for index in 0..32 {
        let Some(mac) = mac(guest, index) else { continue };
        let name = Properties::parse(&guest.config[&format!("net{index}")]).get("name").unwrap_or("eth0").to_owned();
        let mut list = Vec::new();
        let mut row = json!({"name": name, "hwaddr": mac, "hardware-address": mac});
        for address in addresses(guest, index) {
            let (ip, prefix) = address.split_once('/').unwrap_or((&address, "0"));
            let (short, long) = if ip.contains(':') { ("inet6", "ipv6") } else { ("inet", "ipv4") };
            row[short] = json!(address);
            list.push(json!({"ip-address": ip, "ip-address-type": long, "prefix": prefix}));
        }
        row["ip-addresses"] = Value::Array(list);
        rows.push(row);
    }
    Ok(Value::Array(rows).into())
}
