//! What VMs and containers share: lists, configuration, power, resize, destruction, agent.

use serde_json::{Map, Value, json};

use super::super::world::property::{Properties, is_disk, is_mount};
use super::super::world::{Caller, Guest, GuestKind, Work, World};
use super::endpoint::Access::{self, Any, Every};
use super::param::{Kind, Param, optional as o, required};
use super::tables::{DIGEST_40, SNAPSHOT_NAME};
use super::{Answer, Call, Endpoint, Refusal, config, disks, status};
use crate::ports::Method::{Get, Post, Put};

const CONFIG: &[Param] = &[o("current", Kind::Bool), o("snapshot", SNAPSHOT_NAME)];
const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const SKIPLOCK: &[Param] = &[o("skiplock", Kind::Bool)];
const TIMEOUT: &[Param] = &[o("timeout", FROM_0)];
const START_QEMU: &[Param] = &[o("force-cpu", Kind::Text), o("machine", Kind::Text), o("timeout", FROM_0)];
const DEBUG: &[Param] = &[o("debug", Kind::Bool)];
const STOP: &[Param] = &[o("overrule-shutdown", Kind::Bool)];
const STOP_QEMU: &[Param] = &[o("keepActive", Kind::Bool), o("timeout", FROM_0)];
const SHUTDOWN: &[Param] = &[o("forceStop", Kind::Bool), o("timeout", FROM_0)];
const KEEP_ACTIVE: &[Param] = &[o("keepActive", Kind::Bool)];
const RESIZE_QEMU: &[Param] = &[
    required("disk", Kind::Pattern(is_disk)),
    required("size", Kind::Pattern(super::formats::is_resize)),
    o("digest", DIGEST_40),
];
const RESIZE_LXC: &[Param] = &[
    required("disk", Kind::Pattern(is_mount)),
    required("size", Kind::Pattern(super::formats::is_resize)),
    o("digest", DIGEST_40),
];
const AGENT: &[&str] = &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"];
const READ: Access = Every("/vms/{vmid}", &["VM.Audit"]);
const POWER: Access = Every("/vms/{vmid}", &["VM.PowerMgmt"]);
const DISK: Access = Every("/vms/{vmid}", &["VM.Config.Disk"]);
const ALLOCATE: Access = Every("/vms/{vmid}", &["VM.Allocate"]);

macro_rules! rows {
    ($base:literal, [$($more:expr),* $(,)?]) => {
        &[
            Endpoint::new(Get, concat!($base, "/config"), &[CONFIG], READ, get_config),
            Endpoint::new(Get, concat!($base, "/pending"), &[], READ, pending),
            Endpoint::new(Get, concat!($base, "/status/current"), &[], READ, current),
            $($more),*
        ]
    };
}

/// The rows of VMs.
pub const QEMU: &[Endpoint] = rows!(
    "/nodes/{node}/qemu/{vmid}",
    [
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/start", &[START_QEMU, SKIPLOCK], POWER, start),
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/stop", &[STOP, STOP_QEMU, SKIPLOCK], POWER, stop),
        Endpoint::new(
            Post,
            "/nodes/{node}/qemu/{vmid}/status/shutdown",
            &[SHUTDOWN, KEEP_ACTIVE, SKIPLOCK],
            POWER,
            shutdown
        ),
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/reboot", &[TIMEOUT], POWER, reboot),
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/status/reset", &[SKIPLOCK], POWER, reset),
        Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/resize", &[RESIZE_QEMU, SKIPLOCK], DISK, resize),
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/template", &[TEMPLATE_DISK], ALLOCATE, template),
        Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/agent/ping", &[], Any("/vms/{vmid}", AGENT), agent_ping),
        Endpoint::new(
            Get,
            "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
            &[],
            Any("/vms/{vmid}", AGENT),
            agent_interfaces
        ),
    ]
);
const TEMPLATE_DISK: &[Param] = &[o("disk", Kind::Pattern(is_disk))];

/// The rows of containers.
pub const LXC: &[Endpoint] = rows!(
    "/nodes/{node}/lxc/{vmid}",
    [
        Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/start", &[DEBUG, SKIPLOCK], POWER, start),
        Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/stop", &[STOP, SKIPLOCK], POWER, stop),
        Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/shutdown", &[SHUTDOWN], POWER, shutdown),
        Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/status/reboot", &[TIMEOUT], POWER, reboot),
        Endpoint::new(Put, "/nodes/{node}/lxc/{vmid}/resize", &[RESIZE_LXC], DISK, resize),
        Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/template", &[], ALLOCATE, template),
        Endpoint::new(Get, "/nodes/{node}/lxc/{vmid}/interfaces", &[], READ, interfaces),
    ]
);

