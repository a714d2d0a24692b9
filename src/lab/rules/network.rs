//! `/nodes/N/network`: interfaces, changes to them that wait, and putting those into effect.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::world::{Network, Work, World, interfaces};
use super::endpoint::Access::{All, Every};
use super::network_params::{CONFIG, DROP, FILTER, IFACE, RELOAD, TYPE};
use super::{Answer, Call, Endpoint, Refusal, Values, formats as f};
use crate::ports::Method::{Delete, Get, Post, Put};

const MODIFY: super::Access = Every("/nodes/{node}", &["Sys.Modify"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/network", &[FILTER], All, list),
    Endpoint::new(Post, "/nodes/{node}/network", &[IFACE, TYPE, CONFIG], MODIFY, create),
    Endpoint::new(Put, "/nodes/{node}/network", &[RELOAD], MODIFY, apply),
    Endpoint::new(Delete, "/nodes/{node}/network", &[], MODIFY, revert),
    Endpoint::new(Get, "/nodes/{node}/network/{iface}", &[], Every("/nodes/{node}", &["Sys.Audit"]), get),
    Endpoint::new(Put, "/nodes/{node}/network/{iface}", &[TYPE, CONFIG, DROP], MODIFY, update),
    Endpoint::new(Delete, "/nodes/{node}/network/{iface}", &[], MODIFY, delete),
];

fn shown(world: &World, node: &str, name: &str, network: &Network, priority: usize) -> Value {
    let host = &world.nodes[node];
    let method = if network.cidr.is_some() { "static" } else { "manual" };
    let six = network.options.get("cidr6");
    let mut families = Vec::new();
    if network.cidr.is_some() || six.is_none() {
        families.push("inet");
    }
    if six.is_some() {
        families.push("inet6");
    }
    let method6 = if six.is_some() { "static" } else { "manual" };
    let mut row =
        json!({"iface": name, "type": network.kind, "method": method, "method6": method6, "families": families});
    if !network.unlisted || host.staged_networks.is_some() {
        row["priority"] = json!(priority);
    }
    // What is only staged is not up.
    if host.networks.contains_key(name) {
        row["active"] = json!(1);
    }
    if network.autostart {
        row["autostart"] = json!(1);
    }
    if network.kind == "eth" {
        row["exists"] = json!(1);
    }
    let mut split = |cidr: &str, keys: [&str; 3], text: bool| {
        row[keys[0]] = json!(cidr);
        if let Some((address, prefix)) = cidr.split_once('/') {
            row[keys[1]] = json!(address);
            row[keys[2]] = if text { json!(prefix) } else { json!(prefix.parse::<u8>().unwrap_or_default()) };
        }
    };
    if let Some(cidr) = &network.cidr {
        split(cidr, ["cidr", "address", "netmask"], true);
    }
    if let Some(cidr) = six {
        split(cidr, ["cidr6", "address6", "netmask6"], false);
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
            row["bridge_vids"] = json!(network.options.get("bridge_vids").map_or("2-4094", String::as_str));
        }
    }
    for (key, value) in network.options.iter().filter(|(key, _)| !matches!(key.as_str(), "cidr6" | "bridge_vids")) {
        // Comments come back as the lines of the file that they became.
        let text =
            if key.starts_with("comments") { format!("{}\n", value.trim_end_matches('\n')) } else { value.clone() };
        row[key.as_str()] = json!(text);
    }
    row
}

/// The interfaces as they will be: PVE shows what is staged as if it were so.
fn configured<'a>(world: &'a World, node: &str) -> &'a BTreeMap<String, Network> {
    let host = &world.nodes[node];
    host.staged_networks.as_ref().map_or(&host.networks, |(_, staged)| staged)
}

