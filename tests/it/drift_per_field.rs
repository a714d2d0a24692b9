//! For each kind of resource: everything is applied in the lab, then each field that the schema lists is changed
//! behind our back, one at a time. The plan must find the drift where we manage the field, name exactly that field,
//! and mend it; it must be silent where we do not.
//!
//! What is managed is one table, `drift_fields`; this holds it complete against the lab's endpoints and, where
//! they are present, against the API descriptions of Proxmox VE itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::exec::Ended;
use infra::lab::hardware;
use infra::lab::rules::{self, Kind};
use infra::lab::shell::programs;
use infra::lab::world::{Dataset, Network, Storage, StorageKind, World};
use infra::model::change::{Action, Change};
use infra::ports::Clock;
use serde_json::{Value, json};

use crate::contract;
use crate::drift_change::change;
use crate::drift_fields::{
    ALIAS, CT, DATASET, FIREWALL_OPTIONS, GROUP, IMAGE, IPSET, IPSET_ENTRY, MAPPING, NOT_STATE, POOL, RULE, Row,
    SNIPPET, VM,
};
use crate::rig::{Rig, blueprint};

fn inventory(state: &str) -> String {
    let rules = json!([
        { "direction": "in", "action": "accept", "source": "10.0.0.5", "protocol": "tcp", "ports": 22, "comment": "ssh" },
        { "direction": "in", "action": "drop", "source": "10.0.0.6", "protocol": "tcp", "ports": 80 },
        { "direction": "out", "action": "accept", "dest": "10.0.0.7", "protocol": "udp", "ports": 53 },
    ]);
    let common = json!({
        "host": "hq", "cores": 2, "memory": "2GiB", "disk": "8GiB", "state": state, "onboot": true, "protection": true,
        "startup": { "order": 3, "up": 5, "down": 60 }, "tags": ["one", "two"], "notes": "some\nnotes",
        "firewall": { "in": "drop", "out": "accept", "groups": ["apart"], "rules": rules },
    });
    let with = |more: Value| {
        let mut all = common.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    json!({
        "schema": 1,
        "name": "drift",
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"],
        "hosts": { "hq": {
            "address": "192.0.2.2", "node": "pve1",
            "api": { "token_id": "infra@pve!lab", "token": "secret:hq", "fingerprint": (["00"; 32].join(":")) },
            "ssh": { "user": "root" },
            "storage": { "guests": "local-zfs", "files": "local", "datasets": "rpool/containers" },
            "network": {
                "bridge": "vmbr0", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "vlan": 7,
                "dns": ["10.0.0.1", "192.0.2.53"], "domain": "drift.test",
            },
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
        "firewall": { "groups": { "apart": { "comment": "apart", "rules": rules } } },
        "guests": {
            "plan": with(json!({
                "kind": "vm", "image": "ubuntu", "vmid": 100, "address": "10.0.0.10", "gpus": ["rtx4090"],
                "packages": ["htop"], "cpu": "host",
            })),
            "proj": with(json!({
                "kind": "container", "image": "debian", "vmid": 104, "address": "10.0.0.20", "nesting": true,
                "keyctl": true, "swap": "1GiB", "limits": { "cpu": 1.5, "cpu_units": 200 },
                "devices": [{ "path": "/dev/net/tun", "mode": "0666" }],
                "datasets": [
                    { "name": "proj", "mount": "/workspace", "quota": "20GiB", "compression": "zstd", "recordsize": "1MiB", "uid": 1000, "gid": 1000 },
                    { "name": "shared", "mount": "/ro", "read_only": true },
                ],
            })),
        },
    })
    .to_string()
}

/// The address of what a row of a kind is about.
fn addr(kind: &str) -> &'static str {
    match kind {
        "vm" => "vm.plan",
        "ct" => "ct.proj",
        "vm firewall" | "vm rule" | "vm ipset entry" => "guest_firewall.plan",
        "ct firewall" | "ct rule" | "ct ipset entry" => "guest_firewall.proj",
        "alias" => "firewall_alias.hq:infra_drift_plan",
        "ipset" | "ipset entry" => "firewall_ipset.hq:infra_drift_guests",
        "group" | "group rule" => "firewall_group.hq:apart",
        "pool" => "pool.hq:drift",
        "mapping" => "pci_mapping.hq:rtx4090",
        "image" => "image.hq:ubuntu",
        "snippet" => "snippet.plan",
        _ => "dataset.hq:rpool/containers/proj",
    }
}

/// What the plan shows, as the table says it.
fn shown(changes: &[Change], about: &str) -> String {
    let mut all = BTreeSet::new();
    for change in changes {
        let own = change.addr.to_string() == about;
        let place = if own { String::new() } else { format!("{}:", change.addr) };
        if change.action == Action::Create {
            all.insert(format!("{place}@create{}", if change.drift { "" } else { " that is no drift" }));
            continue;
        }
        for field in &change.fields {
            // A rule and an entry are known by what they are: the table says which list is meant.
            let path = field.path.split('[').next().unwrap_or_default().trim_start_matches("ipfilter-net0.");
            all.insert(format!("{place}{path}{}", if field.drift { "" } else { " that is no drift" }));
        }
    }
    all.into_iter().collect::<Vec<_>>().join(" ")
}

struct Applied {
    rig: Rig,
    blueprint: Blueprint,
    world: World,
}

async fn applied(state: &str) -> Applied {
    let rig = Rig::new(0);
    rig.site
        .change(|world| {
            let bridge = Network { kind: "bridge".into(), autostart: true, ..Network::default() };
            let node = world.nodes.get_mut("pve1").unwrap();
            node.networks.insert("vmbr1".into(), bridge);
            node.zfs.datasets.insert("rpool/second".into(), Dataset { mounted: true, ..Dataset::default() });
            node.pci.extend(hardware::graphics_card("0000:07:00", ("10de", "1234"), "Another card", 22));
            let second = Storage {
                kind: StorageKind::ZfsPool { pool: "rpool/second".into(), sparse: true },
                content: ["images", "rootdir"].iter().map(|c| (*c).to_owned()).collect(),
                nodes: BTreeSet::new(),
                disabled: false,
                options: BTreeMap::new(),
                assumed: false,
            };
            world.storages.insert("second".into(), second);
        })
        .unwrap();
    let blueprint = blueprint(&inventory(state)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let plan = rig.plan(&blueprint).await.unwrap();
    assert!(plan.changes.is_empty() && plan.gaps.is_empty(), "{:#?} {:#?}", plan.changes, plan.gaps);
    let world = rig.site.look(Clone::clone).unwrap();
    Applied { rig, blueprint, world }
}

impl Applied {
    /// What is wrong with how a change behind our back is seen and mended.
    async fn hold(&self, state: &str, kind: &str, (field, value, expected): Row) -> Result<(), String> {
        self.rig.clock.sleep(Duration::from_secs(1)).await;
        let now = self.rig.site.look(|world| world.now_ms).unwrap();
        let before = World { now_ms: now, ..self.world.clone() };
        self.rig.forget_runs(&self.blueprint);
        self.rig.site.change(|world| *world = before.clone()).unwrap();
        let done = self.rig.site.change(|world| change(world, kind, field, value)).unwrap();
        if value == "=" {
            // The host itself refuses to change it, or there is but one value.
            return Ok(());
        }
        let busy = is_busy(state, kind, field);
        if busy {
            // What a container has mounted cannot be taken away under it.
            return if done.is_err_and(|why| why.contains("busy")) { Ok(()) } else { Err("is not busy".into()) };
        }
        done?;
        let after = self.rig.site.look(Clone::clone).unwrap();
        if (World { tasks: Vec::new(), ..after }) == (World { tasks: Vec::new(), ..before }) {
            return Err("nothing was changed".into());
        }
        let plan = match self.rig.plan(&self.blueprint).await {
            Ok(plan) => plan,
            Err(problems) => {
                let codes: Vec<String> = problems.into_iter().map(|problem| format!("!{}", problem.code)).collect();
                return if codes == [expected] { Ok(()) } else { Err(format!("{codes:?}")) };
            }
        };
        if !plan.gaps.is_empty() {
            return Err(format!("gaps {:?}", plan.gaps));
        }
        let seen = shown(&plan.changes, addr(kind));
        if seen != expected {
            return Err(format!("the plan shows `{seen}`"));
        }
        if expected.is_empty() {
            return Ok(());
        }
        let run = self.rig.apply(&self.blueprint).await;
        if run.ended != Ended::Done {
            return Err(format!("mending it failed: {:?} {:?}", run.ended, run.failures));
        }
        let again = self.rig.plan(&self.blueprint).await.map_err(|problems| format!("{problems:?}"))?;
        if again.changes.is_empty() && again.gaps.is_empty() {
            Ok(())
        } else {
            Err(format!("after mending the plan shows `{}` {:?}", shown(&again.changes, addr(kind)), again.gaps))
        }
    }
}

const TABLES: [(&str, &[Row]); 17] = [
    ("pool", POOL),
    ("mapping", MAPPING),
    ("image", IMAGE),
    ("snippet", SNIPPET),
    ("dataset", DATASET),
    ("alias", ALIAS),
    ("ipset", IPSET),
    ("ipset entry", IPSET_ENTRY),
    ("vm ipset entry", IPSET_ENTRY),
    ("ct ipset entry", IPSET_ENTRY),
    ("group", GROUP),
    ("group rule", RULE),
    ("vm", VM),
    ("ct", CT),
    ("vm firewall", FIREWALL_OPTIONS),
    ("ct firewall", FIREWALL_OPTIONS),
    ("ct rule", RULE),
];

/// What a container has mounted cannot be taken away under it.
fn is_busy(state: &str, kind: &str, field: &str) -> bool {
    state == "running" && kind == "dataset" && ["mounted", "name"].contains(&field)
}

async fn sweep(state: &str) {
    let applied = applied(state).await;
    let mut failed = Vec::new();
    for (kind, rows) in TABLES {
        let (mut found, mut refused, mut silent, mut not_taken) = (0, 0, 0, 0);
        for row in rows {
            if kind == "image" && row.0 != "volume" && !serves("PUT", CONTENT) {
                println!("{kind} {}: not changed, as the lab does not serve PUT {CONTENT}", row.0);
                continue;
            }
            let row = match *row {
                ("power", _, expected) if state == "stopped" => ("power", "running", expected),
                row => row,
            };
            match applied.hold(state, kind, row).await {
                Err(why) => failed.push(format!("{kind} {}={} ({}): {why}", row.0, row.1, row.2)),
                Ok(()) if row.1 == "=" || is_busy(state, kind, row.0) => not_taken += 1,
                Ok(()) if row.2.starts_with('!') => refused += 1,
                Ok(()) if row.2.is_empty() => silent += 1,
                Ok(()) => found += 1,
            }
        }
        println!(
            "{state:8} {kind:12} {found:3} found and mended {refused:3} found and refused {silent:4} silent {not_taken:2} not taken by the host"
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn every_field_of_running_guests_is_seen_or_left_alone() {
    sweep("running").await;
}

#[tokio::test]
async fn every_field_of_stopped_guests_is_seen_or_left_alone() {
    sweep("stopped").await;
}

/// Fields of a table: `net0.rate` is `net[n].rate`.
fn listed(rows: &[Row]) -> BTreeSet<String> {
    let general = |field: &str| {
        let (key, option) = field.split_once('.').map_or((field, None), |(key, option)| (key, Some(option)));
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let family = ["dev", "hostpci", "ide", "ipconfig", "mp", "net", "numa", "parallel", "sata", "scsi", "serial"];
        let family = family.contains(&stem) || ["unused", "usb", "virtio", "virtiofs"].contains(&stem);
        let key = if family && stem != key { format!("{stem}[n]") } else { key.to_owned() };
        option.map_or(key.clone(), |option| format!("{key}.{option}"))
    };
    rows.iter().map(|(field, _, _)| general(field)).collect()
}

/// What of a schema is missing in a table. The options of a value are asked for unless all of it is not ours.
fn missing(rows: &[Row], schema: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let listed = listed(rows);
    let managed: BTreeSet<String> =
        self::listed(&rows.iter().filter(|row| !row.2.is_empty()).copied().collect::<Vec<_>>())
            .iter()
            .map(|field| field.split('.').next().unwrap_or_default().to_owned())
            .collect();
    let mut missing = Vec::new();
    for (param, options) in schema.iter().filter(|(param, _)| !NOT_STATE.contains(&param.as_str())) {
        let whole = listed.contains(param);
        let apart = options.iter().filter(|option| !listed.contains(&format!("{param}.{option}")));
        match (options.is_empty(), managed.contains(param)) {
            (false, true) => missing.extend(apart.map(|option| format!("{param}.{option}"))),
            _ if whole => {}
            // The schema does not say what is in the value; the table knows more.
            (true, true) => {}
            (true, false) => missing.push(param.clone()),
            (false, false) => missing.extend(apart.map(|option| format!("{param}.{option}"))),
        }
    }
    missing
}

/// Where remarks on a volume are set.
const CONTENT: &str = "/nodes/{node}/storage/{storage}/content/{volume}";

fn serves(verb: &str, path: &str) -> bool {
    rules::endpoints().iter().any(|endpoint| endpoint.method.as_str() == verb && endpoint.path == path)
}

/// Which schema each table stands for.
const SCHEMAS: &[(&str, &[Row])] = &[
    ("PUT /nodes/{node}/qemu/{vmid}/config", VM),
    ("PUT /nodes/{node}/lxc/{vmid}/config", CT),
    ("PUT /nodes/{node}/qemu/{vmid}/firewall/options", FIREWALL_OPTIONS),
    ("PUT /nodes/{node}/lxc/{vmid}/firewall/options", FIREWALL_OPTIONS),
    ("PUT /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}", RULE),
    ("PUT /nodes/{node}/lxc/{vmid}/firewall/rules/{pos}", RULE),
    ("PUT /cluster/firewall/groups/{group}/{pos}", RULE),
    ("PUT /cluster/firewall/aliases/{name}", ALIAS),
    ("POST /cluster/firewall/ipset", IPSET),
    ("PUT /cluster/firewall/ipset/{name}/{cidr}", IPSET_ENTRY),
    ("PUT /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}", IPSET_ENTRY),
    ("POST /cluster/firewall/groups", GROUP),
    ("PUT /pools", POOL),
    ("PUT /cluster/mapping/pci/{id}", MAPPING),
    ("PUT /nodes/{node}/storage/{storage}/content/{volume}", IMAGE),
];

/// Options of a SCSI disk that are not changed here: those of other buses, which the lab has in one list with them, what
/// is said only when a disk is made, and a geometry that PVE 9 does not know any more.
const NOT_CHANGED: [&str; 11] = [
    "cyls",
    "efitype",
    "format",
    "heads",
    "import-from",
    "model",
    "ms-cert",
    "pre-enrolled-keys",
    "secs",
    "trans",
    "version",
];

#[test]
fn every_field_of_the_labs_endpoints_is_in_the_table() {
    let mut held = 0;
    for (call, rows) in SCHEMAS {
        let (verb, path) = call.split_once(' ').unwrap();
        let rows_of = rules::endpoints().iter().filter(|e| e.method.as_str() == verb && e.path == path);
        let mut schema = BTreeMap::new();
        for param in rows_of.flat_map(|endpoint| endpoint.params()) {
            let options = match param.kind {
                Kind::Props(props) => props.keys.iter().map(|(key, _, _)| (*key).to_owned()).collect(),
                _ => Vec::new(),
            };
            let options = options
                .into_iter()
                .filter(|option: &String| !(param.name == "scsi[n]" && NOT_CHANGED.contains(&option.as_str())));
            schema.insert(param.name.to_owned(), options.collect::<Vec<_>>());
        }
        held += schema.len();
        assert_eq!(missing(rows, &schema), Vec::<String>::new(), "{call}");
    }
    let zfs: BTreeMap<String, Vec<String>> =
        programs::zfs_properties().into_iter().map(|name| (name.to_owned(), Vec::new())).collect();
    assert_eq!(missing(DATASET, &zfs), Vec::<String>::new());
    println!("{held} parameters of the lab and {} properties are in the table", zfs.len());
    assert!(held > 150 && zfs.len() > 20);
}

#[test]
fn every_field_of_the_api_description_is_in_the_table() {
    for version in ["8.4", "9.1", "9.2"] {
        let Some(calls) = contract::calls(version) else {
            println!("not run: no API description (set INFRA_SHARED)");
            return;
        };
        let mut held = 0;
        for (call, rows) in SCHEMAS {
            let path_params: BTreeSet<&str> =
                call.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let properties = calls[*call]["parameters"]["properties"].as_object().unwrap();
            let mut schema = BTreeMap::new();
            for (name, property) in properties.iter().filter(|(name, _)| !path_params.contains(name.as_str())) {
                let format = property["format"].as_object();
                // Other names of the same option stand beside it: a NIC's model may be the option itself.
                let options = format.into_iter().flatten().filter(|(_, option)| option["alias"].is_null());
                let options = options.map(|(option, _)| option.clone());
                let changed = |option: &String| !(name == "scsi[n]" && NOT_CHANGED.contains(&option.as_str()));
                schema.insert(name.clone(), options.filter(changed).collect());
                held += 1;
            }
            assert_eq!(missing(rows, &schema), Vec::<String>::new(), "{version} {call}");
        }
        println!("{version}: {held} parameters of the API description are in the table");
        assert!(held > 150);
    }
}

#[test]
fn a_field_that_is_missing_in_the_table_is_noticed() {
    let schema = BTreeMap::from([
        ("cores".to_owned(), Vec::new()),
        ("net[n]".to_owned(), vec!["bridge".to_owned(), "brand-new".to_owned()]),
        ("vga".to_owned(), vec!["memory".to_owned()]),
        ("new-in-9.3".to_owned(), Vec::new()),
    ]);
    assert_eq!(missing(VM, &schema), ["net[n].brand-new", "new-in-9.3"]);
}
