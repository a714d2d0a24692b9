//! `…/move_disk` and `…/move_volume`: to another storage, or to another guest.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::formats as f;
use crate::lab::rules::guest::status::locked;
use crate::lab::rules::guest::{access, config, disks, volumes};
use crate::lab::rules::param::{Kind, Param, optional as o, required};
use crate::lab::rules::tables::DIGEST_40;
use crate::lab::rules::work::begin;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal, need};
use crate::lab::world::property::{Properties, indexed, is_disk, is_mount};
use crate::lab::world::{Guest, GuestKind, Work, split_volid};
use crate::ports::Method::Post;

fn disk_or_unused(key: &str) -> bool {
    is_disk(key) || is_unused(key)
}

fn mount_or_unused(key: &str) -> bool {
    is_mount(key) || is_unused(key)
}

fn is_unused(key: &str) -> bool {
    indexed(key).is_some_and(|(stem, n)| stem == "unused" && n < 256)
}

const MOVE: &[Param] = &[
    o("delete", Kind::Bool),
    o("digest", DIGEST_40),
    o("storage", Kind::Format(f::storage_id)),
    o("target-digest", DIGEST_40),
    o("target-vmid", Kind::Vmid),
];
const QEMU: &[Param] = &[
    o("bwlimit", Kind::Int { min: Some(0), max: None }),
    required("disk", Kind::Pattern(disk_or_unused)),
    o("format", Kind::Enum(&["raw", "qcow2", "vmdk"])),
    o("target-disk", Kind::Pattern(disk_or_unused)),
];
const LXC: &[Param] = &[
    o("bwlimit", Kind::Number { min: Some(0), max: None }),
    required("volume", Kind::Pattern(mount_or_unused)),
    o("target-volume", Kind::Pattern(mount_or_unused)),
];
const DISK: Access = Every("/vms/{vmid}", &["VM.Config.Disk"]);
const DIGEST: &str = "detected modified configuration - file changed by other user? Try again.";

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/move_disk", &[MOVE, QEMU], DISK, move_volume),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/move_volume", &[MOVE, LXC], DISK, move_volume),
];

fn move_volume(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let kind = call.kind();
    let name = if kind == GuestKind::Qemu { "disk" } else { "volume" };
    let key = call.values.text(name).to_owned();
    let storage = call.values.get("storage").map(str::to_owned);
    let target = call.values.get("target-vmid").and_then(|id| id.parse::<u32>().ok());
    let both = |text: &str| {
        let pairs = ["storage", "target-vmid"].map(|name| (name.to_owned(), text.to_owned()));
        Err(Refusal::Params(pairs.into()))
    };
    match (storage, target) {
        (Some(_), Some(_)) if kind == GuestKind::Lxc => Err("either set storage or target-vmid, but not both".into()),
        (Some(_), Some(_)) => both("either set 'storage' or 'target-vmid', but not both"),
        (None, None) => both("both 'storage' and 'target-vmid' missing, either needs to be set"),
        (Some(storage), None) => to_storage(call, key, storage),
        (None, Some(target)) => {
            let target_key = call.values.get(&format!("target-{name}")).unwrap_or(&key).to_owned();
            to_guest(call, key, target, target_key)
        }
    }
}

fn volid_of(guest: &Guest, key: &str) -> Option<String> {
    let head = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
    Some(disks::normal(guest.config.get(key)?, head).get("").unwrap_or_default().to_owned())
}

fn is_cd(guest: &Guest, key: &str) -> bool {
    let value = guest.config.get(key).map_or("", String::as_str);
    Properties::parse(value).get("media") == Some("cdrom") && !value.contains("-cloudinit")
}

fn is_snapshotted(guest: &Guest, volid: &str) -> bool {
    guest.snapshots.values().any(|snapshot| {
        let then = Guest { config: snapshot.config.clone(), ..guest.clone() };
        volumes::volumes(&then).iter().any(|(_, other)| other == volid)
    })
}

fn same_digest(call: &Call<'_>, name: &str, guest: &Guest) -> bool {
    call.values.get(name).is_none_or(|digest| digest.is_empty() || digest == config::digest(guest))
}

