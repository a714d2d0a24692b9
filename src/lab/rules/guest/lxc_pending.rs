//! What a container takes on while it runs, and what waits for its next start.

use super::{config, disks};
use crate::lab::world::property::{indexed, is_mount};
use crate::lab::world::{Pending, World, split_volid};

/// Puts pending changes into effect: all of them when the container is stopped, what PVE changes live when
/// it runs. `features`, `devN` and taking a mount point away wait for a restart.
pub fn settle(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    guest.clean_up_pending();
    let running = guest.is_running();
    for (key, pending) in guest.pending.clone() {
        let delete = !matches!(pending, Pending::Set(_));
        let live = match indexed(&key).map_or(key.as_str(), |(stem, _)| stem) {
            "cores" | "description" | "hookscript" | "hostname" | "lock" | "onboot" | "protection" | "startup"
            | "tags" => true,
            "cpulimit" | "cpuunits" | "net" => true,
            "memory" | "swap" | "unused" => !delete,
            // A new mount point is attached live; one that is there is neither changed nor taken away.
            "mp" => !delete && !guest.config.contains_key(&key),
            _ => false,
        };
        if running && !live {
            continue;
        }
        guest.pending.remove(&key);
        let old = guest.config.remove(&key);
        if let Pending::Set(value) = &pending {
            guest.config.insert(key.clone(), value.clone());
        }
        let volid = |text: &str| disks::normal(text, "volume").get("").unwrap_or_default().to_owned();
        let Some(was) = old.filter(|_| is_mount(&key)).map(|old| volid(&old)) else { continue };
        let replaced = guest.config.get(&key).is_none_or(|now| volid(now) != was);
        if replaced && split_volid(&was).is_some() && !was.starts_with('/') {
            let unused = config::unused_key(guest);
            guest.config.insert(unused, was);
        }
    }
}