/// A number as PVE stores it (`02` becomes `2`); every other value as it is.
#[must_use]
pub fn number(kind: GuestKind, key: &str, value: &str) -> String {
    match config::table(kind).iter().find(|p| p.is(key)).map(|p| p.kind) {
        Some(Kind::Int { .. }) => value.parse::<i64>().map_or_else(|_| value.to_owned(), |n| n.to_string()),
        _ => value.to_owned(),
    }
}

/// When pvestatd will have been round: lists know no more than the id until then.
#[must_use]
pub fn next_report(world: &World) -> i64 {
    let round = 10_000 * i64::from(world.pace) / 100;
    if round == 0 { world.now_ms } else { world.now_ms - world.now_ms.rem_euclid(round) + round }
}

/// Whether the caller may make this guest: by its id, or by its pool.
///
/// # Errors
/// 403 without a path in it, as PVE says it here.
pub fn may_create(call: &Call<'_>, vmid: u32, pool: Option<&str>) -> Result<(), Refusal> {
    if let Some(pool) = pool {
        if !call.world.pools.contains_key(pool) {
            return Err(Refusal::denied(&format!("pool '{pool}' does not exist")));
        }
        if call.world.may(call.caller, &format!("/pool/{pool}"), &["VM.Allocate"]) {
            return Ok(());
        }
    }
    if call.world.may(call.caller, &format!("/vms/{vmid}"), &["VM.Allocate"]) {
        Ok(())
    } else {
        Err(Refusal::denied(""))
    }
}

/// Puts a new guest into its pool.
pub fn join_pool(world: &mut World, vmid: u32, pool: Option<&str>) {
    if let Some(pool) = pool.and_then(|pool| world.pools.get_mut(pool)) {
        pool.guests.insert(vmid);
    }
}

/// Whether the caller may attach guests to a bridge.
///
/// # Errors
/// 403 that names the bridge's path.
pub fn may_use_bridge(world: &World, caller: &Caller, bridge: &str) -> Result<(), Refusal> {
    super::need(world, caller, &format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])
}

/// Whether a device node is there: those of every Linux, and those of bound drivers.
#[must_use]
pub fn device_exists(world: &World, node: &str, path: &str) -> bool {
    let always =
        ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/net/tun", "/dev/kvm", "/dev/fuse", "/dev/zfs"];
    let Some(host) = world.nodes.get(node) else { return false };
    let driver = |name: &str| host.pci.values().any(|d| d.driver.as_deref() == Some(name));
    always.contains(&path)
        || host.files.contains_key(path)
        || (path.starts_with("/dev/nvidia") && driver("nvidia"))
        || (path.starts_with("/dev/dri/") && (driver("i915") || driver("amdgpu")))
}

fn list(call: &Call<'_>, kind: GuestKind) -> Answer {
    let node = call.node();
    let rows = call.world.guests.iter().filter(|(_, g)| g.kind == kind && g.node == node);
    let visible = rows.filter(|(vmid, _)| call.world.may(call.caller, &format!("/vms/{vmid}"), &["VM.Audit"]));
    Value::Array(visible.map(|(vmid, guest)| Value::Object(status::row(call.world, *vmid, guest))).collect()).into()
}

/// `GET /nodes/N/qemu`.
///
/// # Errors
/// None: what may not be seen is left out.
pub fn list_qemu(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(list(call, GuestKind::Qemu))
}

/// `GET /nodes/N/lxc`.
///
/// # Errors
/// None: what may not be seen is left out.
pub fn list_lxc(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(list(call, GuestKind::Lxc))
}

fn get_config(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let kind = call.kind();
    let guest = call.guest(kind)?;
    let mut row: Map<String, Value> = match call.values.get("snapshot") {
        Some(name) => {
            let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
            super::snapshots::section(kind, found)
        }
        None if call.values.flag("current") => config::object(kind, &guest.config),
        None => config::object(kind, &guest.wanted()),
    };
    row.insert("digest".into(), json!(config::digest(guest)));
    Ok(Value::Object(row).into())
}

fn pending(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    Ok(Value::Array(config::pending(guest)).into())
}

fn current(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(call.kind())?;
    Ok(status::current(call.world, call.vmid(), guest).into())
}

fn check_skiplock(call: &Call<'_>) -> Result<(), Refusal> {
    if call.values.flag("skiplock") && !call.caller.is_root_pam() {
        return Err(Refusal::param("skiplock", "Only root may use this option."));
    }
    Ok(())
}

fn start(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if kind == GuestKind::Lxc && guest.is_running() {
        return Err(format!("CT {vmid} already running").into());
    }
    let (task, real_ms) = if kind == GuestKind::Qemu { ("qmstart", 3000) } else { ("vzstart", 2000) };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Start { vmid }))
}

