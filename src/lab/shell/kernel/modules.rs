//! `/sys/module` and `/proc/modules`.

use std::fmt::Write as _;

use super::{Entry, View};

/// Parameters of modules and what they are unless somebody said otherwise.
const PARAMETERS: &[(&str, &[(&str, &str)])] = &[
    ("kvm", &[("enable_virt_at_load", "Y"), ("ignore_msrs", "N"), ("report_ignored_msrs", "Y")]),
    ("kvm_amd", &[("nested", "1"), ("npt", "Y"), ("sev", "N")]),
    ("kvm_intel", &[("ept", "Y"), ("nested", "Y")]),
    ("vfio_iommu_type1", &[("allow_unsafe_interrupts", "N"), ("disable_hugepages", "N"), ("dma_entry_limit", "65535")]),
    (
        "vfio_pci",
        &[
            ("disable_denylist", "N"),
            ("disable_idle_d3", "N"),
            ("disable_vga", "N"),
            ("enable_sriov", "N"),
            ("nointxmask", "N"),
        ],
    ),
    ("zfs", &[("zfs_arc_max", "0"), ("zfs_arc_min", "0"), ("zfs_txg_timeout", "5")]),
];

/// Parameters that are switches, which the kernel shows as `Y` and `N`.
fn shown<'a>(default: &str, given: &'a str) -> &'a str {
    match (default, given) {
        ("Y" | "N", "1" | "y" | "") => "Y",
        ("Y" | "N", "0" | "n") => "N",
        _ => given,
    }
}

fn parameters(view: View<'_>, module: &str) -> Vec<(&'static str, String)> {
    let given = view.node.machine.running.modules.get(module);
    let known = PARAMETERS.iter().find(|(name, _)| *name == module).map(|(_, list)| *list).unwrap_or_default();
    let value = |name: &str, default: &str| {
        given.and_then(|given| given.get(name)).map_or(default, |value| shown(default, value)).to_owned()
    };
    known.iter().map(|(name, default)| (*name, value(name, default))).collect()
}

/// The limit of ZFS's cache that is in effect, if one was set.
pub(super) fn arc_limit(view: View<'_>) -> Option<u64> {
    let all = parameters(view, "zfs");
    let text = all.iter().find(|(name, _)| *name == "zfs_arc_max").map(|(_, value)| value.as_str())?;
    let value = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    value.filter(|limit| *limit > 0)
}

/// Below `/sys/module`.
pub(super) fn entry(view: View<'_>, path: &[&str]) -> Option<Entry> {
    let loaded = &view.node.machine.running.modules;
    let [module, rest @ ..] = path else { return Entry::directory(loaded.keys().cloned()) };
    loaded.get(*module)?;
    let parameters = parameters(view, module);
    match rest {
        [] => {
            let mut names = vec!["initstate", "refcnt", "uevent"];
            if !parameters.is_empty() {
                names.push("parameters");
            }
            if *module == "zfs" {
                names.push("version");
            }
            Entry::directory(names)
        }
        ["initstate"] => Entry::line("live"),
        ["refcnt"] => Entry::line(0),
        ["version"] if *module == "zfs" => {
            let version = view.node.machine.packages.get("zfsutils-linux")?;
            Entry::line(version.split('+').next().unwrap_or_default())
        }
        ["parameters"] if !parameters.is_empty() => Entry::directory(parameters.into_iter().map(|(name, _)| name)),
        ["parameters", name] => Entry::line(&parameters.iter().find(|(known, _)| known == name)?.1),
        _ => None,
    }
}

/// Modules, their sizes and who uses them, as `/proc/modules` and `lsmod` list them: the last one first.
pub(super) fn table(view: View<'_>) -> Vec<(String, u64, Vec<&'static str>)> {
    let loaded = &view.node.machine.running.modules;
    let users = |module: &str| -> Vec<&'static str> {
        let all: &[&'static str] = match module {
            "vfio" => &["vfio_pci_core", "vfio_iommu_type1", "vfio_pci"],
            "vfio_pci_core" => &["vfio_pci"],
            "irqbypass" => &["vfio_pci_core", "kvm"],
            "kvm" => &["kvm_amd", "kvm_intel"],
            "iommufd" => &["vfio"],
            "spl" => &["zfs"],
            "stp" => &["bridge"],
            "llc" => &["bridge", "stp"],
            _ => &[],
        };
        all.iter().copied().filter(|user| loaded.contains_key(*user)).collect()
    };
    loaded.keys().rev().map(|name| (name.clone(), 4096 * (3 + name.len() as u64), users(name))).collect()
}

/// `/proc/modules`.
pub(super) fn proc(view: View<'_>) -> String {
    let mut out = String::new();
    for (name, size, users) in table(view) {
        let list: String = users.iter().map(|user| format!("{user},")).collect();
        let list = if list.is_empty() { "-" } else { &list };
        let _ = writeln!(out, "{name} {size} {} {list} Live 0x0000000000000000", users.len());
    }
    out
}
