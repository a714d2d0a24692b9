//! What is around a host is wrong: bridges, clock, certificates, cluster, storages, token, other machines.

use super::{Defect, here, put};
use crate::lab::world::{File, Guest, GuestKind, Node, StorageKind, Stranger, World};

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect { name: "bridge-gone", row: "issue bridge", what: "the bridge has another name", apply: bridge_gone },
    Defect { name: "bridge-off", row: "issue bridge", what: "the bridge is not switched on", apply: bridge_off },
    Defect {
        name: "mtu-mismatch",
        row: "issue MTU",
        what: "the bridge lets through more than its card",
        apply: mtu_mismatch,
    },
    Defect { name: "mtu-small", row: "issue MTU", what: "packets of 1450 bytes, as over a tunnel", apply: mtu_small },
    Defect { name: "clock-ahead", row: "issue clock", what: "the clock is half a minute ahead", apply: clock_ahead },
    Defect { name: "clock-behind", row: "issue clock", what: "the clock is ten minutes behind", apply: clock_behind },
    Defect {
        name: "no-time-service",
        row: "issue clock",
        what: "no time service is switched on",
        apply: no_time_service,
    },
    Defect {
        name: "time-unset",
        row: "issue clock",
        what: "the time service has not set the clock",
        apply: time_unset,
    },
    Defect {
        name: "certificate-last-days",
        row: "issue certificate",
        what: "Proxmox renews the certificate tomorrow",
        apply: certificate_last_days,
    },
    Defect {
        name: "certificate-long",
        row: "issue certificate",
        what: "a certificate for ten years, which Proxmox shortens tomorrow",
        apply: certificate_long,
    },
    Defect {
        name: "certificate-expired",
        row: "issue certificate",
        what: "the certificate has expired",
        apply: certificate_expired,
    },
    Defect {
        name: "certificate-custom",
        row: "issue certificate",
        what: "a certificate of somebody's own was put there and is not served yet",
        apply: certificate_custom,
    },
    Defect {
        name: "no-quorum",
        row: "issue quorum",
        what: "the other node of the cluster is off, and the cluster cannot write",
        apply: no_quorum,
    },
    Defect { name: "node-off", row: "issue quorum", what: "one of three nodes is off", apply: node_off },
    Defect {
        name: "local-as-installed",
        row: "issue storage",
        what: "`local` takes neither cloud images nor snippets",
        apply: local_as_installed,
    },
    Defect {
        name: "storage-thin-full",
        row: "issue storage",
        what: "the thin pool has 170 GiB left",
        apply: storage_thin_full,
    },
    Defect {
        name: "storage-thick-full",
        row: "issue storage",
        what: "170 GiB left, and volumes take their size at once",
        apply: storage_thick_full,
    },
    Defect { name: "token-poor", row: "issue token", what: "the token may not start guests", apply: token_poor },
    Defect {
        name: "address-stranger",
        row: "issue address",
        what: "a machine that nobody knows answers at a guest's address",
        apply: address_stranger,
    },
    Defect {
        name: "address-stranger-silent",
        row: "issue address",
        what: "one that drops `ping` and answers ARP",
        apply: address_stranger_silent,
    },
    Defect {
        name: "address-remembered",
        row: "issue address",
        what: "one that was there a while ago",
        apply: address_remembered,
    },
    Defect {
        name: "address-configured",
        row: "issue address",
        what: "another guest has a guest's address in its configuration",
        apply: address_configured,
    },
    Defect { name: "no-ping", row: "issue address", what: "`ping` is not installed", apply: no_ping },
    Defect {
        name: "subuid-missing",
        row: "docker-in-lxc 16",
        what: "root may give no user ids to containers",
        apply: subuid_missing,
    },
];

fn bridge_gone(world: &mut World, node: &str) {
    let networks = &mut here(world, node).networks;
    for name in ["vmbr0", "vmbr0:1"] {
        if let Some(network) = networks.remove(name) {
            networks.insert(name.replace("vmbr0", "vmbr1"), network);
        }
    }
}

fn bridge_off(world: &mut World, node: &str) {
    if let Some(bridge) = here(world, node).networks.get_mut("vmbr0") {
        bridge.autostart = false;
    }
}

fn mtu(world: &mut World, node: &str, name: &str, mtu: &str) {
    if let Some(network) = here(world, node).networks.get_mut(name) {
        network.options.insert("mtu".to_owned(), mtu.to_owned());
    }
}

fn mtu_mismatch(world: &mut World, node: &str) {
    mtu(world, node, "vmbr0", "9000");
}

fn mtu_small(world: &mut World, node: &str) {
    mtu(world, node, "vmbr0", "1450");
    mtu(world, node, "enp5s0", "1450");
}

fn clock_ahead(world: &mut World, node: &str) {
    here(world, node).around.clock_ahead_ms = 30_000;
}

