//! VMs: creating and changing them. What they share with containers is in [`guests`](super::guests).

use std::collections::{BTreeMap, BTreeSet};

use super::super::world::property::{Properties, indexed, is_disk};
use super::super::world::{Caller, Guest, GuestKind, Pending, Work, World};
use super::endpoint::Access::{self, All, Any, Every};
use super::guests;
use super::param::{Kind, Param, optional as o};
use super::tables::{CHANGE, QEMU_CHANGE_LATER, QEMU_CONFIG, QEMU_CREATE, SKIPLOCK};
use super::{Answer, Call, Endpoint, Refusal, config, disks, need, no_config, split_list};
use crate::ports::Method::{Delete, Get, Post, Put};

const FULL: &[Param] = &[o("full", Kind::Bool)];
const DESTROY: &[Param] =
    &[o("destroy-unreferenced-disks", Kind::Bool), o("purge", Kind::Bool), o("skiplock", Kind::Bool)];
const MAY_CHANGE: Access = Any(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/qemu", &[FULL], All, guests::list_qemu),
    Endpoint::new(Post, "/nodes/{node}/qemu", &[QEMU_CREATE, QEMU_CONFIG], All, create),
    Endpoint::new(
        Delete,
        "/nodes/{node}/qemu/{vmid}",
        &[DESTROY],
        Every("/vms/{vmid}", &["VM.Allocate"]),
        guests::destroy,
    ),
    Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/config", &[QEMU_CONFIG, CHANGE, SKIPLOCK], MAY_CHANGE, put),
    Endpoint::new(
        Post,
        "/nodes/{node}/qemu/{vmid}/config",
        &[QEMU_CONFIG, CHANGE, SKIPLOCK, QEMU_CHANGE_LATER],
        MAY_CHANGE,
        post,
    ),
];

/// Keys that only `root@pam` may set or delete: text is the same for every value.
const ROOT_ONLY: &[&str] =
    &["affinity", "amd-sev", "arch", "args", "hookscript", "lock", "spice_enhancements", "vmgenid"];

/// Parameters of a creation that are not part of the configuration.
const NOT_CONFIG: &[&str] = &[
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "start",
    "storage",
    "unique",
    "vmid",
    "delete",
    "digest",
    "revert",
    "skiplock",
    "background_delay",
];

fn root_only(caller: &Caller, key: &str, value: &str) -> Result<(), Refusal> {
    if caller.is_root_pam() {
        return Ok(());
    }
    let refuse = |what: &str| Err(Refusal::failed(format!("only root can set '{key}' config{what}")));
    if ROOT_ONLY.contains(&key) {
        return refuse("");
    }
    match indexed(key) {
        Some(("parallel", _)) => refuse(""),
        Some(("hostpci", _)) if Properties::parse(value).get("mapping").is_none() => refuse(" for non-mapped devices"),
        Some(("usb", _)) if value != "spice" && !value.starts_with("mapping=") && !value.contains("host=spice") => {
            refuse(" for real devices")
        }
        Some(("serial", _)) if value != "socket" => refuse(" for real devices"),
        _ => Ok(()),
    }
}

/// Privileges that a key asks for, any of which will do.
fn privileges(key: &str, value: &str) -> &'static [&'static str] {
    let stem = indexed(key).map_or(key, |(stem, _)| stem);
    match stem {
        "ide" | "sata" | "scsi" | "virtio" if value.contains("media=cdrom") && !value.contains("cloudinit") => {
            &["VM.Config.CDROM"]
        }
        "cdrom" => &["VM.Config.CDROM"],
        "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "unused" | "boot" | "bootdisk"
        | "vmstatestorage" => &["VM.Config.Disk"],
        "cores" | "sockets" | "cpu" | "cpulimit" | "cpuunits" | "vcpus" | "smp" | "numa" => &["VM.Config.CPU"],
        "memory" | "balloon" | "shares" | "allow-ksm" => &["VM.Config.Memory"],
        "net" => &["VM.Config.Network"],
        "cicustom" | "cipassword" | "citype" | "ciuser" | "ciupgrade" | "nameserver" | "searchdomain" | "sshkeys"
        | "ipconfig" => &["VM.Config.Cloudinit", "VM.Config.Network"],
        "vmstate" => &["VM.PowerMgmt"],
        "acpi" | "audio" | "hostpci" | "hugepages" | "ivshmem" | "kvm" | "machine" | "scsihw" | "serial" | "smbios"
        | "tablet" | "usb" | "vga" | "watchdog" | "rng" | "virtiofs" => &["VM.Config.HWType"],
        _ => &["VM.Config.Options"],
    }
}

