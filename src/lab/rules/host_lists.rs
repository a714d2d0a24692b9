//! What a node tells about itself beside its settings: services, disks, subscription, traffic, history.

use serde_json::{Value, json};

use super::super::world::{Version, ZfsSupport};
use super::endpoint::Access::{All, Every};
use super::param::{Kind, Param, optional as o, required, since_9, until_8};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const DISKS: &[Param] = &[
    o("include-partitions", Kind::Bool),
    o("skipsmart", Kind::Bool),
    o("type", Kind::Enum(&["unused", "journal_disks"])),
];
const FRAMES_8: &[&str] = &["hour", "day", "week", "month", "year"];
const FRAMES_9: &[&str] = &["hour", "day", "week", "month", "year", "decade"];
const RRD: &[Param] = &[
    o("cf", Kind::Enum(&["AVERAGE", "MAX"])),
    Param { required: true, ..until_8("timeframe", Kind::Enum(FRAMES_8)) },
    Param { required: true, ..since_9("timeframe", Kind::Enum(FRAMES_9)) },
];
const RRD_STORAGE: &[Param] = &[o("cf", Kind::Enum(&["AVERAGE", "MAX"])), required("timeframe", Kind::Enum(FRAMES_8))];
const AUDIT: super::Access = Every("/nodes/{node}", &["Sys.Audit"]);
const AUDIT_ALL: super::Access = Every("/", &["Sys.Audit"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/services", &[], AUDIT, services),
    Endpoint::new(Get, "/nodes/{node}/subscription", &[], All, subscription),
    Endpoint::new(Get, "/nodes/{node}/netstat", &[], AUDIT, netstat),
    Endpoint::new(Get, "/nodes/{node}/rrddata", &[RRD], AUDIT, history),
    Endpoint::new(
        Get,
        "/nodes/{node}/storage/{storage}/rrddata",
        &[RRD_STORAGE],
        super::Access::Any("/storage/{storage}", &["Datastore.Audit", "Datastore.AllocateSpace"]),
        history,
    ),
    Endpoint::new(Get, "/nodes/{node}/certificates/info", &[], All, certificates),
    Endpoint::new(Get, "/nodes/{node}/disks/list", &[DISKS], All, disks),
    Endpoint::new(Get, "/nodes/{node}/disks/zfs", &[], AUDIT_ALL, pools),
    Endpoint::new(Get, "/nodes/{node}/disks/lvmthin", &[], AUDIT_ALL, thin_pools),
    Endpoint::new(Get, "/nodes/{node}/apt/update", &[], Every("/nodes/{node}", &["Sys.Modify"]), updates),
    Endpoint::new(Get, "/nodes/{node}/replication", &[GUEST], All, nothing),
];
const GUEST: &[Param] = &[o("guest", Kind::Vmid)];

/// Services that PVE asks systemd for, installed or not.
const SERVICES: &[&str] = &[
    "chrony",
    "corosync",
    "cron",
    "ksmtuned",
    "lxcfs",
    "postfix",
    "proxmox-firewall",
    "pve-cluster",
    "pve-firewall",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "spiceproxy",
    "sshd",
    "syslog",
    "systemd-journald",
    "systemd-timesyncd",
];

fn services(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let known = &call.world.nodes[call.var("node")].system.services;
    let rows = SERVICES.iter().map(|name| {
        let found = known.get(*name);
        let running = found.is_some_and(|s| s.running);
        json!({
            "service": name, "name": name,
            "desc": found.map_or_else(|| format!("{name}.service"), |s| s.description.clone()),
            "state": if running { "running" } else { "dead" },
            "active-state": if running { "active" } else { "inactive" },
            "unit-state": found.map_or("not-found", |s| s.unit_state.as_str()),
        })
    });
    Ok(Value::Array(rows.collect()).into())
}

fn subscription(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let server = super::super::world::conf::digest(call.var("node"))[..32].to_ascii_uppercase();
    let mut row = json!({
        "status": "notfound", "message": "There is no subscription key",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    });
    if call.world.may(call.caller, &format!("/nodes/{}", call.var("node")), &["Sys.Audit"]) {
        row["serverid"] = json!(server);
    }
    Ok(row.into())
}

fn netstat(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.var("node");
    let running = call.world.guests.iter().filter(|(_, g)| g.node == node && g.is_running());
    let rows = running.flat_map(|(vmid, guest)| {
        let nets = guest
            .config
            .keys()
            .filter(|k| super::super::world::property::indexed(k).is_some_and(|(stem, _)| stem == "net"));
        nets.map(move |net| json!({"vmid": vmid.to_string(), "dev": net, "in": "0", "out": "0"}))
    });
    Ok(Value::Array(rows.collect()).into())
}

/// Averages of what was: the times, and figures from when there was something to be measured.
fn history(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (step, count) = match call.values.text("timeframe") {
        "hour" => (60, 60),
        "day" => (60, 1440),
        "week" => (1800, 336),
        "month" => (1800, 1440),
        "year" => (21_600, 1460),
        _ => (604_800, 570),
    };
    let now = call.world.now() / step * step;
    let node = &call.world.nodes[call.var("node")];
    let storage = call.vars.get("storage").cloned();
    let rows = (0..count).rev().map(|back| {
        let time = now - back * step;
        if time * 1000 < node.booted_ms {
            return json!({"time": time});
        }
        match &storage {
            Some(id) => {
                let (total, free) = call.world.space(call.var("node"), id);
                json!({"time": time, "total": total, "used": total - free})
            }
            None => {
                let used = node.memory / 8;
                let mut row = json!({
                    "time": time, "cpu": 0.01, "maxcpu": node.cpus, "memtotal": node.memory, "memused": used,
                    "loadavg": 0.1, "roottotal": node.root_size, "rootused": node.root_used, "netin": 0, "netout": 0,
                    "iowait": 0, "swaptotal": 0, "swapused": 0,
                });
                // New with PVE 9.
                if call.world.version >= Version::V9_1 {
                    for kind in ["cpusome", "iosome", "iofull", "memorysome", "memoryfull"] {
                        row[format!("pressure{kind}")] = json!(0);
                    }
                    row["arcsize"] = json!(0);
                    row["memavailable"] = json!(node.memory - used);
                }
                row
            }
        }
    });
    Ok(Value::Array(rows.collect()).into())
}

fn certificates(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, host) = (call.var("node"), &call.world.nodes[call.var("node")]);
    let domain = host.system.search.as_deref().unwrap_or("localdomain");
    Ok(json!([{
        "filename": "pve-ssl.pem", "fingerprint": host.fingerprint, "subject": format!("/CN={node}.{domain}"),
        "issuer": format!("/CN={node}.{domain}"), "san": [host.address, node], "public-key-type": "id-ecPublicKey",
        "public-key-bits": 256,
    }])
    .into())
}