/// Places in the file, counted from 3: the loopback interface comes first.
fn priorities(world: &World, node: &str) -> BTreeMap<String, usize> {
    let staged = world.nodes[node].staged_networks.is_some();
    let listed = interfaces::ordered(configured(world, node)).into_iter().filter(|(_, n)| staged || !n.unlisted);
    listed.enumerate().map(|(index, (name, _))| (name.clone(), index + 3)).collect()
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, world) = (call.node(), &*call.world);
    let wanted = call.values.get("type");
    let bridges = matches!(wanted, Some("any_bridge" | "any_local_bridge"));
    let shows = |kind: &str| match wanted {
        None | Some("include_sdn") => true,
        Some(_) if bridges => matches!(kind, "bridge" | "OVSBridge"),
        Some(wanted) => kind == wanted,
    };
    let places = priorities(world, &node);
    let mut rows = Vec::new();
    for (name, network) in configured(world, &node) {
        // With a bridge filter only those are shown that the caller may attach guests to.
        let usable =
            !bridges || world.may(call.caller, &format!("/sdn/zones/localnetwork/{name}"), &["SDN.Audit", "SDN.Use"]);
        if shows(&network.kind) && usable {
            rows.push(shown(world, &node, name, network, places.get(name).copied().unwrap_or_default()));
        }
    }
    let mut answer = Answer::from(Value::Array(rows));
    answer.changes = changes(world, &node);
    Ok(answer)
}

fn changes(world: &World, node: &str) -> Option<String> {
    let host = &world.nodes[node];
    let (since, staged) = host.staged_networks.as_ref()?;
    let stamp = |ms: i64| {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.9f +0000").to_string()
    };
    let old = interfaces::text(&host.networks, host.networks_by_pve);
    let diff = interfaces::unified(
        &old,
        &interfaces::text(staged, true),
        (
            &format!("/etc/network/interfaces\t{}", stamp(host.booted_ms)),
            &format!("/etc/network/interfaces.new\t{}", stamp(*since)),
        ),
    );
    Some(diff).filter(|diff| !diff.is_empty())
}

fn missing() -> Refusal {
    Refusal::param("iface", "interface does not exist")
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, name) = (call.node(), call.var("iface"));
    let found = configured(call.world, &node).get(name).ok_or_else(missing)?;
    let place = priorities(call.world, &node).get(name).copied().unwrap_or_default();
    let mut row = shown(call.world, &node, name, found, place);
    if let Some(row) = row.as_object_mut() {
        row.shift_remove("iface");
    }
    Ok(row.into())
}

/// `cidr`, or `address` with `netmask`: both together have to agree.
fn cidr(values: &Values, keys: [&str; 3]) -> Result<Option<String>, Refusal> {
    let [cidr, address, netmask] = keys.map(|key| values.get(key));
    let Some(cidr) = cidr else {
        let Some(address) = address else { return Ok(None) };
        let prefix = match netmask {
            None => "32".to_owned(),
            Some(mask) => match mask.parse::<std::net::Ipv4Addr>() {
                Ok(mask) => u32::from(mask).leading_ones().to_string(),
                Err(_) => mask.to_owned(),
            },
        };
        return Ok(Some(format!("{address}/{prefix}")));
    };
    let (own, prefix) = cidr.split_once('/').unwrap_or((cidr, ""));
    if address.is_some_and(|a| a != own) {
        return Err(Refusal::param(keys[1], format!("address conflicts with {}", keys[0])));
    }
    if netmask.is_some_and(|n| n != prefix) {
        return Err(Refusal::param(keys[2], format!("netmask conflicts with {}", keys[0])));
    }
    Ok(Some(cidr.to_owned()))
}

fn set(network: &mut Network, values: &Values) -> Result<(), Refusal> {
    values.text("type").clone_into(&mut network.kind);
    network.cidr = cidr(values, ["cidr", "address", "netmask"])?;
    if let Some(six) = cidr(values, ["cidr6", "address6", "netmask6"])? {
        network.options.insert("cidr6".to_owned(), six);
    }
    let text = |key: &str| values.get(key).map(str::to_owned);
    network.gateway = text("gateway").or(network.gateway.take());
    network.autostart = values.get("autostart").map_or(network.autostart, |v| v == "1");
    network.vlan_aware = values.get("bridge_vlan_aware").map_or(network.vlan_aware, |v| v == "1");
    network.ports = text("bridge_ports").unwrap_or_else(|| std::mem::take(&mut network.ports));
    network.unlisted = false;
    for key in values.0.keys() {
        let elsewhere = matches!(
            key.as_str(),
            "iface"
                | "type"
                | "cidr"
                | "address"
                | "netmask"
                | "cidr6"
                | "address6"
                | "netmask6"
                | "gateway"
                | "autostart"
                | "bridge_vlan_aware"
                | "bridge_ports"
                | "delete"
        );
        if !elsewhere {
            network.options.insert(key.clone(), values.text(key).to_owned());
        }
    }
    Ok(())
}

