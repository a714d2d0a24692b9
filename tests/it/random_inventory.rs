//! Inventories at random, and changed at random: what convergence is tried on.

use proptest::prelude::*;
use serde_json::{Value, json};

/// One guest at random.
#[derive(Debug, Clone)]
pub struct RandomGuest {
    pub vm: bool,
    pub cores: u32,
    pub memory_mib: u32,
    pub disk_gib: u32,
    pub running: bool,
    pub onboot: bool,
    pub order: Option<u32>,
    pub tags: Vec<String>,
    pub notes: String,
    pub nesting: bool,
    pub keyctl: bool,
    pub swap_mib: u32,
    pub tun: bool,
    pub datasets: Vec<(Option<u32>, Option<&'static str>, bool)>,
    pub inbound: &'static str,
    pub outbound: &'static str,
    pub ports: Vec<u16>,
    pub grouped: bool,
    pub gpu: bool,
    pub flows: RandomFlows,
}

/// Who may talk to a guest, and to whom it may, at random.
#[derive(Debug, Clone)]
pub struct RandomFlows {
    /// Services that it has, out of `SERVICES`.
    pub services: Vec<usize>,
    /// Services that it uses, out of those of all guests; some are nobody's and left out.
    pub uses: Vec<usize>,
    /// Who its web interface is exposed to, if it has one, out of `VIEWERS`.
    pub viewers: Vec<usize>,
    /// What it may reach outside, out of `INTERNET`.
    pub internet: usize,
}

/// Services with ports for guests, those of people first.
// None that runs in Docker: what a random guest has may be too little for it.
pub const SERVICES: [&str; 4] = ["bind", "ssh", "node-exporter", "traefik"];
const VIEWERS: [&str; 4] = ["192.168.10.0/24", "10.0.0.0/24", "internet", "2001:db8::/32"];
const INTERNET: usize = 4;

fn internet(which: usize) -> Value {
    match which {
        0 => json!(true),
        1 => json!(false),
        2 => json!(["203.0.113.0/24", { "to": "192.168.20.5", "protocol": "udp", "ports": [53, "5000:5010"] }]),
        _ => json!([{ "to": "internet", "protocol": "tcp", "ports": 443 }]),
    }
}

/// One with something of everything, where chance has no say.
pub fn usual(vm: bool) -> RandomGuest {
    RandomGuest {
        vm,
        cores: 2,
        memory_mib: 4096,
        disk_gib: 20,
        running: true,
        onboot: true,
        order: Some(1),
        tags: vec!["one".into()],
        notes: "notes".into(),
        nesting: true,
        keyctl: true,
        swap_mib: 512,
        tun: true,
        datasets: vec![(Some(2), Some("zstd"), false)],
        inbound: "drop",
        outbound: "accept",
        ports: vec![22, 443],
        grouped: true,
        gpu: vm,
        flows: RandomFlows { services: vec![0, 2], uses: Vec::new(), viewers: vec![0, 2], internet: 0 },
    }
}

/// Notes with all that an option string, a form or a file could stumble over.
fn notes() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("one line".to_owned()),
        Just("two\nlines: ünïcode #hash, a=b;c 100% \"quoted\" 'single' \\ back".to_owned()),
        "[a-zA-Z0-9 %&+,;=#:äß€-]{0,40}".prop_map(|text| text.trim().to_owned()),
    ]
}

pub fn guest() -> impl Strategy<Value = RandomGuest> {
    let shape = (any::<bool>(), 1..5u32, 0..4u32, 0..3u32, prop::bool::weighted(0.8), any::<bool>());
    let words = (prop::option::of(1..9u32), prop::collection::vec("[a-z][a-z0-9-]{0,6}", 0..3), notes());
    let dataset =
        (prop::option::of(1..4u32), prop::option::of(prop::sample::select(vec!["lz4", "zstd", "off"])), any::<bool>());
    let container = (any::<bool>(), any::<bool>(), 0..3u32, any::<bool>(), prop::collection::vec(dataset, 0..3));
    let verdict = || prop::sample::select(vec!["accept", "drop", "reject"]);
    let firewall = (verdict(), verdict(), prop::collection::vec(1..65535u16, 0..4), any::<bool>(), any::<bool>());
    let some = |of: usize| prop::collection::btree_set(0..of, 0..3).prop_map(|set| set.into_iter().collect());
    let flows = (some(SERVICES.len()), some(5 * SERVICES.len()), some(VIEWERS.len()), 0..INTERNET)
        .prop_map(|(services, uses, viewers, internet)| RandomFlows { services, uses, viewers, internet });
    (shape, words, container, firewall, flows).prop_map(
        |(
            (vm, cores, memory, disk, running, onboot),
            (order, tags, notes),
            (nesting, keyctl, swap, tun, datasets),
            (inbound, outbound, ports, grouped, gpu),
            flows,
        )| RandomGuest {
            vm,
            cores,
            memory_mib: 2048 + 1024 * memory,
            disk_gib: 8 + 4 * disk,
            running,
            onboot,
            order,
            tags,
            notes,
            nesting,
            keyctl,
            swap_mib: 512 * swap,
            tun,
            datasets,
            inbound,
            outbound,
            ports,
            grouped,
            gpu,
            flows,
        },
    )
}

/// Guests of one inventory.
pub fn guests() -> impl Strategy<Value = Vec<RandomGuest>> {
    prop::collection::vec(guest(), 1..5)
}