fn check_keys(
    world: &World,
    caller: &Caller,
    vmid: u32,
    pool: Option<&str>,
    changes: &[(String, String)],
) -> Result<(), Refusal> {
    let path = format!("/vms/{vmid}");
    for (key, value) in changes {
        root_only(caller, key, value)?;
        if let Some(mapping) = Properties::parse(value).get("mapping").filter(|_| key.starts_with("hostpci")) {
            need(world, caller, &format!("/mapping/pci/{mapping}"), &["Mapping.Use"])?;
        }
        // It changes what the host does when it boots (`PVE::API2::Qemu`).
        if key == "startup" {
            need(world, caller, "/", &["Sys.Modify"])?;
        }
        let any_of = privileges(key, value);
        // At creation what was granted on the pool counts for the guest that will be in it.
        let by_pool = pool.is_some_and(|pool| world.may(caller, &format!("/pool/{pool}"), any_of));
        if !by_pool {
            need(world, caller, &path, any_of)?;
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            guests::may_use_bridge(world, caller, bridge)?;
        }
    }
    Ok(())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let params = call.values.plain();
    let vmid: u32 = call.values.text("vmid").parse().unwrap_or_default();
    let pool = call.values.get("pool").map(str::to_owned);
    guests::may_create(call, vmid, pool.as_deref())?;
    let settings: Vec<(String, String)> =
        params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(keys) = params.get("sshkeys") {
        config::check_ssh_keys(&percent_encoding::percent_decode_str(keys).decode_utf8_lossy())?;
    }
    for (key, value) in settings.iter().filter(|(k, _)| is_disk(k)) {
        let _ = key;
        disks::check(call.world, call.caller, value, true)?;
    }
    check_keys(call.world, call.caller, vmid, pool.as_deref(), &settings)?;
    if let Some(existing) = call.world.guests.get(&vmid) {
        let text = format!(
            "unable to create VM {vmid} - {} {vmid} already exists on node '{}'",
            existing.kind.noun(),
            existing.node
        );
        return Err(text.into());
    }
    // The id is taken at once: a configuration that holds nothing but the lock.
    let reserved = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    let mut guest = Guest::new(GuestKind::Qemu, &node, reserved);
    guest.reported_ms = guests::next_report(call.world);
    call.world.guests.insert(vmid, guest);
    guests::join_pool(call.world, vmid, pool.as_deref());
    let imported: u64 = settings
        .iter()
        .filter_map(|(_, v)| call.world.volume(&node, Properties::parse(v).get("import-from")?))
        .map(|v| v.virtual_size.unwrap_or(v.size))
        .sum();
    let real_ms = 1500 + i64::try_from(imported / 500_000).unwrap_or(i64::MAX / 1000);
    Ok(call.spawn("qmcreate", &vmid.to_string(), real_ms, Work::Create { vmid, params }))
}

/// Builds a VM out of its creation's parameters: what the `qmcreate` worker does.
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
            world.installed.remove(&volid);
        }
    }
    result.map_err(|text| format!("unable to create VM {vmid} - {text}"))
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
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let stored = stored(world, node, vmid, key, value, log, made)?;
        if !(key == "description" && stored.is_empty()) {
            built.insert(key.clone(), stored);
        }
    }
    if !built.contains_key("smbios1") {
        built.insert("smbios1".to_owned(), format!("uuid={}", world.next_uuid()));
    }
    if !built.contains_key("vmgenid") {
        built.insert("vmgenid".to_owned(), world.next_uuid());
    }
    built.insert("meta".to_owned(), format!("creation-qemu={},ctime={}", world.version.qemu(), world.now()));
    if !built.contains_key("boot") && !built.contains_key("bootdisk") {
        built.insert("boot".to_owned(), default_boot(&built));
    }
    Ok(built)
}

/// The first disk, the first CD drive, the first NIC.
fn default_boot(built: &BTreeMap<String, String>) -> String {
    let bus = |key: &str| match indexed(key).map(|(stem, _)| stem) {
        Some("ide") => 0,
        Some("scsi") => 1,
        Some("virtio") => 2,
        Some("sata") => 3,
        _ => 4,
    };
    let mut drives: Vec<&String> = built.keys().filter(|k| is_disk(k) && bus(k) < 4).collect();
    drives.sort_by_key(|key| (bus(key), indexed(key).map_or(0, |(_, n)| n)));
    let cdrom = |key: &&&String| Properties::parse(&built[**key]).get("media") == Some("cdrom");
    let disk = drives.iter().find(|k| !cdrom(k));
    let cd = drives.iter().find(cdrom);
    let nic = built.keys().find(|k| indexed(k).is_some_and(|(stem, _)| stem == "net"));
    let order: Vec<&str> = [disk.copied(), cd.copied(), nic].into_iter().flatten().map(String::as_str).collect();
    if order.is_empty() { " ".to_owned() } else { format!("order={}", order.join(";")) }
}

/// A value as it goes into the configuration; makes disks that are asked for.
fn stored(
    world: &mut World,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<String, String> {
    Ok(match indexed(key).map_or(key, |(stem, _)| stem) {
        _ if is_disk(key) => disks::make(world, node, vmid, key, value, log, made)?,
        "net" => config::qemu_net(world, value),
        "tags" => config::tags(value),
        "description" => config::description(GuestKind::Qemu, value),
        "vmgenid" if value == "1" => world.next_uuid(),
        _ => guests::number(GuestKind::Qemu, key, value),
    })
}

fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    check_change(call.world, call.caller, &node, vmid, &params)?;
    let mut log = Vec::new();
    change(call.world, vmid, &params, &mut log)?;
    Ok(().into())
}

