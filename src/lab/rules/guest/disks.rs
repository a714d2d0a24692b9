//! Volumes in guests' configurations: what a request asks for, what is made of it, how it is printed.

use super::disk_log::{filesystem, formatting, transferred};
use super::status;
use crate::lab::rules::formats::is_resize;
use crate::lab::rules::{Refusal, need};
use crate::lab::world::property::{Properties, truth};
use crate::lab::world::{Caller, World, content_of, split_volid};
use crate::model::Size;

/// PVE's text when somebody else than root names a file.
pub const ROOT_ONLY_PATH: &str =
    "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651.";

/// Where the volume of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `storage:8`: a new one of that many GiB.
    New {
        /// Storage.
        storage: String,
        /// Size in bytes.
        size: u64,
    },
    /// `storage:cloudinit`.
    CloudInit {
        /// Storage.
        storage: String,
    },
    /// A volume that should be there.
    Volume(String),
    /// An absolute path: a device, a bind mount.
    Path(String),
    /// `none` or `cdrom`.
    Nothing,
}

/// Reads the head of a disk's or mount point's property string.
#[must_use]
pub fn source(head: &str) -> Source {
    if head == "none" || head == "cdrom" {
        return Source::Nothing;
    }
    if head.starts_with('/') {
        return Source::Path(head.to_owned());
    }
    match split_volid(head) {
        Some((storage, "cloudinit")) => Source::CloudInit { storage: storage.to_owned() },
        Some((storage, number)) => match new_size(number) {
            Some(size) => Source::New { storage: storage.to_owned(), size },
            None => Source::Volume(head.to_owned()),
        },
        None => Source::Path(head.to_owned()),
    }
}

fn new_size(number: &str) -> Option<u64> {
    let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.') && is_resize(number);
    digits.then(|| status::bytes(&format!("{number}G"))).flatten()
}

/// Checks before a task starts: storages exist, the caller may use them and names no file.
///
/// # Errors
/// 500 for an unknown storage or a path, 403 without `Datastore.AllocateSpace`.
pub fn check(world: &World, caller: &Caller, value: &str, vm: bool) -> Result<(), Refusal> {
    let fields = Properties::parse(value);
    let head = fields.head(if vm { "file" } else { "volume" }).unwrap_or_default();
    let space = |storage: &str| {
        if !world.storages.contains_key(storage) {
            return Err(Refusal::failed(format!("storage '{storage}' does not exist")));
        }
        need(world, caller, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])
    };
    let holds = |storage: &str, content: &str| {
        let known = world.storages.get(storage).is_some_and(|s| s.content.contains(content));
        if known {
            Ok(())
        } else {
            Err(Refusal::failed(format!("storage '{storage}' does not support content-type '{content}'")))
        }
    };
    match source(head) {
        Source::New { storage, .. } => {
            space(&storage)?;
            holds(&storage, if vm { "images" } else { "rootdir" })?;
        }
        Source::CloudInit { storage } => {
            space(&storage)?;
            holds(&storage, "images")?;
        }
        Source::Volume(volid) => {
            let storage = split_volid(&volid).map(|(s, _)| s).unwrap_or_default();
            if !world.storages.contains_key(storage) {
                return Err(Refusal::failed(format!("storage '{storage}' does not exist")));
            }
            let reads = ["Datastore.Audit", "Datastore.AllocateSpace"];
            need(world, caller, &format!("/storage/{storage}"), &reads)?;
        }
        Source::Path(_) if !vm => {}
        Source::Path(_) if !caller.is_root_pam() => return Err(ROOT_ONLY_PATH.into()),
        Source::Path(_) => {}
        Source::Nothing if head == "cdrom" => need(world, caller, "/", &["Sys.Console"])?,
        Source::Nothing => {}
    }
    if let Some(from) = fields.get("import-from") {
        match source(from) {
            Source::Volume(volid) => {
                let storage = split_volid(&volid).map(|(s, _)| s).unwrap_or_default();
                if !world.storages.contains_key(storage) {
                    return Err(Refusal::failed(format!("storage '{storage}' does not exist")));
                }
                let reads = ["Datastore.Audit", "Datastore.AllocateSpace"];
                need(world, caller, &format!("/storage/{storage}"), &reads)?;
                let content = content_of(volid.split_once(':').map_or("", |(_, name)| name));
                if !matches!(content, "import" | "images") {
                    let text = format!("cannot import from '{volid}' - not an importable volume");
                    return Err(Refusal::failed(text));
                }
            }
            _ if caller.is_root_pam() => {}
            _ => return Err(ROOT_ONLY_PATH.into()),
        }
    }
    Ok(())
}

