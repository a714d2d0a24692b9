//! Starting guests: what PVE finds out only then, and when the system inside is up.

use crate::lab::rules::guest::{devices, disks, lxc_pending, qemu_pending, status};
use crate::lab::rules::mapping;
use crate::lab::world::property::{Properties, indexed, is_disk};
use crate::lab::world::{Guest, GuestKind, Run, Version, World, split_volid};

/// How long a system takes to boot on a real host, in milliseconds.
const BOOT_MS: i64 = 12_000;
const BOOT_CT_MS: i64 = 2_000;

/// Starts a guest; `OK` or `WARNINGS: n`.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn start(world: &mut World, vmid: u32, log: &mut Vec<String>) -> Result<String, String> {
    let Some(guest) = world.guests.get(&vmid).cloned() else {
        return Err(format!("Configuration file for guest {vmid} does not exist"));
    };
    let noun = guest.kind.noun();
    let suspended = guest.kind == GuestKind::Qemu && guest.lock() == Some("suspended");
    if let Some(lock) = guest.lock().filter(|_| !suspended) {
        return Err(format!("{noun} is locked ({lock})"));
    }
    if guest.is_running() {
        return Err(format!("{noun} {vmid} already running"));
    }
    if guest.number("template", 0) == 1 {
        return Err(match guest.kind {
            GuestKind::Qemu => "you can't start a vm if it's a template".to_owned(),
            GuestKind::Lxc => "you can't start a CT if it's a template".to_owned(),
        });
    }
    // What waits for a start takes effect now.
    match guest.kind {
        GuestKind::Qemu => qemu_pending::settle(world, vmid, None).map_err(|refusal| refusal.text())?,
        GuestKind::Lxc => lxc_pending::settle(world, vmid),
    }
    let guest = world.guests[&vmid].clone();
    let exit = match guest.kind {
        GuestKind::Qemu => check_qemu(world, vmid, &guest, log)?,
        GuestKind::Lxc => check_lxc(world, vmid, &guest, log)?,
    };
    wake(world, vmid, log);
    let pid = world.next_pid();
    let now = world.now_ms;
    let pace = i64::from(world.pace);
    let boots = guest.kind == GuestKind::Lxc || boots(world, &guest);
    let takes = if guest.kind == GuestKind::Lxc { BOOT_CT_MS } else { BOOT_MS } * pace / 100;
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.run = Some(Run { pid, started_ms: now, booted_ms: boots.then_some(now + takes), paused: false });
    }
    Ok(exit)
}

/// Takes the kept state up: the lock goes, the volume is freed.
fn wake(world: &mut World, vmid: u32, log: &mut Vec<String>) {
    let Some(guest) = world.guests.get_mut(&vmid).filter(|g| g.lock() == Some("suspended")) else { return };
    guest.config.remove("lock");
    log.push("Resuming suspended VM".to_owned());
    let (node, state) = (guest.node.clone(), guest.config.remove("vmstate"));
    if let Some(volid) = state {
        // What cannot be freed is left to the administrator; PVE only warns.
        let _ = world.free(&node, &volid);
    }
}

/// Whether a disk of the boot order holds an operating system.
fn boots(world: &World, guest: &Guest) -> bool {
    guest
        .config
        .iter()
        .filter(|(key, _)| is_disk(key))
        .any(|(_, value)| world.installed.contains(disks::normal(value, "file").get("").unwrap_or_default()))
}

fn bridges(world: &World, guest: &Guest) -> Result<(), String> {
    let host = world.nodes.get(&guest.node);
    for (_, value) in guest.config.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "net")) {
        if let Some(bridge) = Properties::parse(value).get("bridge")
            && host.and_then(|h| h.networks.get(bridge)).is_none_or(|n| n.kind != "bridge")
        {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
    }
    Ok(())
}

fn check_qemu(world: &World, vmid: u32, guest: &Guest, log: &mut Vec<String>) -> Result<String, String> {
    let host = world.nodes.get(&guest.node).ok_or_else(|| format!("no such node '{}'", guest.node))?;
    let get = |key: &str| guest.config.get(key).map(String::as_str).unwrap_or_default();
    let disks: Vec<(&String, &String)> = guest.config.iter().filter(|(key, _)| is_disk(key)).collect();
    if disks.iter().any(|(_, value)| value.contains("-cloudinit")) {
        for volid in Properties::parse(get("cicustom")).0.iter().map(|(_, volid)| volid) {
            if world.volume(&guest.node, volid).is_none() {
                return Err(format!("volume '{volid}' does not exist"));
            }
        }
        log.push("generating cloud-init ISO".to_owned());
    }
    let vcpus = guest.number("sockets", 1) * guest.number("cores", 1);
    if vcpus > u64::from(host.cpus) {
        return Err(format!("MAX {} vcpus allowed per VM on this node", host.cpus));
    }
    for (_, value) in &disks {
        let head = disks::normal(value, "file").get("").unwrap_or_default().to_owned();
        if split_volid(&head).is_some() && world.volume(&guest.node, &head).is_none() {
            return Err(format!("volume '{head}' does not exist"));
        }
    }
    passthrough(world, vmid, guest)?;
    bridges(world, guest)?;
    let running = world.guests.values().filter(|g| g.node == guest.node && g.kind == GuestKind::Qemu && g.is_running());
    let taken: u64 = running.map(status::memory).sum();
    if taken + status::memory(guest) > host.memory {
        log.push("kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory".to_owned());
        return Err("start failed: QEMU exited with code 1".to_owned());
    }
    let efi = Properties::parse(get("efidisk0"));
    if world.version >= Version::V9_2 && efi.is_on("pre-enrolled-keys") && efi.get("ms-cert") != Some("2023k") {
        log.push("WARN: EFI disk without 'ms-cert=2023k' option, suggesting that not all UEFI 2023".to_owned());
        log.push("certificates from Microsoft are enrolled yet.".to_owned());
        return Ok("WARNINGS: 1".to_owned());
    }
    Ok("OK".to_owned())
}

