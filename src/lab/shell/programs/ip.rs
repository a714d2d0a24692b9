//! `ip -j`: links, addresses and neighbours as the world has them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lab::rules::{guest_addresses, guest_mac};
use crate::lab::shell::call::Call;
use crate::lab::world::property::Properties;
use crate::lab::world::{GuestKind, Network, Node, World};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let Some(node) = call.world.nodes.get(call.node) else { return call.unknown("a host that is not there") };
    let rows = match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-j", "-d", "link"] => links(call.world, call.node, node),
        ["-j", "addr"] => addresses(node),
        ["-j", "neigh"] => neighbours(call.world, call.node, node),
        _ => return call.unknown(&call.args.join(" ")),
    };
    call.print(Value::Array(rows).to_string());
    0
}

/// Interfaces that the kernel has: an alias is an address of another one.
fn real(node: &Node) -> impl Iterator<Item = (&String, &Network)> {
    node.networks.iter().filter(|(_, network)| network.kind != "alias")
}

/// The bridge or bond that an interface is a port of.
fn master<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    let of = |(upper, network): (&'a String, &'a Network)| {
        let slaves = network.options.get("slaves").map_or("", String::as_str);
        let mut ports = network.ports.split(' ').chain(slaves.split(' '));
        ports.any(|port| port == name).then_some(upper.as_str())
    };
    real(node).find_map(of)
}

fn links(world: &World, name: &str, node: &Node) -> Vec<Value> {
    let loopback =
        json!({"ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "mtu": 65536, "link_type": "loopback"});
    let mut rows = vec![loopback];
    for (link, network) in real(node) {
        let mtu: u32 = network.options.get("mtu").and_then(|mtu| mtu.parse().ok()).unwrap_or(1500);
        let on = network.autostart || master(node, link).is_some();
        let flags: &[&str] =
            if on { &["BROADCAST", "MULTICAST", "UP", "LOWER_UP"] } else { &["BROADCAST", "MULTICAST"] };
        let mut row = json!({
            "ifname": link, "flags": flags, "mtu": mtu, "operstate": if on { "UP" } else { "DOWN" }, "link_type": "ether",
        });
        if let Some(master) = master(node, link) {
            row["master"] = master.into();
        }
        match network.kind.as_str() {
            "bridge" => {
                let data = json!({"vlan_filtering": u8::from(network.vlan_aware)});
                row["linkinfo"] = json!({"info_kind": "bridge", "info_data": data});
            }
            "OVSBridge" => row["linkinfo"] = json!({"info_kind": "openvswitch"}),
            kind @ ("bond" | "vlan") => row["linkinfo"] = json!({"info_kind": kind}),
            _ => {}
        }
        rows.push(row);
    }
    for (vmid, guest) in world.guests.iter().filter(|(_, guest)| guest.node == name && guest.run.is_some()) {
        let Some(net) = guest.config.get("net0") else { continue };
        let fields = Properties::parse(net);
        let Some(bridge) = fields.get("bridge").filter(|bridge| node.networks.contains_key(*bridge)) else { continue };
        let (link, kind) = match guest.kind {
            _ if fields.is_on("firewall") => (format!("fwpr{vmid}p0"), "veth"),
            GuestKind::Qemu => (format!("tap{vmid}i0"), "tun"),
            GuestKind::Lxc => (format!("veth{vmid}i0"), "veth"),
        };
        rows.push(json!({
            "ifname": link, "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "mtu": 1500, "operstate": "UP",
            "link_type": "ether", "master": bridge, "linkinfo": {"info_kind": kind, "info_slave_kind": "bridge"},
        }));
    }
    rows
}

fn addresses(node: &Node) -> Vec<Value> {
    let mut by_link: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, network) in &node.networks {
        let link = name.split(':').next().unwrap_or_default();
        let rows = by_link.entry(link).or_default();
        for cidr in network.cidr.iter().chain(network.options.get("cidr6")) {
            let Some((local, length)) = cidr.split_once('/') else { continue };
            let family = if local.contains(':') { "inet6" } else { "inet" };
            let length: u8 = length.parse().unwrap_or_default();
            rows.push(json!({"family": family, "local": local, "prefixlen": length, "scope": "global"}));
        }
    }
    let local = json!([{"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]);
    std::iter::once(json!({"ifname": "lo", "addr_info": local}))
        .chain(by_link.into_iter().map(|(link, rows)| json!({"ifname": link, "addr_info": rows})))
        .collect()
}

/// Everybody who can be heard of: guests that run, and strangers.
fn neighbours(world: &World, name: &str, node: &Node) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut say = |address: &str, mac: String, state: &str| {
        if let Some(link) = beside(node, address) {
            rows.push(json!({"dst": address, "dev": link, "lladdr": mac, "state": [state]}));
        }
    };
    for guest in world.guests.values().filter(|guest| guest.node == name && guest.run.is_some()) {
        for address in guest_addresses(guest, 0) {
            let address = address.split('/').next().unwrap_or_default();
            if let (Some(mac), false) = (guest_mac(guest, 0), node.around.strangers.contains_key(address)) {
                say(address, mac, "REACHABLE");
            }
        }
    }
    for (address, stranger) in &node.around.strangers {
        say(address, stranger.mac.clone(), if stranger.gone { "STALE" } else { "REACHABLE" });
    }
    rows
}

/// The interface whose own network holds an address.
pub(super) fn beside<'a>(node: &'a Node, address: &str) -> Option<&'a str> {
    let address: std::net::IpAddr = address.parse().ok()?;
    let holds = |network: &Network| {
        let mut all = network.cidr.iter().chain(network.options.get("cidr6"));
        all.any(|cidr| cidr.parse::<ipnet::IpNet>().is_ok_and(|net| net.contains(&address)))
    };
    let (name, _) = node.networks.iter().find(|(_, network)| holds(network))?;
    name.split(':').next()
}
