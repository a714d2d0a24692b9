//! How guests show in lists: one row, several views.

use serde_json::{Map, Value, json};

use crate::lab::world::property::{Properties, is_disk, truth};
use crate::lab::world::{Guest, GuestKind, World};
use crate::model::Size;

/// Bytes that Proxmox's own notation says.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    Size::from_pve(text).map(|s| s.as_bytes())
}

/// CPUs that a guest sees.
#[must_use]
pub fn cpus(world: &World, guest: &Guest) -> u64 {
    let host = u64::from(world.nodes.get(&guest.node).map_or(1, |n| n.cpus));
    match guest.kind {
        GuestKind::Qemu => {
            let all = guest.number("sockets", 1) * guest.number("cores", 1);
            guest.number("vcpus", all).min(host)
        }
        GuestKind::Lxc => guest.number("cores", host).min(host),
    }
}

/// Memory of a guest in bytes.
#[must_use]
pub fn memory(guest: &Guest) -> u64 {
    let mib = guest.config.get("memory").map(|m| m.trim_start_matches("current=")).and_then(|m| m.parse().ok());
    mib.unwrap_or(512) << 20
}

/// Size of the disk that a guest boots from, in bytes.
#[must_use]
pub fn boot_disk_size(guest: &Guest) -> u64 {
    let key = match guest.kind {
        GuestKind::Lxc => Some("rootfs".to_owned()),
        GuestKind::Qemu => {
            let order = guest.config.get("boot").and_then(|b| b.strip_prefix("order=")).unwrap_or_default();
            let disk = |key: &str| {
                is_disk(key)
                    && guest.config.get(key).is_some_and(|v| Properties::parse(v).get("media") != Some("cdrom"))
            };
            order.split(';').find(|key| disk(key)).map(str::to_owned)
        }
    };
    let size = key.and_then(|key| guest.config.get(&key).cloned());
    size.and_then(|v| bytes(Properties::parse(&v).get("size")?)).unwrap_or(0)
}

/// What `df` says of a container's root while it runs, of a stopped guest and of a VM the size of its disk, in bytes.
fn disk_size(world: &World, guest: &Guest) -> u64 {
    let size = boot_disk_size(guest);
    let root = guest.config.get("rootfs").and_then(|root| root.split(',').next()).unwrap_or_default();
    let image = guest.kind == GuestKind::Lxc && guest.is_running() && !world.is_filesystem(&guest.node, root);
    if image { ext4_size(size) } else { size }
}

/// What is left of an image for files when `mkfs.ext4` has made its tables and journal, in bytes.
fn ext4_size(size: u64) -> u64 {
    let blocks = size / 4096;
    let groups = blocks.div_ceil(32_768).max(1);
    let inodes = size / 16_384 * 256 / 4096;
    let journal = match blocks / 1024 {
        0..32 => 1024,
        32..256 => 4096,
        256..512 => 8192,
        512..4096 => 16_384,
        4096..8192 => 32_768,
        8192..16_384 => 65_536,
        16_384..32_768 => 131_072,
        _ => 262_144,
    };
    let power = |group: u64, base: u64| {
        let mut n = base;
        while n < group {
            n *= base;
        }
        n == group
    };
    let copies = (0..groups).filter(|g| *g < 2 || [3, 5, 7].iter().any(|base| power(*g, *base))).count() as u64;
    // Room to grow by a factor of 1024, one descriptor of 64 bytes per group.
    let descriptors = (groups * 64).div_ceil(4096);
    let reserved = ((blocks * 1024).div_ceil(32_768) * 64).div_ceil(4096).saturating_sub(descriptors).min(1024);
    let tables = copies * (1 + descriptors + reserved) + 2 * groups + inodes + journal;
    blocks.saturating_sub(tables) * 4096
}

fn uptime(world: &World, guest: &Guest) -> i64 {
    guest.run.as_ref().map_or(0, |run| (world.now_ms - run.started_ms) / 1000)
}

fn word(guest: &Guest) -> &'static str {
    if guest.is_running() { "running" } else { "stopped" }
}

/// When pvestatd will have been round: lists know no more than the id until then.
#[must_use]
pub fn next_report(world: &World) -> i64 {
    let round = 10_000 * i64::from(world.pace) / 100;
    if round == 0 { world.now_ms } else { world.now_ms - world.now_ms.rem_euclid(round) + round }
}

/// Whether the agent is switched on in the configuration.
#[must_use]
pub fn agent_enabled(guest: &Guest) -> bool {
    guest.config.get("agent").is_some_and(|agent| Properties::parse(agent).head("enabled").is_some_and(truth))
}

