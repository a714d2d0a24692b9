//! PCI functions in `/sys`: one directory each, with their attributes.

use super::{Entry, View};
use crate::lab::world::{Node, PciDevice};

/// Where a function's directory is below `/sys/devices`: behind a bridge unless it is on the first bus.
pub(super) fn directory(node: &Node, address: &str) -> String {
    let bridge =
        node.pci.iter().find(|(bridge, device)| device.class.starts_with("0604") && bridge.starts_with("0000:00:"));
    match bridge {
        Some((bridge, _)) if !address.starts_with("0000:00:") => format!("pci0000:00/{bridge}/{address}"),
        _ => format!("pci0000:00/{address}"),
    }
}

/// Attributes that a function has, by name.
pub(super) fn attributes(node: &Node, address: &str) -> Vec<String> {
    let mut names: Vec<String> = USUAL
        .iter()
        .map(|name| (*name).to_owned())
        .chain(node.machine.attributes.get(address).into_iter().flat_map(|own| own.keys().cloned()))
        .filter(|name| attribute(node, address, name).is_some())
        .collect();
    names.sort();
    names.dedup();
    names
}

const USUAL: &[&str] = &[
    "boot_vga",
    "broken_parity_status",
    "class",
    "consistent_dma_mask_bits",
    "current_link_speed",
    "current_link_width",
    "d3cold_allowed",
    "device",
    "dma_mask_bits",
    "driver_override",
    "enable",
    "irq",
    "local_cpulist",
    "max_link_speed",
    "max_link_width",
    "modalias",
    "msi_bus",
    "numa_node",
    "power_state",
    "remove",
    "rescan",
    "reset",
    "reset_method",
    "resource",
    "revision",
    "rom",
    "subsystem_device",
    "subsystem_vendor",
    "uevent",
    "vendor",
];

/// The value of an attribute, without its line break.
pub(super) fn attribute(node: &Node, address: &str, name: &str) -> Option<String> {
    let device = node.pci.get(address)?;
    if let Some(own) = node.machine.attributes.get(address).and_then(|own| own.get(name)) {
        return (!own.is_empty()).then(|| own.clone());
    }
    let display = device.class.starts_with("03");
    let express = display || ["0108", "0107", "0200", "0403"].iter().any(|class| device.class.starts_with(class));
    let or = |text: &str, other: &str| format!("0x{}", if text.is_empty() { other } else { text });
    let value = match name {
        "vendor" => format!("0x{}", device.vendor),
        "device" => format!("0x{}", device.device),
        "subsystem_vendor" => or(&device.subsystem_vendor, "0000"),
        "subsystem_device" => or(&device.subsystem_device, "0000"),
        "class" => format!("0x{}", device.class),
        "revision" => "0xa1".to_owned(),
        "driver_override" => "(null)".to_owned(),
        "boot_vga" if device.class.starts_with("0300") => u8::from(is_boot_vga(node, address)).to_string(),
        "numa_node" => "-1".to_owned(),
        "enable" => u8::from(device.driver.is_some()).to_string(),
        "irq" => "0".to_owned(),
        "local_cpulist" => format!("0-{}", node.cpus.max(1) - 1),
        "d3cold_allowed" => "1".to_owned(),
        "msi_bus" => "1".to_owned(),
        "broken_parity_status" => "0".to_owned(),
        "consistent_dma_mask_bits" | "dma_mask_bits" => "32".to_owned(),
        "power_state" => "D0".to_owned(),
        "modalias" => modalias(device),
        "reset_method" if display => "flr bus".to_owned(),
        "reset_method" if express => "flr".to_owned(),
        "current_link_width" | "max_link_width" if display || device.class.starts_with("0403") => "16".to_owned(),
        "current_link_width" | "max_link_width" if express => "4".to_owned(),
        "current_link_speed" | "max_link_speed" if express => "16.0 GT/s PCIe".to_owned(),
        "resource" => "0x0000000000000000 0x0000000000000000 0x0000000000000000".to_owned(),
        "uevent" => uevent(address, device),
        _ => return None,
    };
    Some(value)
}

