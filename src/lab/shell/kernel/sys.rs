//! `/sys`: the way to what it shows.

use std::collections::BTreeSet;

use super::{Entry, View, devices, groups, modules};

/// What a path below `/sys` names.
pub(super) fn entry(view: View<'_>, path: &[&str]) -> Option<Entry> {
    let efi = !view.node.system.legacy_bios;
    match path {
        [] => Entry::directory(["bus", "class", "devices", "firmware", "kernel", "module"]),
        ["bus"] => Entry::directory(["pci"]),
        ["bus", "pci"] => Entry::directory(["devices", "drivers"]),
        ["bus", "pci", "devices"] => Entry::directory(view.node.pci.keys().cloned()),
        ["bus", "pci", "drivers"] => Entry::directory(drivers(view)),
        ["bus", "pci", "drivers", driver] => {
            let bound = view.node.pci.iter().filter(|(_, device)| device.driver.as_deref() == Some(driver));
            let names = bound.map(|(address, _)| address.as_str());
            let own = ["bind", "module", "new_id", "remove_id", "uevent", "unbind"];
            drivers(view).contains(*driver).then(|| own.into_iter().chain(names)).and_then(Entry::directory)
        }
        ["class"] => Entry::directory(["iommu"]),
        ["class", "iommu"] => Entry::directory(groups::units(view)),
        ["devices"] => Entry::directory(["pci0000:00", "virtual"]),
        ["devices", "virtual", rest @ ..] => virtual_devices(view, rest),
        ["devices", "pci0000:00"] => {
            let first =
                view.node.pci.keys().filter(|address| !devices::directory(view.node, address)[11..].contains('/'));
            Entry::directory(first.cloned())
        }
        ["devices", rest @ ..] => {
            let at = (0..rest.len()).rev().find(|at| view.node.pci.contains_key(rest[*at]))?;
            let (directory, address) = (rest[..=at].join("/"), rest[at]);
            if directory != devices::directory(view.node, address) {
                return None;
            }
            match &rest[at + 1..] {
                ["iommu", unit, more @ ..] if groups::units(view).contains(unit) => unit_entry(more),
                more => devices::entry(view, address, more),
            }
        }
        ["firmware"] if efi => Entry::directory(["acpi", "dmi", "efi", "memmap"]),
        ["firmware"] => Entry::directory(["acpi", "dmi", "memmap"]),
        ["firmware", "efi"] if efi => {
            Entry::directory(["config_table", "efivars", "fw_platform_size", "runtime", "systab"])
        }
        ["firmware", "efi", "efivars"] if efi => Entry::directory(["BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c"]),
        ["firmware", "efi", "fw_platform_size"] if efi => Entry::line(64),
        ["kernel"] => Entry::directory(["iommu_groups", "mm"]),
        ["kernel", "iommu_groups", rest @ ..] => groups::entry(view, rest),
        ["module", rest @ ..] => modules::entry(view, rest),
        _ => None,
    }
}

fn virtual_devices(view: View<'_>, path: &[&str]) -> Option<Entry> {
    match path {
        [] => Entry::directory(["iommu"]),
        ["iommu"] => Entry::directory(groups::units(view).into_iter().filter(|unit| unit.starts_with("dmar"))),
        ["iommu", unit, rest @ ..] if unit.starts_with("dmar") && groups::units(view).contains(unit) => {
            unit_entry(rest)
        }
        _ => None,
    }
}

/// In the directory of a unit.
fn unit_entry(path: &[&str]) -> Option<Entry> {
    match path {
        [] => Entry::directory(["devices", "power", "uevent"]),
        ["uevent"] => Entry::file(""),
        ["devices" | "power"] => Entry::directory(Vec::<String>::new()),
        _ => None,
    }
}

/// Drivers that are there: those of devices, and those whose module is loaded.
fn drivers(view: View<'_>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = view.node.pci.values().filter_map(|device| device.driver.clone()).collect();
    if view.node.machine.running.modules.contains_key("vfio_pci") {
        names.insert("vfio-pci".to_owned());
    }
    names
}

/// What a link below `/sys` points at.
pub(super) fn link(view: View<'_>, path: &[&str]) -> Option<String> {
    match path {
        ["bus", "pci", "devices", address] => {
            let there = view.node.pci.contains_key(*address);
            there.then(|| format!("../../../devices/{}", devices::directory(view.node, address)))
        }
        ["bus", "pci", "drivers", driver, address] => {
            let bound = view.node.pci.get(*address).is_some_and(|device| device.driver.as_deref() == Some(driver));
            bound.then(|| format!("../../../../devices/{}", devices::directory(view.node, address)))
        }
        ["class", "iommu", unit] => {
            let there = groups::units(view).contains(unit);
            there.then(|| format!("../../devices/{}", groups::unit_directory(unit)))
        }
        ["kernel", "iommu_groups", rest @ ..] => groups::link(view, rest),
        ["devices", rest @ .., address, name] if view.node.pci.contains_key(*address) => {
            let at = rest.iter().chain([address]).copied().collect::<Vec<_>>().join("/");
            (at == devices::directory(view.node, address)).then(|| devices::link(view, address, name)).flatten()
        }
        _ => None,
    }
}