/// What `GET /cluster/resources` says of a guest.
#[must_use]
pub fn resource(world: &World, vmid: u32, guest: &Guest) -> Value {
    let kind = guest.kind.as_str();
    let mut row = Map::new();
    row.insert("id".into(), json!(format!("{kind}/{vmid}")));
    row.insert("type".into(), json!(kind));
    row.insert("vmid".into(), json!(vmid));
    row.insert("node".into(), json!(guest.node));
    if let Some(pool) = world.pool_of(vmid) {
        row.insert("pool".into(), json!(pool));
    }
    let online = world.nodes.get(&guest.node).is_some_and(|n| n.online);
    // pvestatd has not been round yet, or its node is away: PVE knows nothing but the id.
    if guest.reported_ms > world.now_ms || !online {
        row.insert("status".into(), json!("unknown"));
        return Value::Object(row);
    }
    let running = guest.is_running();
    row.extend(Map::from_iter([
        ("status".to_owned(), json!(word(guest))),
        ("name".to_owned(), json!(guest.name(vmid))),
        ("template".to_owned(), json!(guest.number("template", 0))),
        ("uptime".to_owned(), json!(uptime(world, guest))),
        ("cpu".to_owned(), json!(0)),
        ("maxcpu".to_owned(), json!(cpus(world, guest))),
        ("mem".to_owned(), json!(if running { memory(guest) / 4 } else { 0 })),
        ("maxmem".to_owned(), json!(memory(guest))),
        ("disk".to_owned(), json!(0)),
        ("maxdisk".to_owned(), json!(disk_size(world, guest))),
        ("diskread".to_owned(), json!(0)),
        ("diskwrite".to_owned(), json!(0)),
        ("netin".to_owned(), json!(0)),
        ("netout".to_owned(), json!(0)),
    ]));
    if world.version >= crate::lab::world::Version::V9_1 {
        row.insert("memhost".into(), json!(0));
    }
    for key in ["tags", "lock"] {
        if let Some(value) = guest.config.get(key) {
            row.insert(key.into(), json!(value));
        }
    }
    Value::Object(row)
}

/// What `GET /nodes/N/{qemu,lxc}` says of a guest.
#[must_use]
pub fn row(world: &World, vmid: u32, guest: &Guest) -> Map<String, Value> {
    let running = guest.is_running();
    let mut row = Map::from_iter([
        ("vmid".to_owned(), json!(vmid)),
        ("name".to_owned(), json!(guest.name(vmid))),
        ("status".to_owned(), json!(word(guest))),
        ("uptime".to_owned(), json!(uptime(world, guest))),
        ("cpu".to_owned(), json!(0)),
        ("cpus".to_owned(), json!(cpus(world, guest))),
        ("mem".to_owned(), json!(if running { memory(guest) / 4 } else { 0 })),
        ("maxmem".to_owned(), json!(memory(guest))),
        ("disk".to_owned(), json!(0)),
        ("maxdisk".to_owned(), json!(disk_size(world, guest))),
        ("netin".to_owned(), json!(0)),
        ("netout".to_owned(), json!(0)),
    ]);
    if let Some(run) = &guest.run {
        row.insert("pid".into(), json!(run.pid));
    }
    for key in ["tags", "lock"] {
        if let Some(value) = guest.config.get(key) {
            row.insert(key.into(), json!(value));
        }
    }
    if guest.number("template", 0) == 1 {
        row.insert("template".into(), json!(1));
    }
    match guest.kind {
        GuestKind::Qemu => {
            row.insert("memhost".into(), json!(0));
            if guest.config.contains_key("serial0") {
                row.insert("serial".into(), json!(1));
            }
        }
        GuestKind::Lxc => {
            row.insert("type".into(), json!("lxc"));
            row.insert("swap".into(), json!(0));
            row.insert("maxswap".into(), json!(guest.number("swap", 512) << 20));
            row.insert("diskread".into(), json!(0));
            row.insert("diskwrite".into(), json!(0));
        }
    }
    row
}

/// What `GET …/status/current` says of a guest.
#[must_use]
pub fn current(world: &World, vmid: u32, guest: &Guest) -> Value {
    let mut row = row(world, vmid, guest);
    row.insert("ha".into(), json!({"managed": 0}));
    if guest.kind == GuestKind::Qemu {
        row.insert("qmpstatus".into(), json!(if guest.is_paused() { "paused" } else { word(guest) }));
        row.insert("clipboard".into(), Value::Null);
        if agent_enabled(guest) {
            row.insert("agent".into(), json!(1));
        }
        if guest.is_running() {
            let mut nics = Map::new();
            for key in guest.config.keys().filter_map(|k| k.strip_prefix("net")).filter(|n| n.parse::<u32>().is_ok()) {
                nics.insert(format!("tap{vmid}i{key}"), json!({"netin": 0, "netout": 0}));
            }
            row.insert("nics".into(), Value::Object(nics));
        }
    }
    if guest.is_running() {
        for what in ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"] {
            // Containers report pressure as text, VMs as numbers (9.2.11).
            let value = if guest.kind == GuestKind::Lxc { json!("0.00") } else { json!(0) };
            row.insert(format!("pressure{what}"), value);
        }
    }
    Value::Object(row)
}

/// Refuses when a guest's configuration is locked.
///
/// # Errors
/// PVE's text with the lock's name.
pub fn locked(guest: &Guest) -> Result<(), String> {
    match guest.lock() {
        Some(lock) => Err(format!("{} is locked ({lock})", guest.kind.noun())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_less_room_than_its_image() {
        assert_eq!(ext4_size(1 << 30), 1_020_702_720);
        assert_eq!(ext4_size(2 << 30), 2_040_373_248);
    }
}