fn clock_behind(world: &mut World, node: &str) {
    here(world, node).around.clock_ahead_ms = -600_000;
}

fn no_time_service(world: &mut World, node: &str) {
    here(world, node).around.time_service_off = true;
}

fn time_unset(world: &mut World, node: &str) {
    here(world, node).around.time_unset = true;
}

/// A certificate that holds for so many days from now on, and whose digest is this.
fn certificate(world: &mut World, node: &str, file: &str, days: i64, digest: &str) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let at = |ms: i64| {
        let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        at.strftime("%b %e %H:%M:%S %Y GMT").to_string()
    };
    let now_ms = world.now_ms;
    let text = format!(
        "notBefore={}\nnotAfter={}\nsha256 Fingerprint={digest}\n",
        at(now_ms - 400 * DAY_MS),
        at(now_ms + days * DAY_MS + 60_000)
    );
    // What is below /etc/pve stands on the first node, whoever put it there.
    let first = world.nodes.keys().next().cloned().unwrap_or_default();
    put(here(world, &first), &format!("/etc/pve/nodes/{node}/{file}"), &text);
}

fn own(world: &mut World, node: &str, days: i64) {
    let served = here(world, node).fingerprint.clone();
    let served = if served.is_empty() { ["00"; 32].join(":") } else { served };
    certificate(world, node, "pve-ssl.pem", days, &served);
}

fn certificate_last_days(world: &mut World, node: &str) {
    own(world, node, 9);
}

fn certificate_long(world: &mut World, node: &str) {
    own(world, node, 3650);
}

fn certificate_expired(world: &mut World, node: &str) {
    own(world, node, -3);
}

fn certificate_custom(world: &mut World, node: &str) {
    certificate(world, node, "pveproxy-ssl.pem", 90, &["AB"; 32].join(":"));
}

/// A further node of the cluster.
fn join(world: &mut World, name: &str, online: bool) {
    world.cluster.get_or_insert_with(|| "cluster".to_owned());
    let node = Node { address: "192.168.10.9".to_owned(), online, cpus: 4, memory: 16 << 30, ..Node::default() };
    world.nodes.insert(name.to_owned(), node);
}

fn no_quorum(world: &mut World, _: &str) {
    join(world, "zz1", false);
    world.without_quorum = true;
}

fn node_off(world: &mut World, _: &str) {
    join(world, "zz1", false);
    join(world, "zz2", true);
}

fn local_as_installed(world: &mut World, _: &str) {
    if let Some(local) = world.storages.get_mut("local") {
        local.content.retain(|content| !matches!(content.as_str(), "import" | "snippets"));
    }
}

fn nearly_full(world: &mut World, node: &str, thin: bool) {
    // 170 of 600 GiB: more than half full and far from trouble, were it not for what shall come.
    let zfs = &mut here(world, node).zfs;
    if let (Some(pool), Some(data)) = (zfs.pools.get_mut("rpool"), zfs.datasets.get_mut("rpool/data")) {
        pool.size = 600 << 30;
        data.used = 430 << 30;
    }
    if let Some(StorageKind::ZfsPool { sparse, .. }) =
        world.storages.get_mut("local-zfs").map(|storage| &mut storage.kind)
    {
        *sparse = thin;
    }
}

fn storage_thin_full(world: &mut World, node: &str) {
    nearly_full(world, node, true);
}

fn storage_thick_full(world: &mut World, node: &str) {
    nearly_full(world, node, false);
}

fn token_poor(world: &mut World, _: &str) {
    for privileges in world.access.roles.values_mut() {
        privileges.remove("VM.PowerMgmt");
    }
}

fn stranger(world: &mut World, node: &str, silent: bool, gone: bool) {
    let stranger = Stranger { mac: "de:ad:be:ef:00:01".to_owned(), silent, gone };
    here(world, node).around.strangers.insert("10.0.0.123".to_owned(), stranger);
}

fn address_stranger(world: &mut World, node: &str) {
    stranger(world, node, false, false);
}

fn address_stranger_silent(world: &mut World, node: &str) {
    stranger(world, node, true, false);
}

fn address_remembered(world: &mut World, node: &str) {
    stranger(world, node, true, true);
}

fn address_configured(world: &mut World, node: &str) {
    let config = [("name", "other"), ("memory", "512"), ("ipconfig0", "gw=10.0.0.1,ip=10.0.0.123/24")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    world.guests.insert(900, Guest::new(GuestKind::Qemu, node, config));
}

fn no_ping(world: &mut World, node: &str) {
    here(world, node).around.removed_programs.push("ping".to_owned());
}

fn subuid_missing(world: &mut World, node: &str) {
    let file = File { content: b"somebody:100000:65536\n".to_vec(), mode: 0o644, ..File::default() };
    here(world, node).files.insert("/etc/subuid".to_owned(), file);
}
