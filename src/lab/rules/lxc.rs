//! Containers: creating and changing them. What they share with VMs is in [`guests`](super::guests).

use std::collections::BTreeMap;

use super::super::world::property::{Properties, indexed, is_mount, truth};
use super::super::world::{Caller, Guest, GuestKind, Pending, Work, World, split_volid};
use super::disks::{self, Source};
use super::endpoint::Access::{self, All, Any, Every};
use super::guests;
use super::param::{Kind, Param, optional as o};
use super::tables::{CHANGE, LXC_CONFIG, LXC_CREATE};
use super::{Answer, Call, Endpoint, Refusal, config, need, no_config, split_list};
use crate::ports::Method::{Delete, Get, Post, Put};

const DESTROY: &[Param] =
    &[o("destroy-unreferenced-disks", Kind::Bool), o("force", Kind::Bool), o("purge", Kind::Bool)];
const MAY_CHANGE: Access = Any(
    "/vms/{vmid}",
    &["VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options"],
);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/lxc", &[], All, guests::list_lxc),
    Endpoint::new(Post, "/nodes/{node}/lxc", &[LXC_CREATE, LXC_CONFIG], All, create),
    Endpoint::new(
        Delete,
        "/nodes/{node}/lxc/{vmid}",
        &[DESTROY],
        Every("/vms/{vmid}", &["VM.Allocate"]),
        guests::destroy,
    ),
    Endpoint::new(Put, "/nodes/{node}/lxc/{vmid}/config", &[LXC_CONFIG, CHANGE], MAY_CHANGE, put),
];

const NOT_CONFIG: &[&str] = &[
    "bwlimit",
    "force",
    "ha-managed",
    "ignore-unpack-errors",
    "ostemplate",
    "password",
    "pool",
    "restore",
    "ssh-public-keys",
    "start",
    "storage",
    "unique",
    "vmid",
    "delete",
    "digest",
    "revert",
];

fn privileges(key: &str) -> &'static [&'static str] {
    match indexed(key).map_or(key, |(stem, _)| stem) {
        "cores" | "cpuunits" | "cpulimit" => &["VM.Config.CPU"],
        "rootfs" | "mp" | "unused" => &["VM.Config.Disk"],
        "memory" | "swap" => &["VM.Config.Memory"],
        "net" | "nameserver" | "searchdomain" | "hostname" => &["VM.Config.Network"],
        _ => &["VM.Config.Options"],
    }
}