/// There is one default gateway only.
fn check_gateway(all: &BTreeMap<String, Network>, name: &str, values: &Values) -> Result<(), Refusal> {
    let six = |n: &Network| n.options.contains_key("gateway6");
    for (key, has) in [("gateway", (|n: &Network| n.gateway.is_some()) as fn(&Network) -> bool), ("gateway6", six)] {
        let other = all.iter().find(|(other, n)| *other != name && has(n)).map(|(other, _)| other);
        if let Some(other) = other.filter(|_| values.get(key).is_some()) {
            return Err(Refusal::param(key, format!("Default gateway already exists on interface '{other}'.")));
        }
    }
    Ok(())
}

fn stage(call: &mut Call<'_>, networks: BTreeMap<String, Network>) {
    let (node, now) = (call.node(), call.world.now_ms);
    // Written anew, the file mentions everything.
    let listed = networks.into_iter().map(|(name, n)| (name, Network { unlisted: false, ..n })).collect();
    if let Some(host) = call.world.nodes.get_mut(&node) {
        host.staged_networks = Some((now, listed));
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.values.text("iface").to_owned();
    let mut networks = configured(call.world, call.var("node")).clone();
    if networks.contains_key(&name) {
        return Err(Refusal::param("iface", "interface already exists"));
    }
    check_gateway(&networks, &name, &call.values)?;
    let mut network = Network::default();
    set(&mut network, &call.values)?;
    if network.kind.starts_with("OVS") {
        return Err("Open VSwitch is not installed (need package 'openvswitch-switch')".into());
    }
    networks.insert(name, network);
    stage(call, networks);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.var("iface").to_owned();
    let mut networks = configured(call.world, call.var("node")).clone();
    let mut network = networks.get(&name).cloned().ok_or_else(missing)?;
    for key in f::split_list(call.values.text("delete")) {
        match key {
            "cidr" | "address" => network.cidr = None,
            "gateway" => network.gateway = None,
            "autostart" => network.autostart = false,
            "bridge_ports" => network.ports.clear(),
            "bridge_vlan_aware" => network.vlan_aware = false,
            "cidr6" | "address6" => drop(network.options.remove("cidr6")),
            other => drop(network.options.remove(other)),
        }
    }
    check_gateway(&networks, &name, &call.values)?;
    set(&mut network, &call.values)?;
    networks.insert(name, network);
    stage(call, networks);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.var("iface").to_owned();
    let mut networks = configured(call.world, call.var("node")).clone();
    networks.remove(&name).ok_or_else(missing)?;
    stage(call, networks);
    Ok(().into())
}

fn revert(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    if let Some(host) = call.world.nodes.get_mut(&node) {
        host.staged_networks = None;
    }
    Ok(().into())
}

fn apply(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(call.spawn("srvreload", "networking", 3000, Work::ReloadNetwork))
}

/// Puts what is staged into effect.
pub fn reload(world: &mut World, node: &str) {
    if let Some(host) = world.nodes.get_mut(node)
        && let Some((_, mut staged)) = host.staged_networks.take()
    {
        // Hardware does not go away because the file does not mention it.
        for (name, network) in host.networks.iter().filter(|(_, n)| n.kind == "eth") {
            staged.entry(name.clone()).or_insert_with(|| Network {
                kind: "eth".to_owned(),
                unlisted: true,
                ..Network { cidr: None, gateway: None, ..network.clone() }
            });
        }
        host.networks = staged;
        host.networks_by_pve = true;
    }
}
