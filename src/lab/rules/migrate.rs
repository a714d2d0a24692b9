//! Moving guests to another node: what is looked at before, and how configuration and volumes go over.
//!
//! What can be seen at once is refused at once; everything else the worker finds out, says in its log, and
//! ends with `migration aborted` (qemu-server `QemuMigrate.pm`, pve-container `LXC/Migrate.pm`,
//! pve-guest-common `AbstractMigrate.pm`). The configuration is locked with `migrate` meanwhile.

use serde_json::{Map, Value, json};

use super::super::world::property::{Properties, indexed, is_disk, is_mount};
use super::super::world::{Guest, GuestKind, Storage, StorageKind, TaskState, Work, World, split_volid};
use super::endpoint::Access::{self, Every};
use super::formats as f;
use super::param::{Kind, Param, optional as o, required, since_9};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Get, Post};

const MAY: Access = Every("/vms/{vmid}", &["VM.Migrate"]);
const NODE: Kind = Kind::Format(f::node);
const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const LOOK: &[Param] = &[o("target", NODE)];
const QEMU: &[Param] = &[
    required("target", NODE),
    o("bwlimit", FROM_0),
    o("force", Kind::Bool),
    o("migration_network", Kind::Text),
    o("migration_type", Kind::Enum(&["secure", "insecure"])),
    o("online", Kind::Bool),
    o("targetstorage", Kind::Text),
    since_9("with-conntrack-state", Kind::Bool),
    o("with-local-disks", Kind::Bool),
];
const LXC: &[Param] = &[
    required("target", NODE),
    o("bwlimit", Kind::Number { min: Some(0), max: None }),
    o("online", Kind::Bool),
    o("restart", Kind::Bool),
    o("target-storage", Kind::Text),
    o("timeout", Kind::Int { min: None, max: None }),
];
/// What moving a guest takes on a real host beside its data, in milliseconds.
const REAL_MS: i64 = 5_000;
const LOCK: &str = "migrate";

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/migrate", &[LOOK], MAY, look),
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/migrate", &[QEMU], MAY, migrate),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/migrate", &[LXC], MAY, migrate),
];

/// A volume of a guest, and where its configuration speaks of it.
struct Held {
    key: String,
    volid: String,
    cdrom: bool,
}

/// Volumes of a guest with those of its snapshots; bind mounts, devices and empty drives are none.
fn held(guest: &Guest) -> Vec<Held> {
    let sections = std::iter::once(&guest.config).chain(guest.snapshots.values().map(|s| &s.config));
    let mut all: Vec<Held> = Vec::new();
    for (key, value) in sections.flatten() {
        if !(is_disk(key) || is_mount(key) || key.starts_with("unused")) {
            continue;
        }
        let fields = Properties::parse(value);
        let head = fields.head(if guest.kind == GuestKind::Qemu { "file" } else { "volume" }).unwrap_or_default();
        if split_volid(head).is_some() && !all.iter().any(|held| held.volid == head) {
            let cdrom = fields.get("media") == Some("cdrom") && !head.contains("cloudinit");
            all.push(Held { key: key.clone(), volid: head.to_owned(), cdrom });
        }
    }
    all
}

/// Devices of the host that a VM holds: those passed as they are, and those by mapping with its name.
fn devices(guest: &Guest) -> (Vec<String>, Vec<(String, String)>) {
    let (mut raw, mut mapped) = (Vec::new(), Vec::new());
    for (key, value) in &guest.config {
        let Some((stem, _)) = indexed(key) else { continue };
        let fields = Properties::parse(value);
        match (stem, fields.get("mapping")) {
            ("hostpci", Some(name)) => mapped.push((key.clone(), name.to_owned())),
            ("hostpci" | "parallel", None) => raw.push(key.clone()),
            ("usb", None) if fields.head("host") != Some("spice") => raw.push(key.clone()),
            ("serial", None) if value != "socket" => raw.push(key.clone()),
            _ => {}
        }
    }
    (raw, mapped)
}