/// Containers refuse at once what makes no sense; VMs leave it to the worker.
fn need_running(call: &Call<'_>) -> Result<(), Refusal> {
    let guest = call.guest(call.kind())?;
    if guest.kind == GuestKind::Lxc && !guest.is_running() {
        return Err(format!("CT {} not running", call.vmid()).into());
    }
    Ok(())
}

fn stop(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    need_running(call)?;
    let vmid = call.vmid();
    let task = if call.kind() == GuestKind::Qemu { "qmstop" } else { "vzstop" };
    Ok(call.spawn(task, &vmid.to_string(), 1000, Work::Stop { vmid }))
}

/// How long a system inside needs to go down, in milliseconds; the whole time limit if it does not hear.
fn down_ms(call: &Call<'_>, guest: &Guest) -> i64 {
    let limit = call.values.int("timeout").unwrap_or(60).saturating_mul(1000);
    if guest.kind == GuestKind::Lxc || guest.has_booted(call.world.now_ms) { 4000.min(limit) } else { limit }
}

fn shutdown(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    need_running(call)?;
    let (vmid, force) = (call.vmid(), call.values.flag("forceStop"));
    let guest = call.guest(call.kind())?;
    let real_ms = if guest.is_running() { down_ms(call, guest) } else { 500 };
    let task = if call.kind() == GuestKind::Qemu { "qmshutdown" } else { "vzshutdown" };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Shutdown { vmid, force }))
}

fn reboot(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let vmid = call.vmid();
    let guest = call.guest(call.kind())?;
    if !guest.is_running() {
        return Err(format!("{} {vmid} not running", guest.kind.noun()).into());
    }
    let real_ms = down_ms(call, guest) + 3000;
    let task = if call.kind() == GuestKind::Qemu { "qmreboot" } else { "vzreboot" };
    Ok(call.spawn(task, &vmid.to_string(), real_ms, Work::Reboot { vmid }))
}

fn reset(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let vmid = call.vmid();
    if !call.guest(GuestKind::Qemu)?.is_running() {
        return Err(format!("VM {vmid} not running").into());
    }
    Ok(call.spawn("qmreset", &vmid.to_string(), 500, Work::Reset { vmid }))
}

fn resize(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let (disk, size) = (call.values.text("disk").to_owned(), call.values.text("size").to_owned());
    let guest = call.guest(kind)?;
    if call.values.get("digest").is_some_and(|digest| digest != config::digest(guest)) {
        return Err(match kind {
            GuestKind::Qemu => "checksum mismatch (file change by other user?)".into(),
            GuestKind::Lxc => "detected modified configuration - file changed by other user? Try again.".into(),
        });
    }
    if let Some(lock) = guest.lock() {
        return Err(format!("{} is locked ({lock})", kind.noun()).into());
    }
    if kind == GuestKind::Lxc {
        // Containers are looked at before the worker starts, VMs within it.
        let Some(value) = guest.config.get(&disk) else {
            return Err(format!("No volume '{disk}' found").into());
        };
        let volid = disks::normal(value, "volume").get("").unwrap_or_default().to_owned();
        let Some(old) = call.world.volume(&guest.node, &volid) else {
            return Err(format!("can't resize mount point owned by another container ({volid})").into());
        };
        if disks::resized(old.size, &size).is_none_or(|new| new < old.size) {
            return Err("unable to shrink disk size".into());
        }
    }
    Ok(call.spawn("resize", &vmid.to_string(), 1500, Work::Resize { vmid, disk, size }))
}

fn template(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if let Some(lock) = guest.lock() {
        return Err(format!("{} is locked ({lock})", kind.noun()).into());
    }
    if guest.number("template", 0) == 1 {
        return Err("you can't convert a template to a template".into());
    }
    if !guest.snapshots.is_empty() {
        let (what, it) = if kind == GuestKind::Qemu { ("VM", "VM") } else { ("CT", "CT") };
        return Err(format!("unable to create template, because {what} contains snapshots").replace("VM", it).into());
    }
    if guest.is_running() {
        return Err(format!("you can't convert a {} to template if {} is running", kind.noun(), kind.noun()).into());
    }
    let task = if kind == GuestKind::Qemu { "qmtemplate" } else { "vztemplate" };
    let answer = call.spawn(task, &vmid.to_string(), 1000, Work::Template { vmid });
    // For a container the schema says null, and null it is: the worker runs all the same (9.2.11).
    Ok(if kind == GuestKind::Qemu { answer } else { ().into() })
}