fn is_boot_vga(node: &Node, address: &str) -> bool {
    let mut cards = node.pci.iter().filter(|(_, device)| device.class.starts_with("0300"));
    match node.pci.iter().find(|(_, device)| device.boot_vga) {
        Some((boot, _)) => boot == address,
        None => cards.next().is_some_and(|(first, _)| first == address),
    }
}

fn modalias(device: &PciDevice) -> String {
    let wide = |text: &str| format!("0000{:0>4}", text.to_ascii_uppercase());
    let class = device.class.to_ascii_uppercase();
    let part = |range: std::ops::Range<usize>| class.get(range).unwrap_or("00").to_owned();
    format!(
        "pci:v{}d{}sv{}sd{}bc{}sc{}i{}",
        wide(&device.vendor),
        wide(&device.device),
        wide(&device.subsystem_vendor),
        wide(&device.subsystem_device),
        part(0..2),
        part(2..4),
        part(4..6)
    )
}

fn uevent(address: &str, device: &PciDevice) -> String {
    let driver = device.driver.as_ref().map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
    let upper = str::to_ascii_uppercase;
    format!(
        "{driver}PCI_CLASS={}\nPCI_ID={}\nPCI_SUBSYS_ID={}\nPCI_SLOT_NAME={address}\nMODALIAS={}",
        upper(device.class.trim_start_matches('0')),
        upper(&device.id()),
        upper(&device.subsystem_id()),
        modalias(device)
    )
}

/// Names in a function's directory.
pub(super) fn names(view: View<'_>, address: &str) -> Vec<String> {
    let Some(device) = view.node.pci.get(address) else { return Vec::new() };
    let mut names = attributes(view.node, address);
    names.extend(["config", "power", "subsystem"].map(str::to_owned));
    if device.driver.is_some() {
        names.push("driver".to_owned());
    }
    if view.node.iommu_group(address).is_some() {
        names.extend(["iommu", "iommu_group"].map(str::to_owned));
    }
    if device.class.starts_with("0604") {
        names.push("pci_bus".to_owned());
        let here = directory(view.node, address);
        names.extend(
            view.node.pci.keys().filter(|other| directory(view.node, other) == format!("{here}/{other}")).cloned(),
        );
    }
    if device.class.starts_with("0300") && !names.contains(&"rom".to_owned()) {
        names.push("rom".to_owned());
    }
    if attribute(view.node, address, "reset_method").is_some() {
        names.push("reset".to_owned());
    }
    names.sort();
    names
}

/// What a path within a function's directory names.
pub(super) fn entry(view: View<'_>, address: &str, path: &[&str]) -> Option<Entry> {
    let has = |name: &str| names(view, address).iter().any(|known| known == name);
    match path {
        [] => Entry::directory(names(view, address)),
        ["power" | "pci_bus"] if has(path[0]) => Entry::directory(["control", "runtime_status"]),
        ["power", "control"] => Entry::line("on"),
        ["power", "runtime_status"] => Entry::line("active"),
        ["config"] => Entry::opaque(4096, 0),
        ["rom"] if has("rom") => Entry::opaque(131_072, 0),
        ["reset"] if has("reset") => Entry::opaque(4096, 0),
        [name] => Entry::line(attribute(view.node, address, name)?),
        _ => None,
    }
}

/// What a link in a function's directory points at.
pub(super) fn link(view: View<'_>, address: &str, name: &str) -> Option<String> {
    let device = view.node.pci.get(address)?;
    let up = "../".repeat(directory(view.node, address).split('/').count() + 1);
    match name {
        "driver" => device.driver.as_ref().map(|driver| format!("{up}bus/pci/drivers/{driver}")),
        "iommu_group" => view.node.iommu_group(address).map(|group| format!("{up}kernel/iommu_groups/{group}")),
        "iommu" => {
            let unit = super::groups::units(view).first().copied()?;
            Some(format!("{up}devices/{}", super::groups::unit_directory(unit)))
        }
        "subsystem" => Some(format!("{up}bus/pci")),
        _ => None,
    }
}