fn post(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    check_change(call.world, call.caller, &node, vmid, &params)?;
    Ok(call.spawn("qmconfig", &vmid.to_string(), 800, Work::Configure { vmid, params }))
}

fn check_change(
    world: &World,
    caller: &Caller,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let skiplock = params.get("skiplock").is_some_and(|v| v == "1");
    if skiplock && !caller.is_root_pam() {
        return Err(Refusal::param("skiplock", "Only root may use this option."));
    }
    let deleted = config::deletions(GuestKind::Qemu, params)?;
    if let Some(keys) = params.get("sshkeys") {
        config::check_ssh_keys(&percent_encoding::percent_decode_str(keys).decode_utf8_lossy())?;
    }
    let guest = world.guest(GuestKind::Qemu, node, vmid);
    let now = |key: &str| guest.and_then(|g| g.config.get(key)).cloned().unwrap_or_default();
    let mut changes: Vec<(String, String)> =
        params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    for (_, value) in changes.iter().filter(|(k, _)| is_disk(k)) {
        disks::check(world, caller, value, true)?;
    }
    let is_set = |key: &String| guest.is_some_and(|g| g.config.contains_key(key));
    let always = |key: &String| ROOT_ONLY.contains(&key.as_str());
    changes.extend(deleted.into_iter().filter(|k| is_set(k) || always(k)).map(|k| (k.clone(), now(&k))));
    check_keys(world, caller, vmid, None, &changes)?;
    let guest = guest.ok_or_else(|| no_config(GuestKind::Qemu, node, vmid))?;
    if params.get("digest").is_some_and(|digest| *digest != config::digest(guest)) {
        return Err("checksum mismatch (file change by other user?)".into());
    }
    match guest.lock() {
        Some(lock) if !skiplock => Err(format!("VM is locked ({lock})").into()),
        _ => Ok(()),
    }
}

/// Carries a change out that has been checked: what is set and deleted goes to *pending* first, and from
/// there into effect as far as the VM's state lets it.
///
/// # Errors
/// PVE's text; 400 for what a running VM would not let go of.
pub fn change(
    world: &mut World,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Some(guest) = world.guests.get(&vmid).cloned() else { return Ok(()) };
    let node = guest.node.clone();
    for key in split_list(params.get("revert").map_or("", String::as_str)) {
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(key);
        }
    }
    for key in config::deletions(GuestKind::Qemu, params)? {
        let unused = indexed(&key).is_some_and(|(stem, _)| stem == "unused");
        if let (true, Some(volid)) = (unused, guest.config.get(&key)) {
            world.free(&node, volid)?;
            world.installed.remove(volid);
            if let Some(guest) = world.guests.get_mut(&vmid) {
                guest.config.remove(&key);
            }
        } else if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.pending.remove(&key);
            if guest.config.contains_key(&key) {
                guest.pending.insert(key, Pending::Delete);
            }
        }
    }
    if let Some(order) = params.get("boot").and_then(|b| b.strip_prefix("order=")) {
        for device in order.split(';').filter(|d| !d.is_empty()) {
            if !guest.wanted().contains_key(device) && !params.contains_key(device) {
                return Err(format!("invalid bootorder: device '{device}' does not exist'").into());
            }
        }
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let mut made = Vec::new();
        let stored = stored(world, &node, vmid, key, value, log, &mut made)?;
        if let Some(guest) = world.guests.get_mut(&vmid) {
            if key == "description" && stored.is_empty() {
                guest.config.remove(key);
                continue;
            }
            guest.pending.insert(key.clone(), Pending::Set(stored));
        }
    }
    let touched = touched(params);
    settle(world, vmid, Some(&touched))
}

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
    let running = guest.is_running();
    let booted = guest.has_booted(now);
    let mut errors = BTreeMap::new();
    for (key, pending) in guest.pending.clone() {
        let delete = pending == Pending::Delete;
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
        keep_detached(guest, &key, old, delete);
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Params(errors)) }
}

/// A volume that a disk lets go of stays, as `unusedN`.
fn keep_detached(guest: &mut Guest, key: &str, old: Option<String>, delete: bool) {
    let Some(old) = old.filter(|_| is_disk(key)) else { return };
    let volid = |text: &str| Properties::parse(text).head("file").unwrap_or_default().to_owned();
    let (was, is) = (volid(&old), guest.config.get(key).map(|v| volid(v)));
    let owned =
        super::super::world::split_volid(&was).is_some() && !was.contains("-cloudinit") && !old.contains("media=cdrom");
    if owned && (delete || is.is_some_and(|is| is != was)) {
        let unused = config::unused_key(guest);
        guest.config.insert(unused, was);
    }
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
    let gone = *pending == Pending::Delete;
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