/// `DELETE` of a guest.
///
/// # Errors
/// PVE's text when it is protected or runs; a VM's lock is found by the worker, a container's at once.
pub fn destroy(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if guest.number("protection", 0) == 1 {
        return Err(match kind {
            GuestKind::Qemu => format!("can't remove VM {vmid} - protection mode enabled").into(),
            GuestKind::Lxc => format!("can't remove CT {vmid} - protection mode enabled").into(),
        });
    }
    let force = call.values.flag("force");
    if kind == GuestKind::Lxc
        && let Some(lock) = guest.lock().filter(|lock| *lock != "destroyed" && !force)
    {
        return Err(format!("CT is locked ({lock})").into());
    }
    if guest.is_running() && kind == GuestKind::Qemu {
        return Err(format!("VM {vmid} is running - destroy failed").into());
    }
    if guest.is_running() && !force {
        return Err(format!("unable to destroy CT {vmid} - container is running").into());
    }
    let task = if kind == GuestKind::Qemu { "qmdestroy" } else { "vzdestroy" };
    let work = Work::Destroy { vmid, purge: call.values.flag("purge"), force };
    Ok(call.spawn(task, &vmid.to_string(), 1500, work))
}

fn agent<'a>(call: &'a Call<'_>) -> Result<&'a Guest, Refusal> {
    let vmid = call.vmid();
    let guest = call.guest(GuestKind::Qemu)?;
    if !guest.is_running() {
        return Err(format!("VM {vmid} is not running").into());
    }
    if !status::agent_enabled(guest) {
        return Err("No QEMU guest agent configured".into());
    }
    if !guest.has_booted(call.world.now_ms) {
        return Err("QEMU guest agent is not running".into());
    }
    Ok(guest)
}

fn agent_ping(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    agent(call)?;
    Ok(json!({"result": {}}).into())
}

/// Addresses that a guest's NIC has: the static one of its configuration.
#[must_use]
pub fn addresses(guest: &Guest, index: u32) -> Vec<String> {
    let key = if guest.kind == GuestKind::Qemu { format!("ipconfig{index}") } else { format!("net{index}") };
    let fields = Properties::parse(guest.config.get(&key).map_or("", String::as_str));
    ["ip", "ip6"].iter().filter_map(|k| fields.get(k)).filter(|a| a.contains('/')).map(str::to_owned).collect()
}

fn mac(guest: &Guest, index: u32) -> Option<String> {
    let fields = Properties::parse(guest.config.get(&format!("net{index}"))?);
    let model = fields.0.iter().find(|(key, _)| super::formats::NIC_MODELS.contains(&key.as_str()));
    Some(
        fields
            .get("hwaddr")
            .map_or_else(|| model.map(|(_, m)| m.clone()).unwrap_or_default(), str::to_owned)
            .to_ascii_lowercase(),
    )
}

fn agent_interfaces(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = agent(call)?;
    let mut rows = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}],
    })];
    for index in 0..32 {
        let Some(mac) = mac(guest, index) else { continue };
        let addresses: Vec<Value> = addresses(guest, index)
            .iter()
            .filter_map(|a| a.split_once('/'))
            .map(|(ip, prefix)| {
                let kind = if ip.contains(':') { "ipv6" } else { "ipv4" };
                json!({"ip-address": ip, "ip-address-type": kind, "prefix": prefix.parse::<u8>().unwrap_or(0)})
            })
            .collect();
        rows.push(json!({"name": format!("eth{index}"), "hardware-address": mac, "ip-addresses": addresses}));
    }
    Ok(json!({"result": rows}).into())
}

fn interfaces(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(GuestKind::Lxc)?;
    if !guest.is_running() {
        return Err("container not running".into());
    }
    let zero = "00:00:00:00:00:00";
    let mut rows = vec![json!({"name": "lo", "hwaddr": zero, "hardware-address": zero, "ip-addresses": []})];
    for index in 0..32 {
        let Some(mac) = mac(guest, index) else { continue };
        let name = Properties::parse(&guest.config[&format!("net{index}")]).get("name").unwrap_or("eth0").to_owned();
        let mut list = Vec::new();
        let mut row = json!({"name": name, "hwaddr": mac, "hardware-address": mac});
        for address in addresses(guest, index) {
            let (ip, prefix) = address.split_once('/').unwrap_or((&address, "0"));
            let (short, long) = if ip.contains(':') { ("inet6", "ipv6") } else { ("inet", "ipv4") };
            row[short] = json!(address);
            list.push(json!({"ip-address": ip, "ip-address-type": long, "prefix": prefix}));
        }
        row["ip-addresses"] = Value::Array(list);
        rows.push(row);
    }
    Ok(Value::Array(rows).into())
}