/// PCI addresses that a guest's `hostpciN` stand for on its node.
///
/// # Errors
/// PVE's text when a mapping has nothing for this node, or does not fit the hardware any more.
pub fn pci_devices(world: &World, guest: &Guest) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (_, value) in guest.config.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "hostpci")) {
        let fields = Properties::parse(value);
        match fields.get("mapping") {
            None => found.extend(fields.head("host").unwrap_or_default().split(';').map(with_domain)),
            Some(id) => {
                let entries = world.mappings.get(id).map(|m| m.map.as_slice()).unwrap_or_default();
                let mut here =
                    entries.iter().filter(|m| Properties::parse(m).get("node") == Some(&guest.node)).peekable();
                if here.peek().is_none() {
                    return Err(format!("PCI device mapping not found for '{id}'"));
                }
                // Of several devices the first that nobody uses is taken; here the first one.
                for entry in here.take(1) {
                    mapping::verify(world, id, entry)
                        .map_err(|text| format!("PCI device mapping invalid (hardware probably changed): {text}"))?;
                    let path = Properties::parse(entry).get("path").unwrap_or_default().to_owned();
                    found.extend(path.split(';').map(with_domain));
                }
            }
        }
    }
    Ok(found)
}

fn with_domain(path: &str) -> String {
    if path.matches(':').count() == 1 { format!("0000:{path}") } else { path.to_owned() }
}

fn passthrough(world: &World, vmid: u32, guest: &Guest) -> Result<(), String> {
    let wanted = pci_devices(world, guest)?;
    if wanted.is_empty() {
        return Ok(());
    }
    let host = world.nodes.get(&guest.node).ok_or("no such node")?;
    let q35 = guest.config.get("machine").is_some_and(|m| m.contains("q35"));
    let pcie = guest.config.iter().any(|(k, v)| k.starts_with("hostpci") && Properties::parse(v).is_on("pcie"));
    if pcie && !q35 {
        return Err("q35 machine model is not enabled".to_owned());
    }
    let functions = |path: &str| -> Vec<String> {
        let of_device = |id: &&String| id.split('.').next() == Some(path);
        host.pci.keys().filter(|id| id.as_str() == path || of_device(id)).cloned().collect()
    };
    for path in wanted {
        let devices = functions(&path);
        if devices.is_empty() {
            return Err(format!("no PCI device found for '{path}'"));
        }
        for id in devices {
            if host.iommu_group(&id).is_none() {
                return Err("IOMMU not present".to_owned());
            }
            let user = world.guests.iter().find(|(other, g)| {
                **other != vmid
                    && g.node == guest.node
                    && g.is_running()
                    && pci_devices(world, g).is_ok_and(|p| p.iter().any(|p| functions(p).contains(&id)))
            });
            if let Some((other, _)) = user {
                return Err(format!("PCI device '{id}' already in use by VMID '{other}'"));
            }
        }
    }
    Ok(())
}

fn check_lxc(world: &World, vmid: u32, guest: &Guest, log: &mut Vec<String>) -> Result<String, String> {
    bridges(world, guest)?;
    for (_, value) in guest.config.iter().filter(|(k, _)| crate::lab::world::property::is_mount(k)) {
        let fields = disks::normal(value, "volume");
        let head = fields.get("").unwrap_or_default();
        if split_volid(head).is_some() && world.volume(&guest.node, head).is_none() {
            return Err(format!("volume '{head}' does not exist"));
        }
        if head.starts_with('/') && !world.directory_exists(&guest.node, head) {
            log.push(format!("run_buffer: 571 Script exited with status 2\ndirectory '{head}' does not exist"));
            return Err(format!("startup for container '{vmid}' failed"));
        }
    }
    for (_, value) in guest.config.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "dev")) {
        let path = disks::normal(value, "path").get("").unwrap_or_default().to_owned();
        if !devices::device_exists(world, &guest.node, &path) {
            return Err(format!("Device {path} does not exist"));
        }
    }
    Ok("OK".to_owned())
}
