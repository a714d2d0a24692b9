//! Which device on a host's bus a GPU of the inventory is.
//!
//! Owns the one rule for it, which the mapping's resource and the checks of passthrough share: by what it is,
//! and by where it sits only where that is said. The entry is [`seek`].

use std::collections::BTreeMap;

use super::ownership::{is_marked, marked};
use crate::blueprint::{Blueprint, Gpu};
use crate::model::observed::{PciDevice, PciMapping};
use crate::model::{NodeName, PciAddress};
use crate::proxmox::options::Options;

/// What was found on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought<'a> {
    /// The device: its function that has the GPU's id.
    Found(&'a PciDevice),
    /// No device fits; these have the same id, and another board or another place.
    Missing(Vec<&'a PciDevice>),
    /// Several fit.
    Ambiguous(Vec<&'a PciDevice>),
}

/// Looks for a GPU among the functions of a bus.
#[must_use]
pub fn seek<'a>(gpu: &Gpu, devices: &'a [PciDevice]) -> Sought<'a> {
    let same_id: Vec<&PciDevice> = devices.iter().filter(|device| device.id == gpu.id).collect();
    let matching: Vec<&PciDevice> = same_id
        .iter()
        .copied()
        .filter(|device| gpu.subsystem.is_none_or(|subsystem| device.subsystem == Some(subsystem)))
        .filter(|device| gpu.address.as_ref().is_none_or(|at| device.address.device() == at.device()))
        .collect();
    match matching[..] {
        [device] => Sought::Found(device),
        [] => Sought::Missing(same_id),
        _ => Sought::Ambiguous(matching),
    }
}

/// The entry of a mapping for a device that is passed through whole, as PVE checks it before it starts a VM.
#[must_use]
pub fn mapping_entry(node: &NodeName, device: &PciDevice, group: u32) -> Options {
    let mut entry = Options::default();
    entry.named.insert("node".into(), node.to_string());
    entry.named.insert("path".into(), device.address.device().to_string());
    entry.named.insert("id".into(), device.id.to_string());
    if let Some(subsystem) = device.subsystem {
        entry.named.insert("subsystem-id".into(), subsystem.to_string());
    }
    entry.named.insert("iommugroup".into(), group.to_string());
    entry
}

/// Entries of a mapping for a node.
pub fn entries<'a>(mapping: &'a PciMapping, node: &NodeName) -> impl Iterator<Item = Options> + use<'a> {
    let node = node.to_string();
    mapping.map.iter().map(|entry| Options::parse(entry)).filter(move |entry| entry.get("node") == Some(&node))
}

/// Devices or functions that an entry of a mapping names; of several the first that is free is taken.
#[must_use]
pub fn paths(entry: &Options) -> Vec<PciAddress> {
    entry.get("path").unwrap_or_default().split(';').filter_map(|path| path.parse().ok()).collect()
}

/// What PVE would say about an entry before it starts a VM, in its words; `None` where it says nothing.
///
/// `devices` are all functions of the node by address.
#[must_use]
pub fn refusal(name: &str, entry: &Options, devices: &BTreeMap<PciAddress, PciDevice>) -> Option<String> {
    for (index, path) in entry.get("path").unwrap_or_default().split(';').enumerate() {
        // A whole device is held against its first function.
        let first = if path.contains('.') { path.to_owned() } else { format!("{path}.0") };
        let Some(device) = first.parse().ok().and_then(|address: PciAddress| devices.get(&address)) else {
            return Some(format!("pci device '{first}' not found"));
        };
        let facts = [
            ("id", Some(device.id.to_string())),
            ("iommugroup", device.iommu_group.map(|group| group.to_string())),
            ("subsystem-id", device.subsystem.map(|board| board.to_string())),
        ];
        for (key, there) in facts {
            // The group is that of the first path.
            if key == "iommugroup" && index > 0 {
                continue;
            }
            let problem = match (there, entry.get(key)) {
                // A function without a board reads as 0000:0000 there, which entries of ours leave out.
                (None, None) => continue,
                (None, Some("0000:0000")) if key == "subsystem-id" => continue,
                (Some(_), None) => format!("no '{key}' for device '{first}'"),
                (None, Some(_)) => format!("'{key}' configured but should not be"),
                (Some(there), Some(said)) if there == said.replace("0x", "") => continue,
                (Some(there), Some(said)) => format!("'{key}' does not match for '{name}' ({there} != {said})"),
            };
            return Some(problem);
        }
    }
    None
}

/// Whether a mapping is one that plans of this inventory keep up to date.
#[must_use]
pub fn is_ours(blueprint: &Blueprint, mapping: &PciMapping) -> bool {
    is_marked(&blueprint.name, &mapping.description)
}

/// The description of a mapping that is ours.
#[must_use]
pub fn mark(blueprint: &Blueprint) -> String {
    marked(&blueprint.name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(address: &str, id: &str, group: Option<u32>) -> PciDevice {
        PciDevice {
            address: address.parse().unwrap(),
            id: id.parse().unwrap(),
            subsystem: Some("1043:88ec".parse().unwrap()),
            iommu_group: group,
            name: None,
        }
    }

    #[test]
    fn a_mapping_is_held_against_the_bus_as_proxmox_does() {
        let card = device("0000:01:00.0", "10de:2684", Some(14));
        let devices = BTreeMap::from([(card.address.clone(), card.clone())]);
        let entry = mapping_entry(&"pve1".parse().unwrap(), &card, 14);
        assert_eq!(refusal("rtx4090", &entry, &devices), None);
        let changed = |key: &str, value: &str| {
            let mut entry = entry.clone();
            entry.named.insert(key.into(), value.into());
            refusal("rtx4090", &entry, &devices).unwrap()
        };
        assert_eq!(changed("path", "0000:02:00"), "pci device '0000:02:00.0' not found");
        assert_eq!(changed("iommugroup", "15"), "'iommugroup' does not match for 'rtx4090' (14 != 15)");
        assert!(changed("id", "10de:2204").starts_with("'id' does not match"));
        let mut bare = entry.clone();
        bare.named.remove("iommugroup");
        assert_eq!(refusal("rtx4090", &bare, &devices).unwrap(), "no 'iommugroup' for device '0000:01:00.0'");
        let without = BTreeMap::from([(card.address.clone(), device("0000:01:00.0", "10de:2684", None))]);
        assert_eq!(refusal("rtx4090", &entry, &without).unwrap(), "'iommugroup' configured but should not be");
    }
}
