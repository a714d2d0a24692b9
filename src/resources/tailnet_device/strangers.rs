//! Devices of the tailnet that bear a guest's tag or name and are not that guest.

use super::devices;
use crate::blueprint::Blueprint;
use crate::model::observed::Observed;
use crate::model::tailnet::TailnetDevice;

/// One sentence for each guest that somebody else passes for. Nothing is removed: it may be a guest that was made anew,
/// and it may be somebody's laptop.
#[must_use]
pub fn strangers(blueprint: &Blueprint, observed: &Observed) -> Vec<String> {
    let Some(all) = observed.tailnet.devices.value() else { return Vec::new() };
    let mut found = Vec::new();
    for device in devices(blueprint) {
        let host = observed.hosts.get(&device.host.name);
        let inside = host.and_then(|host| host.tailscale.get(&device.guest.vmid)).and_then(|fact| fact.value());
        // Without its own word nobody can tell which one it is.
        let Some(daemon) = inside.and_then(|inside| inside.daemon.as_ref()) else { continue };
        let (name, tag) = (device.guest.name.as_str(), device.tag());
        let others = || all.iter().filter(|other| other.id != daemon.id);
        let tagged: Vec<String> = others().filter(|other| other.tags.contains(&tag)).map(told).collect();
        if !tagged.is_empty() {
            found.push(format!(
                "{} bears `{tag}` and is not {name}: whoever may reach {name} over the tailnet reaches it, too; remove it in \
                 the admin console unless it is meant",
                tagged.join(", ")
            ));
        }
        let named = others().filter(|other| other.hostname == name && !other.tags.contains(&tag));
        let named: Vec<String> = named.map(told).collect();
        if !named.is_empty() {
            found.push(format!(
                "{} is called {name}, too: the tailnet gives one of them another name",
                named.join(", ")
            ));
        }
    }
    found
}

fn told(device: &TailnetDevice) -> String {
    let seen = if device.last_seen.is_empty() { String::new() } else { format!(", last seen {}", device.last_seen) };
    format!("device {} ({}{seen})", device.id, device.hostname)
}