fn to_storage(call: &mut Call<'_>, key: String, storage: String) -> Result<Answer, Refusal> {
    let (kind, vmid) = (call.kind(), call.vmid());
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let guest = call.guest(kind)?;
    locked(guest)?;
    let (delete, format) = (call.values.flag("delete"), call.values.get("format").map(str::to_owned));
    let volid = volid_of(guest, &key);
    match kind {
        GuestKind::Qemu => {
            if !same_digest(call, "digest", guest) {
                return Err(DIGEST.into());
            }
            let volid = volid.ok_or_else(|| format!("disk '{key}' does not exist"))?;
            if is_cd(guest, &key) {
                return Err("you can't move a cdrom".into());
            }
            let own = split_volid(&volid).map(|(own, _)| own).unwrap_or_default();
            let now = call.world.volume(&guest.node, &volid).map(|volume| volume.format);
            if own == storage && (format.is_none() || format == now) {
                return Err("you can't move to the same storage with same format".into());
            }
            access::storage_enabled(call.world, &guest.node, &storage)?;
            if !call.world.storages.get(&storage).is_some_and(|s| s.content.contains("images")) {
                return Err(Refusal::param("storage", format!("storage '{storage}' does not support vm images")));
            }
            if delete && is_snapshotted(guest, &volid) {
                return Err("you can't move a disk with snapshots and delete the source".into());
            }
        }
        GuestKind::Lxc => {
            if guest.is_running() {
                return Err("cannot move volumes of a running container".into());
            }
            if is_unused(&key) {
                return Err(format!(
                    "cannot move volume '{key}', only configured volumes can be moved to another storage"
                )
                .into());
            }
            let volid = volid.ok_or("Use of uninitialized value $data in pattern match (m//)")?;
            if delete && is_snapshotted(guest, &volid) {
                return Err("you can't move a volume with snapshots and delete the source".into());
            }
            if !same_digest(call, "digest", guest) {
                return Err(DIGEST.into());
            }
        }
    }
    let size = volid_of(guest, &key).and_then(|volid| call.world.volume(&guest.node, &volid)).map_or(0, |v| v.used);
    let real_ms = 1500 + i64::try_from(size / 200_000).unwrap_or(i64::MAX / 1000);
    let task = if kind == GuestKind::Qemu { "qmmove" } else { "move_volume" };
    let answer = call.spawn(task, &vmid.to_string(), real_ms, Work::Move { vmid, key, storage, format, delete });
    begin(call.world);
    Ok(answer)
}

fn to_guest(call: &mut Call<'_>, key: String, target: u32, target_key: String) -> Result<Answer, Refusal> {
    let (kind, vmid, node) = (call.kind(), call.vmid(), call.node());
    if !call.caller.is_root_pam() {
        need(call.world, call.caller, &format!("/vms/{target}"), &["VM.Config.Disk"])?;
    }
    let noun = kind.noun();
    if kind == GuestKind::Qemu && target == vmid {
        return Err(Refusal::param("target-vmid", "must be different than source VMID to reassign disk"));
    }
    if kind == GuestKind::Lxc && (key == "rootfs" || target_key == "rootfs") {
        return Err("Cannot move to/from 'rootfs'".into());
    }
    if kind == GuestKind::Lxc && is_unused(&key) && !is_unused(&target_key) {
        return Err("Moving an unused volume to a used one is not possible".into());
    }
    let other = call.world.guests.get(&target).ok_or_else(|| format!("could not find target {noun} {target}"))?;
    if other.node != node {
        let both = if kind == GuestKind::Qemu { "VMs" } else { "containers" };
        return Err(format!("Both {both} need to be on the same node ({node} != {})", other.node).into());
    }
    let guest = call.guest(kind)?;
    let other = call.world.guest(kind, &node, target).ok_or_else(|| super::super::no_config(kind, &node, target))?;
    locked(guest)?;
    locked(other)?;
    if guest.number("template", 0) == 1 || other.number("template", 0) == 1 {
        let (what, whom) = if kind == GuestKind::Qemu { ("disks", "template VMs") } else { ("volumes", "template CT") };
        return Err(format!("Can't move {what} from or to {whom}").into());
    }
    let long = if kind == GuestKind::Qemu { "VM" } else { "Container" };
    for (name, id, guest) in [("digest", vmid, guest), ("target-digest", target, other)] {
        if !same_digest(call, name, guest) {
            return Err(format!("{long} {id}: {DIGEST}").into());
        }
    }
    let volid = volid_of(guest, &key).ok_or_else(|| match kind {
        GuestKind::Qemu => format!("Disk '{key}' for VM '{vmid}' does not exist"),
        GuestKind::Lxc => format!("volume '{key}' for container '{vmid}' does not exist"),
    })?;
    if other.config.contains_key(&target_key) {
        return Err(match kind {
            GuestKind::Qemu => format!("Target disk key '{target_key}' is already in use for VM '{target}'").into(),
            GuestKind::Lxc => {
                format!("Target volume key '{target_key}' is already in use for container '{target}'").into()
            }
        });
    }
    if is_cd(guest, &key) {
        return Err("CD drive contents can't be moved to another VM".into());
    }
    let storage = match split_volid(&volid) {
        Some((storage, _)) => storage.to_owned(),
        None if kind == GuestKind::Qemu => return Err(format!("Volume '{volid}' not managed by PVE").into()),
        None => return Err("Cannot move a bindmount or device mount to another container".into()),
    };
    let (what, whom) = if kind == GuestKind::Qemu { ("disk", "VM") } else { ("volume", "container") };
    if is_snapshotted(guest, &volid) {
        let not = if kind == GuestKind::Qemu { "Can't" } else { "Cannot" };
        return Err(format!("{not} move {what} used by a snapshot to another {whom}").into());
    }
    if guest.is_running() && !is_unused(&key) {
        return Err(match kind {
            GuestKind::Qemu => "Cannot move disk to another VM while the source VM is running - detach first".into(),
            GuestKind::Lxc => {
                "Cannot move in-use volume while the source CT is running - detach or shutdown first".into()
            }
        });
    }
    if kind == GuestKind::Lxc && other.number("protection", 0) == 1 {
        let text = format!("cannot assign a volume to target CT {target} - protection mode enabled");
        return Err(text.into());
    }
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let task = if kind == GuestKind::Qemu { "qmmove" } else { "move_volume" };
    let id = format!("{vmid}-{key}>{target}-{target_key}");
    Ok(call.spawn(task, &id, 1000, Work::Reassign { vmid, key, target, target_key }))
}