/// What PVE lets only `root@pam` do to containers; a token of root is not root (9.2.11).
fn root_only(
    caller: &Caller,
    unprivileged: bool,
    key: &str,
    value: Option<&str>,
    old: Option<&str>,
) -> Result<(), Refusal> {
    if caller.is_root_pam() {
        return Ok(());
    }
    let refuse = |what: &str| Err(Refusal::denied(&format!("{what} is only allowed for root@pam")));
    match indexed(key).map_or(key, |(stem, _)| stem) {
        // Taking a bind mount away is allowed, setting it again just as it is, is not.
        "rootfs" | "mp" => match value.map(|v| disks::source(disks::normal(v, "volume").get("").unwrap_or_default())) {
            Some(Source::Path(path)) if path.starts_with("/dev/") => refuse("mount point type device"),
            Some(Source::Path(path)) if path.starts_with('/') => refuse("mount point type bind"),
            _ => Ok(()),
        },
        "features" if !unprivileged && value != old => refuse("changing feature flags for privileged container"),
        "features" => {
            let flags = |text: Option<&str>| {
                let mut fields = Properties::parse(text.unwrap_or_default());
                fields.take("nesting");
                let mut on: Vec<(String, String)> =
                    fields.0.into_iter().filter(|(k, v)| k == "mount" || truth(v)).collect();
                on.sort();
                on
            };
            if flags(value) == flags(old) { Ok(()) } else { refuse("changing feature flags (except nesting)") }
        }
        "dev" => refuse("configuring device passthrough"),
        "hookscript" => refuse("changing the hookscript"),
        _ => Ok(()),
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let mut params = call.values.plain();
    let vmid: u32 = call.values.text("vmid").parse().unwrap_or_default();
    let pool = call.values.get("pool").map(str::to_owned);
    guests::may_create(call, vmid, pool.as_deref())?;
    if let Some(keys) = params.get("ssh-public-keys") {
        config::check_ssh_keys(keys)?;
    }
    let (world, caller) = (&*call.world, call.caller);
    // Unprivileged is what a container is unless it is said: since 9.0 (8.4: the schema says 0).
    let by_default = world.version >= super::super::world::Version::V9_1;
    let unprivileged = params.get("unprivileged").map_or(by_default, |v| v == "1");
    let storage = params.get("storage").cloned().unwrap_or_else(|| "local".to_owned());
    if !params.contains_key("rootfs") {
        params.insert("rootfs".to_owned(), format!("{storage}:4"));
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        root_only(caller, unprivileged, key, Some(value), None)?;
        let any_of = privileges(key);
        let path = format!("/vms/{vmid}");
        let by_pool = pool.as_deref().is_some_and(|pool| world.may(caller, &format!("/pool/{pool}"), any_of));
        if !by_pool {
            need(world, caller, &path, any_of)?;
        }
        if is_mount(key) {
            disks::check(world, caller, value, false)?;
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            guests::may_use_bridge(world, caller, bridge)?;
        }
    }
    let template = call.values.text("ostemplate");
    match split_volid(template) {
        Some((storage, _)) if world.storages.contains_key(storage) => {
            let reads = ["Datastore.Audit", "Datastore.AllocateSpace"];
            need(world, caller, &format!("/storage/{storage}"), &reads)?;
        }
        Some((storage, _)) => return Err(format!("storage '{storage}' does not exist").into()),
        None if caller.is_root_pam() => return Err(format!("unable to parse volume ID '{template}'").into()),
        None => return Err(disks::ROOT_ONLY_PATH.into()),
    }
    check_devices(world, &node, &params)?;
    if let Some(existing) = world.guests.get(&vmid) {
        return Err(format!("{} {vmid} already exists on node '{}'", existing.kind.noun(), existing.node).into());
    }
    let size = world.volume(&node, template).map_or(0, |v| v.size);
    params.insert("unprivileged".to_owned(), u8::from(unprivileged).to_string());
    let reserved = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    let mut guest = Guest::new(GuestKind::Lxc, &node, reserved);
    guest.reported_ms = guests::next_report(call.world);
    call.world.guests.insert(vmid, guest);
    guests::join_pool(call.world, vmid, pool.as_deref());
    params.remove("password");
    let real_ms = 3000 + i64::try_from(size / 20_000).unwrap_or(i64::MAX / 1000);
    Ok(call.spawn("vzcreate", &vmid.to_string(), real_ms, Work::Create { vmid, params }))
}

fn check_devices(world: &World, node: &str, params: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (_, value) in params.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "dev")) {
        let path = disks::normal(value, "path").get("").unwrap_or_default().to_owned();
        if !guests::device_exists(world, node, &path) {
            return Err(format!("Device {path} does not exist").into());
        }
    }
    Ok(())
}

/// Builds a container out of its creation's parameters: what the `vzcreate` worker does.
///
/// # Errors
/// PVE's text; everything that was made is gone again then.
pub fn build(
    world: &mut World,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut made = Vec::new();
    let result = assemble(world, node, vmid, params, log, &mut made);
    if result.is_err() {
        for volid in made {
            let _ = world.free(node, &volid);
        }
    }
    result.map_err(|text| format!("unable to create CT {vmid} - {text}"))
}

fn assemble(
    world: &mut World,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut built = BTreeMap::new();
    // The root file system comes first, then the mount points by number: that gives the disks their numbers.
    let mut mounts: Vec<&String> = params.keys().filter(|k| is_mount(k)).collect();
    mounts.sort_by_key(|key| indexed(key).filter(|_| *key != "rootfs").map_or(-1, |(_, n)| i64::from(n)));
    for key in mounts {
        built.insert(key.clone(), disks::make_mount(world, node, vmid, &params[key], log, made)?);
    }
    let template = params.get("ostemplate").cloned().unwrap_or_default();
    let archive = world.volume_path(&template).unwrap_or_default();
    if world.volume(node, &template).is_none() {
        let text = format!("volume '{template}' does not exist");
        log.push(text.clone());
        return Err(text);
    }
    log.push(format!("extracting archive '{archive}'"));
    log.push("Total bytes read: 150743040 (144MiB, 308MiB/s)".to_owned());
    log.push("Detected container architecture: amd64".to_owned());
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str()) && !is_mount(k)) {
        let stored = stored(world, key, value);
        let unsaid = match key.as_str() {
            "description" => value.is_empty(),
            "unprivileged" => stored == "0",
            _ => false,
        };
        if !unsaid {
            built.insert(key.clone(), stored);
        }
    }
    let file = template.rsplit('/').next().unwrap_or_default();
    let known =
        ["alpine", "archlinux", "centos", "debian", "devuan", "fedora", "gentoo", "nixos", "opensuse", "ubuntu"];
    let os = known.iter().find(|os| file.starts_with(**os)).copied().unwrap_or("unmanaged");
    for (key, value) in
        [("arch", "amd64"), ("ostype", os), ("hostname", &format!("CT{vmid}")), ("memory", "512"), ("swap", "512")]
    {
        built.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    if let Some(Some(dataset)) = built.get("rootfs").map(|r| world.dataset_of(r.split(',').next().unwrap_or_default()))
        && let Some(found) = world.nodes.get_mut(node).and_then(|n| n.zfs.datasets.get_mut(&dataset))
    {
        found.used = 600 << 20;
    }
    Ok(built)
}

