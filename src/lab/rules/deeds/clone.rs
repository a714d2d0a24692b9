//! What the `qmclone` and `vzclone` workers do: make a guest out of another.

use std::collections::BTreeMap;

use super::copy::{self, Copied};
use super::destroy::forget;
use crate::lab::rules::guest::access::join_pool;
use crate::lab::rules::guest::volumes::volumes;
use crate::lab::world::property::{Properties, indexed};
use crate::lab::world::{Guest, GuestKind, World};

/// What is a guest's own and never copied.
const NOT_COPIED: &[&str] = &["lock", "parent", "template", "vmstate", "snaptime", "snapstate"];

/// What stands in the new guest's configuration while it is being made, and where the lock is meanwhile: a VM
/// that is cloned stays unlocked, a container does not.
pub fn begin(world: &mut World, vmid: u32, newid: u32) {
    let Some(kind) = world.guests.get(&vmid).map(|guest| guest.kind) else { return };
    let mut lock = |vmid: u32, lock: &str| {
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.config.insert("lock".to_owned(), lock.to_owned());
        }
    };
    match kind {
        GuestKind::Qemu => lock(newid, "clone"),
        GuestKind::Lxc => {
            lock(newid, "create");
            lock(vmid, "disk");
        }
    }
}

/// Makes a guest out of another; what was made is gone again when it fails.
///
/// # Errors
/// PVE's text.
pub fn clone(
    world: &mut World,
    guest: &Guest,
    (vmid, newid): (u32, u32),
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let what = if guest.kind == GuestKind::Qemu { "VM" } else { "container" };
    log.push(format!("creating a clone of {what} {vmid} with ID {newid}"));
    let mut made = Vec::new();
    match assemble(world, guest, (vmid, newid), params, log, &mut made) {
        Ok(config) => {
            if let Some(firewall) = world.guest_firewalls.get(&vmid).cloned() {
                world.guest_firewalls.insert(newid, firewall);
            }
            if let Some(new) = world.guests.get_mut(&newid) {
                new.config = config;
                if let Some(target) = params.get("target") {
                    new.node.clone_from(target);
                }
            }
            join_pool(world, newid, params.get("pool").map(String::as_str));
            Ok("OK".to_owned())
        }
        Err(text) => {
            for volid in made {
                let _ = world.free(&guest.node, &volid);
                world.installed.remove(&volid);
            }
            forget(world, newid);
            Err(format!("clone failed: {text}"))
        }
    }
}

fn assemble(
    world: &mut World,
    guest: &Guest,
    (vmid, newid): (u32, u32),
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let get = |key: &str| params.get(key).map(String::as_str);
    let mut source = guest.clone();
    if let Some(name) = get("snapname") {
        let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        source.config = found.config.clone();
    }
    let mut config = source.config.clone();
    config.retain(|key, _| !NOT_COPIED.contains(&key.as_str()) && !key.starts_with("unused"));
    for (key, value) in &mut config {
        // Every NIC gets an address of its own.
        if indexed(key).is_some_and(|(stem, _)| stem == "net") {
            *value = with_mac(guest.kind, value, &world.next_mac());
        }
    }
    let full = get("full") == Some("1");
    for (key, volid) in volumes(&source) {
        let plan = Copied { key: &key, volid: &volid, newid, storage: get("storage"), format: get("format") };
        let whole = full || key == "tpmstate0" || volid.contains("-cloudinit");
        let new = match (whole, guest.kind) {
            (true, _) => copy::copy(world, guest, &plan, log)?,
            (false, kind) => {
                let what = if kind == GuestKind::Qemu { "drive" } else { "mount point" };
                log.push(format!("create linked clone of {what} {key} ({volid})"));
                world.link(&guest.node, &volid, newid)?
            }
        };
        made.push(new.clone());
        if let Some(value) = config.get_mut(&key) {
            *value = value.replacen(&volid, &new, 1);
        }
    }
    let (name, fallback) = match guest.kind {
        GuestKind::Qemu => {
            let old = source.config.get("name").cloned().unwrap_or_else(|| vmid.to_string());
            ("name", Some(format!("Copy-of-VM-{old}")))
        }
        GuestKind::Lxc => ("hostname", None),
    };
    if let Some(text) = get(name).map(str::to_owned).or(fallback) {
        config.insert(name.to_owned(), text);
    }
    if let Some(text) = get("description").filter(|text| !text.is_empty()) {
        config.insert("description".to_owned(), text.to_owned());
    }
    if guest.kind == GuestKind::Qemu {
        let mut smbios = Properties::parse(config.get("smbios1").map_or("", String::as_str));
        smbios.set("uuid", world.next_uuid());
        config.insert("smbios1".to_owned(), smbios.print("", &[]));
        if config.contains_key("vmgenid") {
            config.insert("vmgenid".to_owned(), world.next_uuid());
        }
    }
    Ok(config)
}

fn with_mac(kind: GuestKind, value: &str, mac: &str) -> String {
    let mut fields: Vec<String> = value.split(',').map(str::to_owned).collect();
    for (index, field) in fields.iter_mut().enumerate() {
        let Some((key, _)) = field.split_once('=') else { continue };
        let own = match kind {
            // Of a VM the model comes first and has the address for its value.
            GuestKind::Qemu => index == 0,
            GuestKind::Lxc => key == "hwaddr",
        };
        if own {
            *field = format!("{key}={mac}");
        }
    }
    fields.join(",")
}