/// Whether a mapping has an entry for a node.
fn maps(world: &World, mapping: &str, node: &str) -> bool {
    let entries = world.mappings.get(mapping).map(|mapping| mapping.map.as_slice()).unwrap_or_default();
    entries.iter().any(|entry| Properties::parse(entry).get("node") == Some(node))
}

fn not_there(world: &World, storage: &str, node: &str) -> Option<String> {
    match world.storages.get(storage) {
        None => Some(format!("storage '{storage}' does not exist")),
        Some(entry) if entry.disabled => Some(format!("storage '{storage}' is disabled")),
        Some(entry) if !entry.serves(node) => Some(format!("storage '{storage}' is not available on node '{node}'")),
        Some(_) => None,
    }
}

/// Volumes that have to be copied, as they are on storages of the node's own.
fn local(world: &World, guest: &Guest) -> Vec<Held> {
    let shared = |held: &Held| {
        split_volid(&held.volid).and_then(|(id, _)| world.storages.get(id)).is_some_and(Storage::is_shared)
    };
    held(guest).into_iter().filter(|held| !shared(held)).collect()
}

fn look(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(GuestKind::Qemu)?;
    let world = &*call.world;
    let (raw, mapped) = devices(guest);
    let disks: Vec<Value> = local(world, guest)
        .iter()
        .map(|held| {
            let size = world.volume(&guest.node, &held.volid).map_or(0, |volume| volume.size);
            let unused = u8::from(held.key.starts_with("unused"));
            json!({"volid": held.volid, "size": size, "cdrom": u8::from(held.cdrom), "is_unused": unused, "drivename": held.key})
        })
        .collect();
    let (mut allowed, mut not_allowed) = (Vec::new(), Map::new());
    for node in world.nodes.keys().filter(|node| **node != guest.node) {
        let mut missing: Vec<&str> = held(guest)
            .iter()
            .filter_map(|held| split_volid(&held.volid).map(|(id, _)| id.to_owned()))
            .filter_map(|id| world.storages.get_key_value(&id))
            .filter(|(_, storage)| !storage.serves(node))
            .map(|(id, _)| id.as_str())
            .collect();
        missing.dedup();
        let unmapped: Vec<&str> =
            mapped.iter().filter(|(_, name)| !maps(world, name, node)).map(|(key, _)| key.as_str()).collect();
        if missing.is_empty() && unmapped.is_empty() {
            allowed.push(json!(node));
            continue;
        }
        let mut why = Map::new();
        if !missing.is_empty() {
            why.insert("unavailable_storages".to_owned(), json!(missing));
        }
        if !unmapped.is_empty() {
            why.insert("unavailable-resources".to_owned(), json!(unmapped));
        }
        not_allowed.insert(node.clone(), Value::Object(why));
    }
    let info: Map<String, Value> = mapped
        .iter()
        .map(|(key, name)| {
            let live = world.mappings.get(name).is_some_and(|mapping| mapping.live_migration);
            (key.clone(), json!({"name": name, "live-migration": u8::from(live)}))
        })
        .collect();
    let mut answer = json!({
        "running": u8::from(guest.is_running()), "local_disks": disks, "local_resources": raw,
        "mapped-resources": mapped.iter().map(|(key, _)| key).collect::<Vec<_>>(), "mapped-resource-info": info,
    });
    if !guest.is_running() {
        answer["allowed_nodes"] = Value::Array(allowed);
        answer["not_allowed_nodes"] = Value::Object(not_allowed);
    }
    Ok(answer.into())
}