fn stored(world: &mut World, key: &str, value: &str) -> String {
    match indexed(key).map_or(key, |(stem, _)| stem) {
        "net" => config::lxc_net(world, value),
        "tags" => config::tags(value),
        "description" => config::description(GuestKind::Lxc, value),
        "nameserver" => split_list(value).collect::<Vec<_>>().join(" "),
        _ => guests::number(GuestKind::Lxc, key, value),
    }
}

fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    let (world, caller) = (&*call.world, call.caller);
    let deleted = config::deletions(GuestKind::Lxc, &params)?;
    let found = world.guest(GuestKind::Lxc, &node, vmid);
    let unprivileged = found.is_some_and(|g| g.config.get("unprivileged").is_some_and(|u| u == "1"));
    let old = found.map(Guest::wanted).unwrap_or_default();
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        root_only(caller, unprivileged, key, Some(value), old.get(key).map(String::as_str))?;
        need(world, caller, &format!("/vms/{vmid}"), privileges(key))?;
        if is_mount(key) {
            disks::check(world, caller, value, false)?;
            if let Source::Path(path) = disks::source(disks::normal(value, "volume").get("").unwrap_or_default())
                && !path.starts_with('/')
            {
                return Err(format!("unable to parse volume ID '{path}'").into());
            }
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            guests::may_use_bridge(world, caller, bridge)?;
        }
    }
    for key in &deleted {
        if !is_mount(key) && old.contains_key(key) {
            root_only(caller, unprivileged, key, None, old.get(key).map(String::as_str))?;
        }
        need(world, caller, &format!("/vms/{vmid}"), privileges(key))?;
    }
    check_devices(world, &node, &params)?;
    let guest = found.ok_or_else(|| no_config(GuestKind::Lxc, &node, vmid))?;
    if params.get("digest").is_some_and(|digest| *digest != config::digest(guest)) {
        return Err("detected modified configuration - file changed by other user? Try again.".into());
    }
    if let Some(lock) = guest.lock() {
        return Err(format!("CT is locked ({lock})").into());
    }
    for key in &deleted {
        match key.as_str() {
            "rootfs" | "arch" | "ostype" => return Err(format!("unable to delete required option '{key}'").into()),
            "unprivileged" => return Err(format!("unable to delete read-only option: '{key}'").into()),
            _ => {}
        }
    }
    if params.contains_key("unprivileged") {
        return Err("unable to modify read-only option: 'unprivileged'".into());
    }
    change(call.world, vmid, &params, &deleted)?;
    Ok(().into())
}

fn change(world: &mut World, vmid: u32, params: &BTreeMap<String, String>, deleted: &[String]) -> Result<(), Refusal> {
    let Some(guest) = world.guests.get(&vmid).cloned() else { return Ok(()) };
    let node = guest.node.clone();
    for key in split_list(params.get("revert").map_or("", String::as_str)) {
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
        }
    }
    for key in deleted {
        let unused = indexed(key).is_some_and(|(stem, _)| stem == "unused");
        if let (true, Some(volid)) = (unused, guest.config.get(key)) {
            world.free(&node, volid)?;
            if let Some(guest) = world.guests.get_mut(&vmid) {
                guest.config.remove(key);
            }
        } else if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
            if guest.config.contains_key(key) {
                guest.pending.insert(key.clone(), Pending::Delete);
            }
        }
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let (mut log, mut made) = (Vec::new(), Vec::new());
        let stored = if is_mount(key) {
            disks::make_mount(world, &node, vmid, value, &mut log, &mut made)?
        } else {
            stored(world, key, value)
        };
        if let Some(guest) = world.guests.get_mut(&vmid) {
            if key == "description" && value.is_empty() {
                guest.config.remove(key);
            } else {
                guest.pending.insert(key.clone(), Pending::Set(stored));
            }
        }
    }
    settle(world, vmid);
    Ok(())
}

/// Puts pending changes into effect: all of them when the container is stopped, what PVE changes live when
/// it runs. `features`, `devN` and taking a mount point away wait for a restart.
pub fn settle(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    let running = guest.is_running();
    for (key, pending) in guest.pending.clone() {
        let delete = pending == Pending::Delete;
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
