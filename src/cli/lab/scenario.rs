//! The hardware that an inventory describes, as a lab can have it.
//!
//! What an inventory does not say (memory, drives, the board) is that of an ordinary workstation, large
//! enough for the guests that are placed on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::blueprint::{Blueprint, Gpu, Host, ImageSource};
use crate::lab::Scenario;
use crate::lab::scenario::{HostSpec, SiteSpec, graphics_card, installer_storages, usual_appliances};
use crate::lab::world::{Appliance, Network, PciDevice, Storage, StorageKind};
use crate::model::{Size, StorageName};

/// What is left for the host itself beside its guests.
const OWN_MEMORY_GIB: u64 = 16;

/// A scenario in which every host of the inventory is there, and nothing on it yet.
#[must_use]
pub fn scenario(blueprint: &Blueprint) -> Scenario {
    let sites = blueprint.sites().into_keys().map(|name| site(name, blueprint)).collect();
    let mut scenario = Scenario::of(sites);
    scenario.appliances = usual_appliances();
    for image in blueprint.images.values() {
        match &image.source {
            ImageSource::Cloud { url, sha256, .. } => {
                scenario = scenario.knows(url, Size::mib(650), sha256, Some(Size::mib(2252)));
            }
            ImageSource::Template { file } => {
                if !scenario.appliances.iter().any(|appliance| appliance.template == *file) {
                    scenario.appliances.push(appliance(file));
                }
            }
        }
    }
    scenario
}

fn site(name: &str, blueprint: &Blueprint) -> SiteSpec {
    let hosts: Vec<&Host> = blueprint.hosts.values().filter(|host| host.site == name).collect();
    let token_id = hosts.first().map(|host| host.access.api.token_id.clone()).unwrap_or_default();
    SiteSpec {
        name: name.to_owned(),
        // A host that names no cluster is a site of its own name.
        cluster: hosts.iter().any(|host| host.site != host.name.as_str()),
        hosts: hosts.iter().map(|host| machine(host, blueprint)).collect(),
        storages: storages(&hosts, blueprint),
        token_id,
        privileges: Vec::new(),
        root_password: None,
    }
}

fn machine(host: &Host, blueprint: &Blueprint) -> HostSpec {
    let mut machine = HostSpec::workstation(host.name.as_str(), host.node.as_str(), &host.access.api.host);
    let guests = blueprint.guests.values().filter(|guest| guest.host == host.name);
    let wanted = guests.map(|guest| guest.memory.as_bytes()).sum::<u64>();
    let needed = Size::gib(wanted.div_ceil(1 << 30) + OWN_MEMORY_GIB);
    if needed.as_bytes() > machine.memory.as_bytes() {
        machine.memory = needed;
    }
    let bridge = host.network.bridge.as_str();
    if !machine.networks.contains_key(bridge) {
        machine.networks.insert(
            bridge.to_owned(),
            Network {
                kind: "bridge".to_owned(),
                vlan_aware: host.network.vlan.is_some(),
                autostart: true,
                ..Network::default()
            },
        );
    }
    // Guests whose network is not the host's own reach the world through it: it is their gateway.
    let inside = host.access.api.host.parse().is_ok_and(|own: std::net::IpAddr| host.network.subnet.contains(&own));
    if !inside && host.network.vlan.is_none() {
        let cidr = format!("{}/{}", host.network.gateway, host.network.subnet.prefix_len());
        let gateway = Network { kind: "alias".to_owned(), cidr: Some(cidr), autostart: true, ..Network::default() };
        machine.networks.insert(format!("{bridge}:1"), gateway);
    }
    if let Some(datasets) = &host.storage.datasets {
        machine.pools.entry(datasets.pool().to_owned()).or_insert(Size::gib(1800));
    }
    machine.with_pci(gpus(host))
}

/// Cards at the addresses that the inventory asks for, else one bus after the other.
fn gpus(host: &Host) -> BTreeMap<String, PciDevice> {
    let mut devices = BTreeMap::new();
    let taken: BTreeSet<String> =
        host.gpus.values().filter_map(|gpu| gpu.address.as_ref()).map(|address| address.device().to_string()).collect();
    // Buses 00, 02, 05 and 0f are the board's own.
    let mut free = [1u8, 3, 4].into_iter().chain(6..=0x0e).chain(0x10..=0xff).map(|bus| format!("0000:{bus:02x}:00"));
    for (gpu, group) in host.gpus.values().zip(30..) {
        let slot = match &gpu.address {
            Some(address) => address.device().to_string(),
            None => free.find(|slot| !taken.contains(slot)).unwrap_or_default(),
        };
        devices.extend(card(gpu, &slot, group));
    }
    devices
}

