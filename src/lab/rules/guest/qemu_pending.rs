//! What a VM takes on while it runs, and what waits for its next start.

use std::collections::{BTreeMap, BTreeSet};

use super::config;
use crate::lab::rules::{Refusal, split_list};
use crate::lab::world::property::{Properties, indexed, is_disk};
use crate::lab::world::{Guest, Pending, World, split_volid};

/// Keys that a change names: of a running guest only these are tried (9.2.11).
pub fn touched(params: &BTreeMap<String, String>) -> BTreeSet<String> {
    let deleted = split_list(params.get("delete").map_or("", String::as_str)).map(str::to_owned);
    params.keys().cloned().chain(deleted).collect()
}

/// Puts pending changes into effect: all of them when the VM is stopped, the hot-pluggable ones when it runs.
///
/// # Errors
/// 400 with a text per device that a running VM would not let go of.
pub fn settle(world: &mut World, vmid: u32, only: Option<&BTreeSet<String>>) -> Result<(), Refusal> {
    let now = world.now_ms;
    let Some(guest) = world.guests.get_mut(&vmid) else { return Ok(()) };
    guest.clean_up_pending();
    let running = guest.is_running();
    let booted = guest.has_booted(now);
    let mut errors = BTreeMap::new();
    let mut freed = Vec::new();
    for (key, pending) in guest.pending.clone() {
        if running && only.is_some_and(|only| !only.contains(&key)) {
            continue;
        }
        if running {
            match hot(guest, &key, &pending, booted) {
                Hot::Now => {}
                Hot::Later => continue,
                Hot::Fails(text) => {
                    errors.insert(key.clone(), format!("hotplug problem - {text}\n"));
                    continue;
                }
            }
        }
        guest.pending.remove(&key);
        let old = guest.config.remove(&key);
        if let Pending::Set(value) = &pending {
            guest.config.insert(key.clone(), value.clone());
        }
        freed.extend(let_go(guest, &key, old, &pending));
    }
    let node = guest.node.clone();
    for volid in freed {
        world.free(&node, &volid)?;
        world.installed.remove(&volid);
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Params(errors)) }
}

/// A volume that a disk lets go of stays, as `unusedN`; one that is to be destroyed is given back, and so is a
/// cloud-init image, which can be made again.
fn let_go(guest: &mut Guest, key: &str, old: Option<String>, pending: &Pending) -> Option<String> {
    let old = old.filter(|_| is_disk(key))?;
    let volid = |text: &str| Properties::parse(text).head("file").unwrap_or_default().to_owned();
    let (was, is) = (volid(&old), guest.config.get(key).map(|v| volid(v)));
    let image = was.contains("-cloudinit");
    let foreign = split_volid(&was).is_none() || (old.contains("media=cdrom") && !image);
    if foreign || is.is_some_and(|is| is == was) {
        return None;
    }
    if image || *pending == Pending::Destroy {
        return Some(was);
    }
    let unused = config::unused_key(guest);
    guest.config.insert(unused, was);
    None
}

enum Hot {
    Now,
    Later,
    Fails(String),
}

fn hot(guest: &Guest, key: &str, pending: &Pending, booted: bool) -> Hot {
    let features = guest.config.get("hotplug").map_or("network,disk,usb", String::as_str);
    let features = if features == "1" { "network,disk,usb" } else { features };
    let plugs = |feature: &str| features.split(',').any(|f| f == feature);
    let stem = indexed(key).map_or(key, |(stem, _)| stem);
    let gone = !matches!(pending, Pending::Set(_));
    let present = guest.config.contains_key(key);
    // A device leaves only if the system inside lets it go.
    let unplug = |device: String| {
        if booted {
            Hot::Now
        } else {
            Hot::Fails(format!("error on hot-unplugging device '{device}' - still busy in guest?"))
        }
    };
    match stem {
        "affinity" | "description" | "hookscript" | "lock" | "migrate_downtime" | "migrate_speed" | "name"
        | "onboot" | "protection" | "shares" | "startup" | "tags" | "vmstatestorage" | "cpulimit" | "cpuunits" => {
            Hot::Now
        }
        "balloon" if !gone && guest.config.get("balloon").is_none_or(|b| b != "0") => Hot::Now,
        "net" if !plugs("network") => Hot::Later,
        "net" if gone => unplug(key.to_owned()),
        "net" => Hot::Now,
        "ide" | "sata" => match pending {
            // A CD may be changed in a running machine; the drive itself may not.
            Pending::Set(value) if present && value.contains("media=cdrom") => Hot::Now,
            _ => Hot::Later,
        },
        "scsi" | "virtio" if !plugs("disk") => Hot::Later,
        "scsi" | "virtio" if gone => {
            let number = indexed(key).map_or(0, |(_, n)| n);
            let single = guest.config.get("scsihw").is_some_and(|hw| hw == "virtio-scsi-single");
            unplug(if stem == "scsi" && single { format!("virtioscsi{number}") } else { key.to_owned() })
        }
        "scsi" | "virtio" => Hot::Now,
        "unused" => Hot::Now,
        _ => Hot::Later,
    }
}