/// Makes what a VM's disk asks for; gives the printed form and the log lines back.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn make(
    world: &mut World,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<String, String> {
    let mut fields = normal(value, "file");
    let head = fields.take("").unwrap_or_default();
    let from = fields.take("import-from");
    let format = fields.take("format");
    let found = source(&head);
    let (volid, size) = match &found {
        Source::Nothing => return Ok(fields.print(&head, &[])),
        Source::Path(path) => return Ok(fields.print(path, &[])),
        Source::CloudInit { storage } => {
            fields.set("media", "cdrom");
            let format = if world.is_zfs(storage) { "raw" } else { "qcow2" };
            let stem = format!("vm-{vmid}-cloudinit");
            let volid = world.allocate(node, storage, vmid, &stem, format, 4 << 20)?;
            made.push(volid.clone());
            log.extend(formatting(world, node, &volid));
            let printed = fields.print(&volid, &[]);
            log.push(format!("{key}: successfully created disk '{printed}'"));
            return Ok(printed);
        }
        Source::New { storage, size } => {
            let zfs = world.is_zfs(storage);
            let mut format = format.unwrap_or_else(|| "raw".to_owned());
            let mut size = *size;
            let mut image = None;
            if let Some(from) = &from {
                let path = world.volume_path(from).unwrap_or_else(|| from.clone());
                let found = world.volume(node, from).ok_or_else(|| format!("failed to stat '{path}'"))?;
                size = found.virtual_size.unwrap_or(found.size);
                if !zfs && format == "raw" && matches!(found.format.as_str(), "qcow2" | "vmdk") {
                    format.clone_from(&found.format);
                }
                log.push(format!("create full clone of drive ({from})"));
                image = Some(from.clone());
            }
            match key {
                // The variable store's size is the firmware's; zvols come in whole MiB.
                "efidisk0" => size = if zfs { 1 << 20 } else { 528 << 10 },
                "tpmstate0" => size = 4 << 20,
                _ => {}
            }
            if zfs {
                format = "raw".to_owned();
            }
            let volid = world.allocate(node, storage, vmid, "vm", &format, size)?;
            made.push(volid.clone());
            log.extend(formatting(world, node, &volid));
            if key == "efidisk0" {
                let lines = transferred(528 << 10);
                log.extend(lines.iter().chain(lines.last()).cloned());
            }
            if image.is_some() {
                world.installed.insert(volid.clone());
                if let Some(dataset) = world.dataset_of(&volid)
                    && let Some(found) = world.nodes.get_mut(node).and_then(|n| n.zfs.datasets.get_mut(&dataset))
                {
                    found.used = found.used.max(size / 4);
                }
                log.push(format!("allocated target volume '{volid}'"));
                log.extend(transferred(size));
            }
            (volid, size)
        }
        Source::Volume(volid) => {
            let found = world.volume(node, volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
            if fields.get("media") == Some("cdrom") || volid.contains("-cloudinit") {
                if !volid.contains("-cloudinit") {
                    fields.set("size", Size::bytes(found.size).to_pve());
                }
                return Ok(fields.print(volid, &[]));
            }
            (volid.clone(), found.size)
        }
    };
    // Whatever size was said: the volume's own is written down.
    fields.set("size", Size::bytes(size).to_pve());
    let printed = fields.print(&volid, &[]);
    if matches!(found, Source::New { .. }) {
        log.push(format!("{key}: successfully created disk '{printed}'"));
    }
    Ok(printed)
}

/// Makes what a container's volume asks for; gives the printed form back.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn make_mount(
    world: &mut World,
    node: &str,
    vmid: u32,
    value: &str,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<String, String> {
    let mut fields = normal(value, "volume");
    let head = fields.take("").unwrap_or_default();
    let (volid, size) = match source(&head) {
        Source::New { storage, size } => {
            let format = if world.is_zfs(&storage) { "subvol" } else { "raw" };
            let stem = if format == "subvol" { "subvol" } else { "vm" };
            let volid = world.allocate(node, &storage, vmid, stem, format, size)?;
            made.push(volid.clone());
            log.extend(formatting(world, node, &volid));
            let uuid = world.next_uuid();
            log.extend(filesystem(world, node, &volid, &uuid));
            (volid, size)
        }
        Source::Volume(volid) => {
            let found = world.volume(node, &volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
            (volid, found.size)
        }
        _ => return Ok(fields.print(&head, &["mp"])),
    };
    fields.set("size", Size::bytes(size).to_pve());
    Ok(fields.print(&volid, &["mp"]))
}

/// Fields with the head first (without key) and switches as 0 or 1.
#[must_use]
pub fn normal(value: &str, head_key: &str) -> Properties {
    let mut fields = Properties::parse(value);
    if fields.get("").is_none() {
        let head = fields.take(head_key).or_else(|| fields.take("volume"));
        fields.0.insert(0, (String::new(), head.unwrap_or_default()));
    }
    for (key, value) in &mut fields.0 {
        let switch = matches!(
            key.as_str(),
            "acl"
                | "backup"
                | "detect_zeroes"
                | "firewall"
                | "host-managed"
                | "iothread"
                | "link_down"
                | "pre-enrolled-keys"
                | "quota"
                | "replicate"
                | "ro"
                | "scsiblock"
                | "shared"
                | "snapshot"
                | "ssd"
                | "keepattrs"
        );
        if switch {
            *value = if truth(value) { "1" } else { "0" }.to_owned();
        }
    }
    fields
}

/// Size after a resize of a volume that has `old` bytes.
#[must_use]
pub fn resized(old: u64, size: &str) -> Option<u64> {
    match size.strip_prefix('+') {
        Some(growth) => old.checked_add(status::bytes(growth)?),
        None => status::bytes(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_apart() {
        assert_eq!(source("data:4"), Source::New { storage: "data".into(), size: 4 << 30 });
        assert_eq!(source("data:0.5"), Source::New { storage: "data".into(), size: 1 << 29 });
        assert_eq!(source("data:cloudinit"), Source::CloudInit { storage: "data".into() });
        assert_eq!(source("data:100/vm-100-disk-0.raw"), Source::Volume("data:100/vm-100-disk-0.raw".into()));
        assert_eq!(source("/srv/models"), Source::Path("/srv/models".into()));
    }

    #[test]
    fn a_resize_is_absolute_or_a_growth() {
        assert_eq!(resized(1 << 30, "+1G"), Some(2 << 30));
        assert_eq!(resized(1 << 30, "5G"), Some(5 << 30));
    }
}