fn disks(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = format!("/nodes/{}", call.var("node"));
    if !call.world.may(call.caller, "/", &["Sys.Audit"]) && !call.world.may(call.caller, &node, &["Sys.Audit"]) {
        return Err(Refusal::denied(""));
    }
    // Disks are not modelled: pools and volume groups are there without any.
    Ok(json!([]).into())
}

fn pools(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let zfs = &call.world.nodes[call.var("node")].zfs;
    match zfs.support {
        ZfsSupport::NoTools => return Err("zfsutils-linux not installed".into()),
        ZfsSupport::NoModule => {
            let command = "/sbin/zpool list -HpPLo name,size,alloc,free,frag,dedup,health";
            return Err(format!("command '{command}' failed: exit code 1").into());
        }
        ZfsSupport::Ready => {}
    }
    let rows = zfs.pools.iter().map(|(name, pool)| {
        let alloc = zfs.used(name);
        json!({
            "name": name, "size": pool.size, "alloc": alloc, "free": pool.size.saturating_sub(alloc), "frag": 0,
            "dedup": 1, "health": pool.health,
        })
    });
    Ok(Value::Array(rows.collect()).into())
}

fn thin_pools(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, node) = (&*call.world, call.var("node"));
    let groups = &world.nodes[node].volume_groups;
    let rows = groups.iter().flat_map(|(vg, group)| {
        group.thin_pools.iter().map(move |(lv, size)| {
            let storage = world.storages.iter().find(|(_, s)| {
                matches!(&s.kind, super::super::world::StorageKind::LvmThin { vgname, thinpool } if vgname == vg && thinpool == lv)
            });
            let used = storage.map_or(0, |(id, _)| {
                let (total, free) = world.space(node, id);
                total - free
            });
            json!({"lv": lv, "vg": vg, "lv_size": size, "used": used, "metadata_size": 0, "metadata_used": 0})
        })
    });
    Ok(Value::Array(rows.collect()).into())
}

fn updates(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([]).into())
}

fn nothing(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([]).into())
}