fn card(gpu: &Gpu, slot: &str, group: i32) -> BTreeMap<String, PciDevice> {
    let (vendor, device) = (format!("{:04x}", gpu.id.vendor), format!("{:04x}", gpu.id.device));
    let mut card = graphics_card(slot, (&vendor, &device), "Graphics card", group);
    if let Some(subsystem) = &gpu.subsystem {
        for function in card.values_mut() {
            function.subsystem_vendor = format!("{:04x}", subsystem.vendor);
            function.subsystem_device = format!("{:04x}", subsystem.device);
        }
    }
    card
}

/// The installer's storages, and those that the inventory names beside them.
fn storages(hosts: &[&Host], blueprint: &Blueprint) -> BTreeMap<String, Storage> {
    let mut storages = installer_storages();
    let on_site = |guest: &&crate::blueprint::Guest| hosts.iter().any(|host| host.name == guest.host);
    let files: BTreeSet<&StorageName> = hosts.iter().map(|host| &host.storage.files).collect();
    let disks: BTreeSet<&StorageName> = hosts
        .iter()
        .map(|host| &host.storage.guests)
        .chain(blueprint.guests.values().filter(on_site).map(|guest| &guest.storage))
        .collect();
    let contents = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    for name in &files {
        let entry = storages
            .entry(name.to_string())
            .or_insert_with(|| Storage::new(StorageKind::Dir { path: format!("/mnt/pve/{name}"), size: None }, &[]));
        entry.content.extend(contents(&["import", "iso", "snippets", "vztmpl"]));
    }
    for name in &disks {
        let entry = storages
            .entry(name.to_string())
            .or_insert_with(|| Storage::new(StorageKind::ZfsPool { pool: format!("rpool/{name}"), sparse: true }, &[]));
        entry.content.extend(contents(&["images", "rootdir"]));
    }
    storages
}

/// A template that the usual list does not have: `debian-12-standard_12.12-1_amd64.tar.zst`.
fn appliance(file: &str) -> Appliance {
    let (package, rest) = file.split_once('_').unwrap_or((file, "0-0"));
    let version = rest.split('_').next().unwrap_or_default();
    let os = package.rsplit_once('-').map_or(package, |(os, _)| os);
    let usual = usual_appliances();
    Appliance {
        template: file.to_owned(),
        package: package.to_owned(),
        version: version.to_owned(),
        os: os.to_owned(),
        section: "system".to_owned(),
        headline: format!("LXC image for {os}"),
        size: 120_000_000,
        // Whose sum it is does not matter: nothing holds it against a real file.
        sha512: usual.first().map(|appliance| appliance.sha512.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_inventory_names_is_there() {
        let blueprint = crate::blueprint::testing::good();
        let scenario = scenario(&blueprint);
        for site in &scenario.sites {
            let world = scenario.world(site, "secret", jiff::Timestamp::UNIX_EPOCH).unwrap();
            for host in blueprint.hosts.values().filter(|host| host.site == site.name) {
                let node = &world.nodes[host.node.as_str()];
                assert!(node.networks.contains_key(host.network.bridge.as_str()));
                for gpu in host.gpus.values() {
                    let id = (format!("{:04x}", gpu.id.vendor), format!("{:04x}", gpu.id.device));
                    assert!(node.pci.values().any(|device| (&device.vendor, &device.device) == (&id.0, &id.1)));
                }
                for (storage, content) in [(&host.storage.files, "snippets"), (&host.storage.guests, "images")] {
                    assert!(world.storages[storage.as_str()].content.contains(content), "{storage}");
                }
            }
        }
        for image in blueprint.images.values() {
            match &image.source {
                ImageSource::Cloud { url, .. } => assert!(scenario.downloads.contains_key(url)),
                ImageSource::Template { file } => {
                    assert!(scenario.appliances.iter().any(|appliance| appliance.template == *file));
                }
            }
        }
    }
}
