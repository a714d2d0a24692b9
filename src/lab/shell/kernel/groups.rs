//! `/sys/class/iommu` and `/sys/kernel/iommu_groups`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, View};

/// Names of the units that translate; none while the IOMMU is off.
pub(super) fn units(view: View<'_>) -> Vec<&'static str> {
    match (view.node.machine.running.iommu, view.node.system.cpu_vendor.as_str()) {
        (false, _) => Vec::new(),
        (true, "GenuineIntel") => vec!["dmar0"],
        (true, _) => vec!["ivhd0"],
    }
}

/// Where a unit's directory is below `/sys/devices`.
pub(super) fn unit_directory(unit: &str) -> String {
    if unit.starts_with("dmar") {
        format!("virtual/iommu/{unit}")
    } else {
        format!("pci0000:00/0000:00:00.2/iommu/{unit}")
    }
}

/// Groups and the functions in them.
pub(super) fn groups(view: View<'_>) -> BTreeMap<u32, BTreeSet<&str>> {
    let mut groups: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for address in view.node.pci.keys() {
        if let Some(group) = view.node.iommu_group(address) {
            groups.entry(group).or_default().insert(address);
        }
    }
    groups
}

/// How groups are translated: lazily unless the command line says otherwise.
fn domain(view: View<'_>) -> &'static str {
    let running = &view.node.machine.running;
    let is = |name: &str, value: &str| running.parameter(name).is_some_and(|v| v.split(',').any(|v| v == value));
    if is("iommu", "pt") || is("iommu.passthrough", "1") {
        "identity"
    } else if is("iommu.strict", "1") {
        "DMA"
    } else {
        "DMA-FQ"
    }
}

/// Below `/sys/kernel/iommu_groups`.
pub(super) fn entry(view: View<'_>, path: &[&str]) -> Option<Entry> {
    let groups = groups(view);
    let [number, rest @ ..] = path else { return Entry::directory(groups.keys().map(u32::to_string)) };
    let devices = groups.get(&number.parse().ok()?)?;
    match rest {
        [] => Entry::directory(["devices", "reserved_regions", "type"]),
        ["devices"] => Entry::directory(devices.iter().copied()),
        ["type"] => Entry::line(domain(view)),
        ["reserved_regions"] => {
            let kept = devices.iter().filter_map(|address| view.node.machine.firmware_memory.get(*address));
            let kept: String = kept.map(|range| format!("{range} direct\n")).collect();
            Entry::file(format!("{kept}0x00000000fee00000 0x00000000feefffff msi\n"))
        }
        _ => None,
    }
}

/// The link of a function in its group.
pub(super) fn link(view: View<'_>, path: &[&str]) -> Option<String> {
    let [number, "devices", address] = path else { return None };
    let there = groups(view).get(&number.parse().ok()?)?.contains(address);
    there.then(|| format!("../../../../devices/{}", super::devices::directory(view.node, address)))
}
