//! `apt-get update`, `apt-get install … PACKAGE…`: packages that Debian and Proxmox have.

use crate::lab::shell::call::Call;

/// What can be installed, and its version.
const OFFERED: &[(&str, &str)] = &[
    ("amd64-microcode", "3.20250311.1"),
    ("driverctl", "0.115-2"),
    ("intel-microcode", "3.20250812.1~deb13u1"),
    ("nftables", "1.1.3-1"),
    ("proxmox-headers-6.17", "6.17.9-1"),
];

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let known = ["-q", "-qq", "-y", "--no-remove", "--no-install-recommends", "--"];
    if let Some(option) = call.args.iter().find(|arg| arg.starts_with('-') && !known.contains(&arg.as_str())) {
        return call.unknown(option);
    }
    match words.split_first() {
        Some((&"update", [])) => {
            call.print("Reading package lists...");
            0
        }
        Some((&"install", names)) if !names.is_empty() => {
            call.print("Reading package lists...\nBuilding dependency tree...\nReading state information...");
            let Some(node) = call.world.nodes.get_mut(call.node) else { return 1 };
            let installed = &mut node.machine.packages;
            let offered = |name: &str| OFFERED.iter().find(|(known, _)| *known == name);
            if let Some(name) = names.iter().find(|name| !installed.contains_key(**name) && offered(name).is_none()) {
                call.warn(format!("E: Unable to locate package {name}"));
                return 100;
            }
            let new: Vec<(String, String)> = names
                .iter()
                .filter(|name| !installed.contains_key(**name))
                .filter_map(|name| offered(name).map(|(name, version)| ((*name).to_owned(), (*version).to_owned())))
                .collect();
            installed.extend(new.clone());
            for (name, version) in new {
                call.print(format!("Setting up {name} ({version}) ..."));
            }
            0
        }
        _ => call.unknown(&call.args.join(" ")),
    }
}