/// The same guests with everything else at random, as far as it can be changed in place: the kind
/// stays, disks only grow.
pub fn changed(before: &[RandomGuest]) -> impl Strategy<Value = Vec<RandomGuest>> + use<> {
    let before = before.to_vec();
    prop::collection::vec(guest(), before.len()).prop_map(move |mut after| {
        for (new, old) in after.iter_mut().zip(&before) {
            new.vm = old.vm;
            new.gpu = old.gpu;
            new.disk_gib += old.disk_gib;
        }
        after
    })
}

/// The inventory as YAML (JSON is YAML).
pub fn inventory(guests: &[RandomGuest]) -> String {
    let mut entries = serde_json::Map::new();
    let mut gpu_free = true;
    for (index, guest) in guests.iter().enumerate() {
        let mut rules: Vec<Value> = Vec::new();
        for (nth, port) in guest.ports.iter().enumerate() {
            rules.push(json!({
                "action": if nth % 2 == 0 { "accept" } else { "drop" },
                "direction": if nth % 3 == 2 { "out" } else { "in" },
                "source": if nth % 3 == 2 { Value::Null } else { json!(format!("10.0.0.{}", 100 + nth)) },
                "protocol": "tcp",
                "ports": port,
                "comment": format!("rule {nth}"),
            }));
            if let Some(rule) = rules.last_mut().and_then(Value::as_object_mut) {
                rule.retain(|_, value| !value.is_null());
            }
        }
        let mut firewall = json!({ "in": guest.inbound, "out": guest.outbound, "rules": rules });
        if guest.grouped {
            firewall["groups"] = json!(["apart"]);
        }
        let mut entry = json!({
            "kind": if guest.vm { "vm" } else { "container" },
            "image": if guest.vm { "ubuntu" } else { "debian" },
            "host": "hq",
            "vmid": 200 + index,
            "address": format!("10.0.0.{}", 20 + index),
            "cores": guest.cores,
            "memory": format!("{}MiB", guest.memory_mib),
            "disk": format!("{}GiB", guest.disk_gib),
            "state": if guest.running { "running" } else { "stopped" },
            "onboot": guest.onboot,
            "tags": guest.tags,
            "notes": guest.notes,
            "firewall": firewall,
            "services": guest.flows.services.iter().map(|of| SERVICES[*of]).collect::<Vec<_>>(),
            "internet": internet(guest.flows.internet),
        });
        let uses = guest.flows.uses.iter().filter_map(|of| {
            let (other, service) = (of / SERVICES.len(), of % SERVICES.len());
            let has = other != index && guests.get(other)?.flows.services.contains(&service);
            has.then(|| format!("g{other}/{}", SERVICES[service]))
        });
        entry["uses"] = json!(uses.collect::<Vec<_>>());
        let viewers: Vec<&str> = guest.flows.viewers.iter().map(|of| VIEWERS[*of]).collect();
        if let Some(service) = guest.flows.services.first().filter(|of| **of < 2 && !viewers.is_empty()) {
            entry["exposes"] = json!({ SERVICES[*service]: viewers });
        }
        if let Some(order) = guest.order {
            entry["startup"] = json!({ "order": order });
        }
        if guest.vm {
            if guest.gpu && gpu_free {
                gpu_free = false;
                entry["gpus"] = json!(["rtx4090"]);
            }
        } else {
            entry["nesting"] = json!(guest.nesting);
            entry["keyctl"] = json!(guest.keyctl);
            entry["swap"] = json!(format!("{}MiB", guest.swap_mib));
            if guest.tun {
                entry["devices"] = json!([{ "path": "/dev/net/tun", "mode": "0666" }]);
            }
            let datasets: Vec<Value> = guest
                .datasets
                .iter()
                .enumerate()
                .map(|(nth, (quota, compression, read_only))| {
                    let mut dataset =
                        json!({ "name": format!("d{index}-{nth}"), "mount": format!("/data{nth}"), "read_only": read_only });
                    if let Some(quota) = quota {
                        dataset["quota"] = json!(format!("{quota}GiB"));
                    }
                    if let Some(compression) = compression {
                        dataset["compression"] = json!(compression);
                    }
                    dataset
                })
                .collect();
            entry["datasets"] = json!(datasets);
        }
        entries.insert(format!("g{index}"), entry);
    }
    let group =
        json!({ "comment": "apart", "rules": [{ "direction": "in", "action": "drop", "source": "10.0.0.0/24" }] });
    json!({
        "schema": 1,
        "name": "random",
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"],
        "hosts": { "hq": {
            "address": "192.0.2.2",
            "node": "pve1",
            "api": {
                "token_id": "infra@pve!lab",
                "token": "secret:hq",
                "fingerprint": (["00"; 32].join(":")),
            },
            "ssh": { "user": "root" },
            "storage": { "guests": "local-zfs", "files": "local", "datasets": "rpool/containers" },
            "network": { "bridge": "vmbr0", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1" },
            "gpus": { "rtx4090": { "id": "10de:2684" } },
        } },
        "images": {
            "ubuntu": {
                "url": "https://example.com/u-1.img",
                "sha256": "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579",
                "file": "u-1.qcow2",
            },
            "debian": { "template": "debian-12-standard_12.12-1_amd64.tar.zst" },
        },
        "firewall": { "groups": { "apart": group } },
        "guests": entries,
    })
    .to_string()
}