fn migrate(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, node, vmid) = (call.kind(), call.node(), call.vmid());
    let target = call.values.text("target").to_owned();
    if target == node {
        return Err(Refusal::param("target", "target is local node."));
    }
    if !call.world.nodes.contains_key(&target) {
        return Err(format!("no such cluster node '{target}'").into());
    }
    let force = call.values.flag("force");
    if force && !call.caller.is_root_pam() {
        return Err(Refusal::param("force", "Only root may use this option."));
    }
    let guest = call.guest(kind)?.clone();
    let (online, restart) = (call.values.flag("online"), call.values.flag("restart"));
    match kind {
        GuestKind::Qemu => {
            if let Some(lock) = guest.lock() {
                return Err(format!("VM is locked ({lock})").into());
            }
            if guest.is_running() && !online {
                return Err("can't migrate running VM without --online".into());
            }
        }
        GuestKind::Lxc if guest.is_running() && !online && !restart => {
            return Err("can't migrate running container without --online or --restart".into());
        }
        GuestKind::Lxc => {}
    }
    let with_local_disks = call.values.flag("with-local-disks");
    let hindrance = hindrance(call.world, &guest, &target, &Wanted { online, restart, force, with_local_disks });
    let what = if kind == GuestKind::Qemu { "qmigrate" } else { "vzmigrate" };
    let again = kind == GuestKind::Lxc && guest.is_running();
    let work = Work::Migrate { vmid, target: target.clone(), restart: again };
    let answer = call.spawn(what, &vmid.to_string(), REAL_MS, work);
    match hindrance {
        Some(text) => abort(call.world, &text),
        None => begin(call.world, kind, vmid, &target),
    }
    Ok(answer)
}

/// What the caller asked for.
struct Wanted {
    online: bool,
    restart: bool,
    force: bool,
    with_local_disks: bool,
}

/// What the worker finds before it touches anything.
fn hindrance(world: &World, guest: &Guest, target: &str, wanted: &Wanted) -> Option<String> {
    if let Some(lock) = guest.lock() {
        return Some(format!("{} is locked ({lock})", guest.kind.noun()));
    }
    let running = guest.is_running();
    match guest.kind {
        GuestKind::Qemu => {
            let (raw, mapped) = devices(guest);
            if !raw.is_empty() && (running || !wanted.force) {
                return Some(format!("can't migrate VM which uses local devices: {}", raw.join(", ")));
            }
            let of = |wrong: &dyn Fn(&str) -> bool, show: &dyn Fn(&(String, String)) -> String| {
                mapped.iter().filter(|(_, name)| wrong(name)).map(show).collect::<Vec<_>>().join(", ")
            };
            let missing = of(&|name| !maps(world, name, target), &|(key, _)| key.clone());
            if !missing.is_empty() {
                return Some(format!("can't migrate to '{target}': missing mapped devices {missing}"));
            }
            let still = |name: &str| !world.mappings.get(name).is_some_and(|mapping| mapping.live_migration);
            let fixed = of(&still, &|(key, name)| format!("{key}:{name}"));
            if running && !fixed.is_empty() {
                return Some(format!("can't live migrate running VM which uses following mapped devices: {fixed}"));
            }
        }
        GuestKind::Lxc => {
            if running && wanted.online {
                return Some("lxc live migration is currently not implemented".to_owned());
            }
            if running && !wanted.restart {
                return Some("running container can only be migrated in restart mode".to_owned());
            }
            for (key, value) in guest.config.iter().filter(|(key, _)| is_mount(key)) {
                let fields = Properties::parse(value);
                let head = fields.head("volume").unwrap_or_default();
                if head.starts_with('/') && !fields.is_on("shared") {
                    let kind = if head.starts_with("/dev/") { "device" } else { "bind" };
                    return Some(format!("cannot migrate local {kind} mount point '{key}'"));
                }
            }
        }
    }
    let storages = held(guest);
    let mut ids = storages.iter().filter_map(|held| split_volid(&held.volid).map(|(id, _)| id));
    if let Some(text) = ids.find_map(|id| not_there(world, id, target)) {
        return Some(text);
    }
    if !world.nodes.get(target).is_some_and(|node| node.online) {
        return Some("Can't connect to destination address using public key".to_owned());
    }
    let copied = local(world, guest);
    let stuck = guest.kind == GuestKind::Qemu && copied.iter().any(|held| held.cdrom)
        || guest.kind == GuestKind::Qemu && running && !wanted.with_local_disks && !copied.is_empty();
    stuck.then(|| "Problem found while scanning volumes - can't migrate VM - check log".to_owned())
}

