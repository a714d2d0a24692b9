//! `/sys`: the way to what it shows.

use std::collections::BTreeSet;

use super::{Entry, View, devices, groups, modules};
use crate::lab::world::machine::Loader;

/// What a path below `/sys` names.
pub(super) fn entry(view: View<'_>, path: &[&str]) -> Option<Entry> {
    let efi = !view.node.system.legacy_bios;
    match path {
        [] => Entry::directory(["block", "bus", "class", "devices", "firmware", "kernel", "module"]),
        ["bus"] => Entry::directory(["pci"]),
        ["bus", "pci"] => Entry::directory(["devices", "drivers"]),
        ["bus", "pci", "devices"] => Entry::directory(view.node.pci.keys().cloned()),
        ["bus", "pci", "drivers"] => Entry::directory(drivers(view)),
        ["bus", "pci", "drivers", driver] => {
            let bound = view.node.pci.iter().filter(|(_, device)| device.driver.as_deref() == Some(driver));
            let names = bound.map(|(address, _)| address.as_str());
            let own = DRIVER_FILES;
            drivers(view).contains(*driver).then(|| own.into_iter().chain(names)).and_then(Entry::directory)
        }
        ["bus", "pci", "drivers", driver, file] if drivers(view).contains(*driver) && DRIVER_FILES.contains(file) => {
            Entry::opaque(4096, 0)
        }
        ["class"] => Entry::directory(["drm", "graphics", "iommu", "net", "nvme"]),
        ["block"] => Entry::directory(roles(view, "block").into_iter().map(|(name, _)| name)),
        ["class", kind @ ("drm" | "graphics" | "net" | "nvme")] => {
            Entry::directory(roles(view, kind).into_iter().map(|(name, _)| name))
        }
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
        ["firmware", "acpi"] => Entry::directory(["tables"]),
        ["firmware", "acpi", "tables"] => Entry::directory(acpi_tables(view)),
        ["firmware", "efi"] if efi => {
            Entry::directory(["config_table", "efivars", "fw_platform_size", "runtime", "systab"])
        }
        ["firmware", "efi", "efivars"] if efi => Entry::directory([SECURE_BOOT, SETUP_MODE, LOADER_INFO]),
        ["firmware", "efi", "efivars", name] if efi => variable(view, name),
        ["firmware", "efi", "fw_platform_size"] if efi => Entry::line(64),
        ["kernel"] => Entry::directory(["iommu_groups", "mm"]),
        ["kernel", "iommu_groups", rest @ ..] => groups::entry(view, rest),
        ["module", rest @ ..] => modules::entry(view, rest),
        _ => None,
    }
}

/// The firmware describes an IOMMU only while it is switched on there.
fn acpi_tables(view: View<'_>) -> Vec<&'static str> {
    let firmware = &view.node.machine.firmware;
    let mut tables = vec!["APIC", "DSDT", "FACP", "FACS", "HPET", "MCFG", "SSDT1"];
    if firmware.has_iommu && firmware.iommu {
        tables.push(if view.node.system.cpu_vendor == "GenuineIntel" { "DMAR" } else { "IVRS" });
    }
    tables
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

/// What every driver has beside its devices.
const DRIVER_FILES: [&str; 5] = ["bind", "new_id", "remove_id", "uevent", "unbind"];
const SECURE_BOOT: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SETUP_MODE: &str = "SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER_INFO: &str = "LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// An EFI variable: four bytes of attributes, then its value.
fn variable(view: View<'_>, name: &str) -> Option<Entry> {
    let wide = |text: &str| text.chars().flat_map(|c| [c, '\0']).chain(['\0', '\0']).collect::<String>();
    let packages = &view.node.machine.packages;
    let version = |package: &str| packages.get(package).cloned().unwrap_or_default();
    match name {
        SECURE_BOOT => {
            Entry::file(if view.node.machine.firmware.secure_boot { "\u{6}\0\0\0\u{1}" } else { "\u{6}\0\0\0\0" })
        }
        SETUP_MODE => Entry::file("\u{6}\0\0\0\0"),
        LOADER_INFO => Entry::file(match view.node.machine.boot.loader {
            Loader::SystemdBoot => format!("\u{6}\0\0\0{}", wide(&format!("systemd-boot {}", version("systemd-boot")))),
            Loader::Grub => format!("\u{6}\0\0\0{}", wide(&format!("GRUB {}", version("grub-efi-amd64-bin")))),
        }),
        _ => None,
    }
}

/// Names of a class's devices, and where they are below `/sys/devices`.
fn roles(view: View<'_>, kind: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut disks, mut drives, mut cards) = (0, 0, 0);
    let mut nics = view.node.networks.iter().filter(|(_, network)| network.kind == "eth").map(|(name, _)| name.clone());
    for (address, device) in &view.node.pci {
        let at = devices::directory(view.node, address);
        let Some(driver) = device.driver.as_deref() else { continue };
        match (kind, driver) {
            ("nvme", "nvme") => {
                found.push((format!("nvme{drives}"), format!("{at}/nvme/nvme{drives}")));
                drives += 1;
            }
            ("block", "nvme") => {
                found.push((format!("nvme{drives}n1"), format!("{at}/nvme/nvme{drives}/nvme{drives}n1")));
                drives += 1;
            }
            ("block", "ahci") => {
                let name = format!("sd{}", char::from(b'a' + disks));
                found.push((name.clone(), format!("{at}/ata1/host0/target0:0:0/0:0:0:0/block/{name}")));
                disks += 1;
            }
            ("net", _) if device.class.starts_with("02") && driver != "vfio-pci" => {
                if let Some(name) = nics.next() {
                    found.push((name.clone(), format!("{at}/net/{name}")));
                }
            }
            ("drm", "amdgpu" | "nouveau" | "i915" | "ast" | "bochs-drm") => {
                found.push((format!("card{cards}"), format!("{at}/drm/card{cards}")));
                cards += 1;
            }
            ("graphics", "amdgpu" | "i915" | "ast" | "bochs-drm") if device.boot_vga => {
                found.push(("fb0".to_owned(), format!("{at}/graphics/fb0")));
            }
            _ => {}
        }
    }
    if kind == "net" {
        let virtuals = view.node.networks.iter().filter(|(_, network)| network.kind != "eth");
        found.extend(virtuals.map(|(name, _)| (name.clone(), format!("virtual/net/{name}"))));
        found.push(("lo".to_owned(), "virtual/net/lo".to_owned()));
    }
    found
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
        ["block", name] => {
            roles(view, "block").into_iter().find(|(known, _)| known == name).map(|(_, at)| format!("../devices/{at}"))
        }
        ["class", kind @ ("drm" | "graphics" | "net" | "nvme"), name] => {
            roles(view, kind).into_iter().find(|(known, _)| known == name).map(|(_, at)| format!("../../devices/{at}"))
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
