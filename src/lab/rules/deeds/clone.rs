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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::lab::rules::{Refusal, Request, answer_as, work};
    use crate::lab::world::{Caller, Node, Storage, StorageKind, Zfs, Zpool};

    /// A node with a directory `dir` and a ZFS storage `zp`.
    fn world() -> World {
        let mut zfs = Zfs::default();
        zfs.pools.insert("tank".into(), Zpool { size: 1 << 40, health: "ONLINE".into() });
        zfs.datasets.insert("tank".into(), crate::lab::world::Dataset::default());
        let mut world = World::default();
        let node = Node { online: true, cpus: 4, memory: 8 << 30, root_size: 1 << 40, zfs, ..Node::default() };
        world.nodes.insert("pve1".into(), node);
        let dir = StorageKind::Dir { path: "/srv".into(), size: None };
        let zp = StorageKind::ZfsPool { pool: "tank".into(), sparse: true };
        world.storages.insert("dir".into(), Storage::new(dir, &["images", "rootdir"]));
        world.storages.insert("zp".into(), Storage::new(zp, &["images", "rootdir"]));
        world
    }

    fn add(world: &mut World, kind: GuestKind, vmid: u32, pairs: &[(&str, String)]) {
        let config = pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        world.guests.insert(vmid, Guest::new(kind, "pve1", config));
    }

    fn send(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) -> Result<Value, Refusal> {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let path = format!("/nodes/pve1/{path}");
        let request = Request { method: method.into(), path, params, ..Request::default() };
        answer_as(world, &Caller::root_pam(), &request).map(|answer| answer.data)
    }

    /// Sends, lets the worker end and gives its exit status back.
    fn done(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) -> String {
        send(world, method, path, params).unwrap();
        work::advance(world);
        world.tasks.last().unwrap().exit().unwrap().to_owned()
    }

    #[test]
    fn a_container_template_is_cloned_by_link_and_cannot_go_before_its_clones() {
        let mut world = world();
        let root = world.allocate("pve1", "zp", 200, "subvol", "subvol", 1 << 30).unwrap();
        add(&mut world, GuestKind::Lxc, 200, &[("rootfs", format!("{root},size=1G")), ("hostname", "a".into())]);
        assert_eq!(done(&mut world, "POST", "lxc/200/template", &[]), "OK");
        assert_eq!(world.guests[&200].config["rootfs"], "zp:basevol-200-disk-0,size=1G");
        assert_eq!(world.guests[&200].config["template"], "1");
        assert_eq!(done(&mut world, "POST", "lxc/200/clone", &[("newid", "201"), ("hostname", "b")]), "OK");
        let linked = &world.guests[&201].config;
        assert_eq!(linked["rootfs"], "zp:basevol-200-disk-0/subvol-201-disk-0,size=1G");
        assert_eq!((linked["hostname"].as_str(), linked.get("template")), ("b", None));
        assert_eq!(world.guests[&200].lock(), None);
        let end = done(&mut world, "DELETE", "lxc/200", &[]);
        assert_eq!(end, "base volume 'basevol-200-disk-0' is still in use by linked clones");
        assert_eq!(done(&mut world, "DELETE", "lxc/201", &[]), "OK");
        assert_eq!(done(&mut world, "DELETE", "lxc/200", &[]), "OK");
        assert!(world.volumes("pve1", "zp").is_empty());
    }

    #[test]
    fn a_vm_is_copied_with_addresses_and_ids_of_its_own() {
        let mut world = world();
        let disk = world.allocate("pve1", "dir", 100, "vm", "qcow2", 1 << 30).unwrap();
        let net = "virtio=BC:24:11:00:00:01,bridge=vmbr0".to_owned();
        let pairs = [("scsi0", format!("{disk},size=1G")), ("net0", net.clone()), ("smbios1", "uuid=x".into())];
        add(&mut world, GuestKind::Qemu, 100, &pairs);
        assert_eq!(done(&mut world, "POST", "qemu/100/clone", &[("newid", "101"), ("storage", "zp")]), "OK");
        let copy = &world.guests[&101].config;
        assert_eq!(copy["scsi0"], "zp:vm-101-disk-0,size=1G");
        assert_eq!(copy["name"], "Copy-of-VM-100");
        assert!(copy["net0"] != net && copy["net0"].ends_with(",bridge=vmbr0"));
        assert_ne!(copy["smbios1"], "uuid=x");
        let again = send(&mut world, "POST", "qemu/100/clone", &[("newid", "101")]).unwrap_err();
        assert_eq!(again.text(), "unable to create VM 101: config file already exists");
        let linked = send(&mut world, "POST", "qemu/100/clone", &[("newid", "102"), ("full", "0")]).unwrap_err();
        assert_eq!(linked.text(), format!("Linked clone feature is not supported for '{disk}' (scsi0)"));
    }

    #[test]
    fn linked_clones_on_files_have_their_base_in_their_name() {
        let mut world = world();
        let disk = world.allocate("pve1", "dir", 100, "vm", "raw", 1 << 30).unwrap();
        add(&mut world, GuestKind::Qemu, 100, &[("scsi0", format!("{disk},size=1G"))]);
        assert_eq!(done(&mut world, "POST", "qemu/100/template", &[]), "OK");
        assert_eq!(done(&mut world, "POST", "qemu/100/clone", &[("newid", "101")]), "OK");
        let volid = "dir:100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2";
        assert_eq!(world.guests[&101].config["scsi0"], format!("{volid},size=1G"));
        assert_eq!(world.volume("pve1", volid).unwrap().base.as_deref(), Some("100/base-100-disk-0.raw"));
        let end = done(&mut world, "DELETE", "qemu/100", &[]);
        assert_eq!(end, "base volume 'dir:100/base-100-disk-0.raw' is still in use by linked cloned");
    }

    #[test]
    fn a_volume_moves_to_a_storage_and_to_a_guest() {
        let mut world = world();
        let disk = world.allocate("pve1", "dir", 100, "vm", "raw", 1 << 30).unwrap();
        add(&mut world, GuestKind::Qemu, 100, &[("scsi0", format!("{disk},size=1G,ssd=1"))]);
        add(&mut world, GuestKind::Qemu, 101, &[]);
        assert_eq!(done(&mut world, "POST", "qemu/100/move_disk", &[("disk", "scsi0"), ("storage", "zp")]), "OK");
        assert_eq!(world.guests[&100].config["scsi0"], "zp:vm-100-disk-0,size=1G,ssd=1");
        assert_eq!(world.guests[&100].config["unused0"], disk);
        let pairs = [("disk", "scsi0"), ("target-vmid", "101"), ("target-disk", "virtio1")];
        assert_eq!(done(&mut world, "POST", "qemu/100/move_disk", &pairs), "OK");
        assert_eq!(world.guests[&101].config["virtio1"], "zp:vm-101-disk-0,size=1G,ssd=1");
        assert!(!world.guests[&100].config.contains_key("scsi0"));
        let neither = send(&mut world, "POST", "qemu/100/move_disk", &[("disk", "unused0")]).unwrap_err();
        assert_eq!(neither.status(), 400);
    }

    #[test]
    fn a_paused_vm_neither_hears_nor_loses_its_state() {
        let mut world = world();
        add(&mut world, GuestKind::Qemu, 100, &[("memory", "512".into())]);
        assert_eq!(done(&mut world, "POST", "qemu/100/status/start", &[]), "OK");
        assert_eq!(done(&mut world, "POST", "qemu/100/status/suspend", &[]), "OK");
        let refused = send(&mut world, "POST", "qemu/100/status/shutdown", &[]).unwrap_err();
        assert_eq!(refused.text(), "VM is paused - cannot shutdown");
        assert_eq!(done(&mut world, "POST", "qemu/100/status/resume", &[]), "OK");
        let kept = [("todisk", "1"), ("statestorage", "zp")];
        assert_eq!(done(&mut world, "POST", "qemu/100/status/suspend", &kept), "OK");
        assert_eq!((world.guests[&100].lock(), world.guests[&100].is_running()), (Some("suspended"), false));
        assert_eq!(world.volumes("pve1", "zp").len(), 1);
        assert_eq!(done(&mut world, "POST", "qemu/100/status/start", &[]), "OK");
        assert_eq!(world.guests[&100].lock(), None);
        assert!(world.guests[&100].is_running() && world.volumes("pve1", "zp").is_empty());
    }

    #[test]
    fn what_is_unlinked_by_force_gives_its_volume_back() {
        let mut world = world();
        let disks: Vec<String> =
            (0..2).map(|_| world.allocate("pve1", "zp", 100, "vm", "raw", 1 << 30).unwrap()).collect();
        add(&mut world, GuestKind::Qemu, 100, &[("scsi0", disks[0].clone()), ("scsi1", disks[1].clone())]);
        send(&mut world, "PUT", "qemu/100/unlink", &[("idlist", "scsi1"), ("force", "1")]).unwrap();
        send(&mut world, "PUT", "qemu/100/unlink", &[("idlist", "scsi0")]).unwrap();
        assert_eq!(world.guests[&100].config.get("unused0"), Some(&disks[0]));
        assert_eq!(world.volumes("pve1", "zp").len(), 1);
    }
}