/// As the log of a migration begins its lines.
fn stamp(world: &World) -> String {
    let now = jiff::Timestamp::from_second(world.now()).unwrap_or_default();
    now.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Lets the worker that was just started fail: nothing has been begun that would take its time.
fn abort(world: &mut World, text: &str) {
    let (now, now_ms) = (stamp(world), world.now_ms);
    let Some(task) = world.tasks.last_mut() else { return };
    task.log.push(format!("{now} ERROR: migration aborted (duration 00:00:00): {text}"));
    if let TaskState::Running { doom, work, due_ms } = &mut task.state {
        (*doom, *work, *due_ms) = (Some("migration aborted".to_owned()), Work::Nothing, now_ms);
    }
}

/// What the worker that was just started does first: it locks, and a container goes down.
fn begin(world: &mut World, kind: GuestKind, vmid: u32, target: &str) {
    let now = stamp(world);
    let address = world.nodes.get(target).map(|node| node.address.clone()).unwrap_or_default();
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.config.insert("lock".to_owned(), LOCK.to_owned());
        if kind == GuestKind::Lxc {
            guest.run = None;
        }
    }
    if let Some(task) = world.tasks.last_mut() {
        let noun = kind.noun();
        task.log.push(format!("{now} starting migration of {noun} {vmid} to node '{target}' ({address})"));
    }
}

/// The end of the migration: volumes and configuration are on the other node, and the lock is gone.
///
/// # Errors
/// With the exit status of the task, where the other node went away meanwhile.
pub(super) fn finish(
    world: &mut World,
    vmid: u32,
    target: &str,
    restart: bool,
    log: &mut Vec<String>,
    starter: (&str, Option<&str>),
) -> Result<String, String> {
    let Some(guest) = world.guests.get(&vmid).cloned() else {
        return Err(format!("Configuration file for guest {vmid} does not exist"));
    };
    let now = stamp(world);
    if !world.nodes.get(target).is_some_and(|node| node.online) {
        log.push(format!(
            "{now} ERROR: migration aborted (duration 00:00:05): Can't connect to destination address using public key"
        ));
        return Err("migration aborted".to_owned());
    }
    for held in local(world, &guest).into_iter().filter(|held| !held.cdrom) {
        log.push(format!("{now} found local volume '{}' (in current VM config)", held.volid));
        move_volume(world, &guest.node, target, &held.volid);
    }
    if let Some(guest) = world.guests.get_mut(&vmid) {
        target.clone_into(&mut guest.node);
        guest.config.remove("lock");
    }
    log.push(format!("{now} migration finished successfully (duration 00:00:05)"));
    if restart {
        let caller = super::super::world::Caller { user: starter.0.to_owned(), token: starter.1.map(str::to_owned) };
        world.spawn(target, "vzstart", &vmid.to_string(), &caller, 2000, Work::Start { vmid });
    }
    Ok("OK".to_owned())
}

fn move_volume(world: &mut World, from: &str, to: &str, volid: &str) {
    let Some((storage, _)) = split_volid(volid) else { return };
    match world.storages.get(storage).map(|entry| &entry.kind) {
        Some(StorageKind::ZfsPool { .. }) => {
            let Some(dataset) = world.dataset_of(volid) else { return };
            let moved = world.nodes.get_mut(from).and_then(|node| node.zfs.datasets.remove(&dataset));
            if let (Some(moved), Some(node)) = (moved, world.nodes.get_mut(to)) {
                node.zfs.datasets.insert(dataset, moved);
            }
        }
        Some(_) => {
            if let Some(volume) = world.take_volume(from, volid) {
                world.put_volume(to, volid, volume);
            }
        }
        None => {}
    }
}
