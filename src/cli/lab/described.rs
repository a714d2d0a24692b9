//! What an inventory says of a lab's hosts, where there is no inventory: read off the hardware.

use std::collections::BTreeMap;

use crate::lab::scenario::{HostSpec, SiteSpec};
use crate::lab::world::{Network, PciDevice};

/// What a guests' network is called where the hardware says nothing of one.
const SUBNET: (&str, &str) = ("10.0.0.0/24", "10.0.0.1");

/// A text as YAML reads it back; JSON's quotes are YAML's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The keys of a host beside how it is reached, indented to stand in its block.
pub(super) fn keys(site: &SiteSpec, host: &HostSpec) -> String {
    let mut lines = vec![format!("address: {}", quoted(&host.address)), format!("node: {}", quoted(&host.node))];
    if site.cluster {
        lines.push(format!("cluster: {}", quoted(&site.name)));
    }
    lines.push(format!("storage: {{ {} }}", storage(site, host)));
    lines.push(format!("network: {{ {} }}", network(&host.networks)));
    let gpus = gpus(&host.pci);
    if !gpus.is_empty() {
        lines.push("gpus:".to_owned());
        lines.extend(gpus.into_iter().map(|(name, keys)| format!("  {name}: {{ {keys} }}")));
    }
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

fn storage(site: &SiteSpec, host: &HostSpec) -> String {
    let with = |contents: &[&str]| {
        let mut usable = site.storages.iter().filter(|(_, storage)| {
            !storage.disabled
                && (storage.nodes.is_empty() || storage.nodes.contains(&host.node))
                && contents.iter().all(|content| storage.content.contains(*content))
        });
        usable.next().map(|(name, _)| name.clone())
    };
    // What nothing in the hardware offers is named as the installer would, so that the plan says it is missing.
    let guests = with(&["images", "rootdir"]).unwrap_or_else(|| "local-zfs".to_owned());
    let files = with(&["import", "snippets", "vztmpl"]).unwrap_or_else(|| "local".to_owned());
    let mut keys = format!("guests: {}, files: {}", quoted(&guests), quoted(&files));
    if let Some(pool) = host.pools.keys().next() {
        keys.push_str(&format!(", datasets: {}", quoted(&format!("{pool}/containers"))));
    }
    keys
}

/// The first bridge. Its own network if it has a gateway there; else guests get one of their own.
fn network(networks: &BTreeMap<String, Network>) -> String {
    let bridge = networks.iter().find(|(_, network)| network.kind == "bridge");
    let name = bridge.map_or("vmbr0", |(name, _)| name.as_str());
    let own = bridge.and_then(|(_, bridge)| {
        let interface: ipnet::IpNet = bridge.cidr.as_deref()?.parse().ok()?;
        Some((interface.trunc().to_string(), bridge.gateway.clone()?))
    });
    let (subnet, gateway) = own.unwrap_or_else(|| (SUBNET.0.to_owned(), SUBNET.1.to_owned()));
    format!("bridge: {}, subnet: {}, gateway: {}", quoted(name), quoted(&subnet), quoted(&gateway))
}

/// Display controllers by a name made of what the id database calls them; where several are equal, with
/// their address.
fn gpus(pci: &BTreeMap<String, PciDevice>) -> BTreeMap<String, String> {
    // The display that the host boots on stays with the host.
    let is_card = |device: &PciDevice| device.class.starts_with("03") && !device.boot_vga;
    let cards: Vec<(&String, &PciDevice)> = pci.iter().filter(|(_, device)| is_card(device)).collect();
    let mut gpus = BTreeMap::new();
    for (address, device) in &cards {
        let equal = cards.iter().filter(|(_, other)| other.id() == device.id()).count() > 1;
        let slot = address.rsplit_once('.').map_or(address.as_str(), |(slot, _)| slot);
        let place = if equal { format!(", address: {}", quoted(slot)) } else { String::new() };
        let base = gpu_name(device);
        let taken = |name: &str| gpus.contains_key(name);
        let name = if taken(&base) {
            (2..).map(|n| format!("{base}-{n}")).find(|name| !taken(name)).unwrap_or_else(|| base.clone())
        } else {
            base
        };
        gpus.insert(name, format!("id: {}{place}", quoted(&device.id())));
    }
    gpus
}

/// `AD102 [GeForce RTX 4090]` is called `rtx4090`.
fn gpu_name(device: &PciDevice) -> String {
    let full = device.device_name.as_deref().unwrap_or_default();
    let sold_as = full.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(full, |(name, _)| name);
    let name: String = sold_as
        .split(' ')
        .filter(|word| !matches!(*word, "GeForce" | "Radeon" | "Quadro"))
        .flat_map(str::chars)
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("gpu{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Scenario;
    use crate::lab::scenario::graphics_card;

    #[test]
    fn the_example_is_described_in_full() {
        let example = Scenario::example();
        let site = &example.sites[0];
        insta::assert_snapshot!(keys(site, &site.hosts[0]), @r#"
        address: "192.168.10.2"
        node: "pve1"
        storage: { guests: "local-zfs", files: "local", datasets: "rpool/containers" }
        network: { bridge: "vmbr0", subnet: "10.0.0.0/24", gateway: "10.0.0.1" }
        gpus:
          rtx4090: { id: "10de:2684" }
        "#);
    }

    #[test]
    fn equal_cards_are_told_apart_by_their_place_and_a_nameless_one_still_has_a_name() {
        let mut pci = graphics_card("0000:01:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
        pci.extend(graphics_card("0000:03:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 15));
        pci.extend(graphics_card("0000:04:00", ("1002", "744c"), "", 16));
        let gpus = gpus(&pci);
        let shown: Vec<String> = gpus.iter().map(|(name, keys)| format!("{name} {keys}")).collect();
        assert_eq!(
            shown,
            [
                r#"gpu id: "1002:744c""#,
                r#"rtx4090 id: "10de:2684", address: "0000:01:00""#,
                r#"rtx4090-2 id: "10de:2684", address: "0000:03:00""#,
            ]
        );
    }

    #[test]
    fn a_bridge_with_a_gateway_is_the_guests_network() {
        let bridge = Network {
            kind: "bridge".to_owned(),
            cidr: Some("172.16.5.2/24".to_owned()),
            gateway: Some("172.16.5.1".to_owned()),
            ..Network::default()
        };
        let networks = [("vmbr7".to_owned(), bridge)].into();
        assert_eq!(network(&networks), r#"bridge: "vmbr7", subnet: "172.16.5.0/24", gateway: "172.16.5.1""#);
    }
}
