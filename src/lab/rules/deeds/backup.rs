//! What the `vzdump` worker does: one archive per guest.

use std::collections::BTreeMap;

use crate::lab::rules::guest::status::locked;
use crate::lab::rules::guest::volumes::volumes;
use crate::lab::world::property::Properties;
use crate::lab::world::{Caller, Guest, GuestKind, StorageKind, Volume, World};

/// Backs guests up one after the other; one that fails does not keep the others from it.
///
/// # Errors
/// PVE's text: what forbids the whole job, or `job errors`.
pub fn backup(
    world: &mut World,
    node: &str,
    (vmids, all): (&[u32], bool),
    params: &BTreeMap<String, String>,
    caller: &Caller,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let storage = params.get("storage").map_or("local", String::as_str);
    let entry = world.storages.get(storage).cloned();
    let usable = match &entry {
        None => Err(format!("storage '{storage}' does not exist")),
        Some(entry) if entry.disabled => Err(format!("storage '{storage}' is disabled")),
        Some(entry) if !entry.content.contains("backup") => {
            Err(format!("can't use storage '{storage}' for backups - wrong content type"))
        }
        Some(entry) => world.inactive(node, storage, entry).map_or(Ok(()), Err),
    };
    usable.map_err(|text| format!("could not get storage information for '{storage}': {text}"))?;
    let named = params.iter().filter(|(key, _)| *key != "vmid").map(|(key, value)| format!(" --{key} {value}"));
    let list: Vec<String> = vmids.iter().map(u32::to_string).collect();
    let head = if all { String::new() } else { format!(" {}", list.join(" ")) };
    let command = format!("vzdump{head}{} --node {node}", named.collect::<String>());
    log.push(format!("INFO: starting new backup job: {command}"));
    for vmid in vmids {
        let path = format!("/vms/{vmid}");
        if !world.may(caller, &path, &["VM.Backup"]) && !all {
            return Err(format!("403 Permission check failed ({path}, VM.Backup)"));
        }
    }
    let mut failed = false;
    for vmid in vmids {
        if !world.may(caller, &format!("/vms/{vmid}"), &["VM.Backup"]) {
            continue;
        }
        let Some(guest) = world.guests.get(vmid).cloned() else {
            log.push(format!("ERROR: Backup of VM {vmid} failed - unable to find VM '{vmid}'"));
            failed = true;
            continue;
        };
        if let Err(text) = one(world, &guest, *vmid, storage, params, log) {
            log.push(format!("ERROR: Backup of VM {vmid} failed - {text}"));
            log.push(format!("INFO: Failed at {}", stamp(world, "%Y-%m-%d %H:%M:%S")));
            failed = true;
        }
    }
    log.push(format!("INFO: Backup job finished {}", if failed { "with errors" } else { "successfully" }));
    if failed { Err("job errors".to_owned()) } else { Ok("OK".to_owned()) }
}

fn stamp(world: &World, format: &str) -> String {
    jiff::Timestamp::from_second(world.now()).map(|at| at.strftime(format).to_string()).unwrap_or_default()
}

