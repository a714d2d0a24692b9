//! Nodes: hardware, bridges, datasets, files.

use super::firewall;
use super::original::{Original, OriginalHost, Told};
use crate::lab::world::{Dataset, DatasetKind, File, Network, Node, PciDevice, World};
use crate::model::observed;

/// More than any guest is given: what is not known must not be what fails.
const MEMORY: u64 = 1 << 50;
const CPUS: u32 = 8192;

/// Puts every node there.
pub(super) fn seed(world: &mut World, original: &Original<'_>, told: &mut Told) {
    if let Some(nodes) = told.take("the nodes of the site", &original.site.nodes) {
        for (name, online) in nodes {
            let node = Node { online: *online, memory: MEMORY, cpus: CPUS, ..Node::default() };
            world.nodes.insert(name.to_string(), node);
            if !original.hosts.iter().any(|host| host.node == name) {
                told.say(format!("what is on node {name}"), "no host of the inventory is this node");
            }
        }
    }
    for host in &original.hosts {
        let mut node = Node {
            address: host.address.to_owned(),
            online: host.there.online.value() != Some(&false),
            memory: MEMORY,
            cpus: CPUS,
            root_size: 1 << 40,
            booted_ms: world.now_ms - 3_600_000,
            ..Node::default()
        };
        told.say(format!("memory and processors of {}", host.name), "they were not read");
        if let Some(devices) = told.take(&format!("PCI devices of {}", host.name), &host.there.pci) {
            node.pci = devices.iter().map(|device| (device.address.to_string(), pci(device))).collect();
        }
        if let Some(bridges) = told.take(&format!("bridges of {}", host.name), &host.there.bridges) {
            let bridge =
                || Network { kind: "bridge".to_owned(), autostart: true, vlan_aware: true, ..Network::default() };
            node.networks = bridges.iter().map(|name| (name.to_string(), bridge())).collect();
        }
        if let Some(read) = host.there.entrance.firewall.value() {
            node.firewall = firewall::host(read);
        }
        datasets(&mut node, host, told);
        files(&mut node, host, told);
        world.nodes.insert(host.node.to_string(), node);
    }
}

fn pci(device: &observed::PciDevice) -> PciDevice {
    let hex = |number: u16| format!("{number:04x}");
    PciDevice {
        // Lists leave out bridges and the like by their class; what was listed is none of them.
        class: "030000".to_owned(),
        vendor: hex(device.id.vendor),
        device: hex(device.id.device),
        vendor_name: None,
        subsystem_device_name: None,
        device_name: device.name.clone(),
        subsystem_vendor: device.subsystem.as_ref().map(|id| hex(id.vendor)).unwrap_or_default(),
        subsystem_device: device.subsystem.as_ref().map(|id| hex(id.device)).unwrap_or_default(),
        iommu_group: device.iommu_group.and_then(|group| i32::try_from(group).ok()).unwrap_or(-1),
        driver: None,
        ..PciDevice::default()
    }
}

/// File systems with the properties that they have; which of those are inherited makes no difference.
fn datasets(node: &mut Node, host: &OriginalHost<'_>, told: &mut Told) {
    let Some(datasets) = told.take(&format!("datasets of {}", host.name), &host.there.datasets) else { return };
    for (name, seen) in datasets {
        let name = name.as_str();
        let below = format!("{name}/");
        let children = datasets.iter().filter_map(|(other, dataset)| {
            let rest = other.as_str().strip_prefix(&below)?;
            (!rest.contains('/')).then_some(dataset.used)
        });
        let (uid, gid) = seen.uid_gid.unwrap_or_default();
        let dataset = Dataset {
            kind: DatasetKind::Filesystem,
            used: seen.used.saturating_sub(children.sum()),
            mounted: seen.mounted,
            uid,
            gid,
            mode: 0o755,
            ..Dataset::default()
        };
        node.zfs.datasets.insert(name.to_owned(), dataset);
        let wanted = [
            ("mountpoint", Some(seen.mountpoint.clone().unwrap_or_else(|| "none".to_owned()))),
            ("quota", Some(seen.quota.unwrap_or_default().to_string())),
            ("recordsize", seen.recordsize.map(|size| size.to_string())),
            ("compression", Some(seen.compression.clone())),
            ("infra:owner", seen.owner.clone()),
        ];
        for (property, value) in wanted {
            let now = node.zfs.get(name, property);
            // `-` is how ZFS prints what is not set.
            let value = value.or_else(|| now.is_some().then(|| "-".to_owned()));
            if let (Some(value), Some(dataset)) = (value, node.zfs.datasets.get_mut(name))
                && now.as_deref() != Some(value.as_str())
            {
                dataset.properties.insert(property.to_owned(), value);
            }
        }
    }
}

/// Files by what they hash to; what is in them was not read.
fn files(node: &mut Node, host: &OriginalHost<'_>, told: &mut Told) {
    let Some(files) = told.take(&format!("files of {}", host.name), &host.there.files) else { return };
    for (path, file) in files {
        let Some(file) = file else { continue };
        let there = File { mode: file.mode, sha256: Some(file.sha256.clone()), ..File::default() };
        node.files.insert(path.clone(), there);
    }
}
