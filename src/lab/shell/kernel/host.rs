//! Files that others than the kernel keep: what packages bring, what was fetched.

use super::{Entry, View};

/// What keeps Proxmox's modules quiet, in the package of the kernel's helpers.
const MODULE_CONFIG: &[(&str, &str)] = &[
    ("/usr/lib/modprobe.d/aliases.conf", "# Aliases for modules that have been renamed.\n"),
    ("/usr/lib/modprobe.d/systemd.conf", "options bonding max_bonds=0\noptions dummy numdummies=0\n"),
];

/// Paths of files that are here on this host.
pub(super) fn paths(view: View<'_>) -> Vec<String> {
    let mut paths: Vec<String> = MODULE_CONFIG.iter().map(|(path, _)| (*path).to_owned()).collect();
    paths.extend(lists(view));
    paths
}

/// Lists of packages that the last `apt-get update` fetched.
fn lists(view: View<'_>) -> Vec<String> {
    let suite = if view.world.version == crate::lab::world::Version::V8_4 { "bookworm" } else { "trixie" };
    let name = format!("download.proxmox.com_debian_pve_dists_{suite}");
    ["InRelease", "pve-no-subscription_binary-amd64_Packages"]
        .iter()
        .map(|end| format!("/var/lib/apt/lists/{name}_{end}"))
        .collect()
}

/// What a path names.
pub(super) fn entry(view: View<'_>, path: &str) -> Option<Entry> {
    if let Some((_, text)) = MODULE_CONFIG.iter().find(|(known, _)| *known == path) {
        return Entry::file(*text);
    }
    let paths = paths(view);
    if paths.iter().any(|known| known == path) {
        let day = view.world.now_ms - 3_600_000;
        return Entry::opaque(1708, day);
    }
    None
}