fn one(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    storage: &str,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let kind = guest.kind.as_str();
    let now = stamp(world, "%Y-%m-%d %H:%M:%S");
    log.push(format!("INFO: Starting Backup of VM {vmid} ({kind})"));
    log.push(format!("INFO: Backup started at {now}"));
    log.push(format!("INFO: status = {}", if guest.is_running() { "running" } else { "stopped" }));
    locked(guest)?;
    let mode = params.get("mode").map_or("snapshot", String::as_str);
    log.push(format!("INFO: backup mode: {}", if guest.is_running() { mode } else { "stop" }));
    let (noun, name) = if guest.kind == GuestKind::Qemu { ("VM", "disk") } else { ("CT", "mount point") };
    log.push(format!("INFO: {noun} Name: {}", guest.name(vmid)));
    let mut size = 0;
    for (key, volid) in volumes(guest) {
        let fields = Properties::parse(guest.config.get(&key).map_or("", String::as_str));
        // Of containers only the root is backed up unless it is said, of VMs everything unless it is said.
        let unsaid = guest.kind == GuestKind::Qemu || key == "rootfs";
        let included = fields.get("backup").map_or(unsaid, |backup| backup == "1");
        let verb = if included { "including" } else { "excluding" };
        log.push(format!("INFO: {verb} {name} {key} ('{volid}')"));
        if included {
            size += world.volume(&guest.node, &volid).map_or(0, |volume| volume.used);
        }
    }
    let pbs = world.storages.get(storage).is_some_and(|s| matches!(s.kind, StorageKind::Pbs { .. }));
    let (ending, archive) = ending(guest.kind, params.get("compress").map_or("0", String::as_str), pbs);
    let volid = if pbs {
        let of = if guest.kind == GuestKind::Qemu { "vm" } else { "ct" };
        format!("{storage}:backup/{of}/{vmid}/{}", stamp(world, "%Y-%m-%dT%H:%M:%SZ"))
    } else {
        format!("{storage}:backup/vzdump-{kind}-{vmid}-{}.{ending}", stamp(world, "%Y_%m_%d-%H_%M_%S"))
    };
    let used = size / 2 + 4096;
    let (_, free) = world.space(&guest.node, storage);
    if used > free {
        return Err(format!("command '{archive}' failed: No space left on device"));
    }
    let path = world.volume_path(&volid).unwrap_or_default();
    log.push(format!("INFO: creating vzdump archive '{path}'"));
    let volume = Volume {
        format: ending,
        size: used,
        used,
        vmid: Some(vmid),
        ctime: world.now(),
        notes: params.get("notes-template").map(|text| text.replace("{{guestname}}", &guest.name(vmid))),
        protected: params.get("protected").is_some_and(|protected| protected == "1"),
        ..Volume::default()
    };
    world.put_volume(&guest.node, &volid, volume);
    log.push(format!("INFO: archive file size: {}MB", used >> 20));
    log.push(format!("INFO: Finished Backup of VM {vmid} (00:00:03)"));
    log.push(format!("INFO: Backup finished at {now}"));
    Ok(())
}

/// The end of an archive's name, and the program that makes it.
fn ending(kind: GuestKind, compress: &str, pbs: bool) -> (String, &'static str) {
    let (body, program) = if kind == GuestKind::Qemu { ("vma", "vma") } else { ("tar", "tar") };
    if pbs {
        return (if kind == GuestKind::Qemu { "pbs-vm" } else { "pbs-ct" }.to_owned(), "proxmox-backup-client");
    }
    let end = match compress {
        "1" | "lzo" => ".lzo",
        "gzip" => ".gz",
        "zstd" => ".zst",
        _ => "",
    };
    (format!("{body}{end}"), program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_named_by_kind_and_compression() {
        assert_eq!(ending(GuestKind::Qemu, "zstd", false).0, "vma.zst");
        assert_eq!(ending(GuestKind::Lxc, "gzip", false).0, "tar.gz");
        assert_eq!(ending(GuestKind::Lxc, "0", false).0, "tar");
        assert_eq!(ending(GuestKind::Qemu, "zstd", true).0, "pbs-vm");
    }

    #[test]
    fn a_job_without_the_privilege_ends_with_the_refusal() {
        let mut world = World::default();
        let storage =
            crate::lab::world::Storage::new(StorageKind::Dir { path: "/var/lib/vz".into(), size: None }, &["backup"]);
        world.storages.insert("local".into(), storage);
        world.nodes.insert("pve1".into(), crate::lab::world::Node { online: true, ..Default::default() });
        world.guests.insert(100, Guest::new(GuestKind::Lxc, "pve1", BTreeMap::new()));
        let nobody = Caller::token("nobody@pve", "tok");
        let mut log = Vec::new();
        let end = backup(&mut world, "pve1", (&[100], false), &BTreeMap::new(), &nobody, &mut log);
        assert_eq!(end.unwrap_err(), "403 Permission check failed (/vms/100, VM.Backup)");
        let end = backup(&mut world, "pve1", (&[100], false), &BTreeMap::new(), &Caller::root_pam(), &mut log);
        assert_eq!(end.unwrap_err(), "job errors", "a root file system of 0 bytes has no space: {log:?}");
    }
}
