//! The files below `/etc/pve` and the API are two views of one world: whatever is written through either door, both show
//! the same. Files are read by the readers that `infra` itself uses, where it has one.

use std::collections::{BTreeMap, BTreeSet};

use infra::lab::envelope;
use infra::lab::rules::{self, work};
use infra::lab::shell::run_line;
use infra::lab::world::{Caller, World};
use infra::model::observed::FirewallRule;
use infra::proxmox::{firewall_file, storage_file};
use serde_json::Value;

use crate::lab_commands;
use crate::one_world_writes::{Dice, write};

pub fn send(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
    let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let request = rules::Request { method: method.into(), path: path.into(), params, ..rules::Request::default() };
    let response = envelope::wrap(rules::answer_as(world, &Caller::root_pam(), &request));
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    if let Some(upid) = body["data"].as_str().filter(|text| text.starts_with("UPID:")) {
        work::finish(world, upid);
    }
    (response.status, body["data"].clone())
}

fn get(world: &mut World, path: &str) -> Value {
    let (status, data) = send(world, "GET", path, &[]);
    assert_eq!(status, 200, "{path}");
    data
}

fn file(world: &mut World, path: &str) -> Option<String> {
    let output = run_line(world, "pve1", &format!("cat /etc/pve/{path}"), b"");
    (output.code == 0).then(|| String::from_utf8(output.stdout).unwrap())
}

fn world() -> World {
    let mut world = lab_commands::world();
    world.access.users.entry("root@pam".into()).or_default().enabled = true;
    for (path, params) in [
        (
            "/nodes/pve1/qemu",
            vec![("vmid", "100"), ("scsi0", "zp:4"), ("net0", "virtio,bridge=vmbr0"), ("memory", "1024")],
        ),
        (
            "/nodes/pve1/lxc",
            vec![
                ("vmid", "200"),
                ("ostemplate", "data:vztmpl/alpine-3.22-default_20250617_amd64.tar.gz"),
                ("rootfs", "zp:1"),
            ],
        ),
    ] {
        assert_eq!(send(&mut world, "POST", path, &params).0, 200, "{path}");
    }
    world
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// PVE's percent-encoding of a description taken back.
fn decoded(line: &str) -> String {
    percent_encoding::percent_decode_str(line).decode_utf8_lossy().into_owned()
}

/// Sections of a guest's file: the first has no name.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::from([(String::new(), BTreeMap::new())]);
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(head) = line.strip_prefix('[').and_then(|head| head.strip_suffix(']')) {
            name = head.to_owned();
            all.insert(name.clone(), BTreeMap::new());
            continue;
        }
        let section = all.get_mut(&name).unwrap();
        if let Some(line) = line.strip_prefix('#') {
            let said = section.entry("description".into()).or_default();
            said.push_str(&decoded(line));
            said.push('\n');
        } else {
            let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            section.insert(key.to_owned(), value.to_owned());
        }
    }
    all
}

/// A configuration as the API shows it, as text.
fn shown(data: &Value) -> BTreeMap<String, String> {
    let skip = |key: &str| ["digest", "cipassword"].contains(&key);
    let map = data.as_object().unwrap();
    map.iter()
        .filter(|(key, _)| !skip(key))
        .map(|(key, value)| (key.clone(), text(value).trim_end().to_owned()))
        .collect()
}

fn trimmed(section: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    section.iter().map(|(key, value)| (key.clone(), value.trim_end().to_owned())).collect()
}

fn rules_of(world: &mut World, path: &str) -> Vec<FirewallRule> {
    let rows = get(world, path);
    let rule = |row: &Value| {
        let fields = row.as_object().unwrap().iter();
        let kept = fields.filter(|(key, _)| !["pos", "digest", "ipversion"].contains(&key.as_str()));
        FirewallRule(kept.map(|(key, value)| (key.clone(), text(value))).collect())
    };
    rows.as_array().unwrap().iter().map(rule).collect()
}

/// What was there to be compared, so that nobody compares nothing with nothing.
#[derive(Debug, Default)]
struct Seen {
    pending: usize,
    snapshots: usize,
    rules: usize,
    groups: usize,
    mappings: usize,
    members: usize,
    grants: usize,
}

/// Holds every file against what the API says.
fn hold(world: &mut World, seen: &mut Seen) {
    for (kind, directory, vmid, pending_name) in
        [("qemu", "qemu-server", 100, "PENDING"), ("lxc", "lxc", 200, "pve:pending")]
    {
        let conf = sections(&file(world, &format!("nodes/pve1/{directory}/{vmid}.conf")).unwrap());
        let base = format!("/nodes/pve1/{kind}/{vmid}");
        let (status, active) = send(world, "GET", &format!("{base}/config"), &[("current", "1")]);
        assert_eq!(status, 200);
        assert_eq!(trimmed(&conf[""]), shown(&active), "{vmid}.conf");
        let mut waiting: BTreeMap<String, Option<String>> = BTreeMap::new();
        for row in get(world, &format!("{base}/pending")).as_array().unwrap() {
            let key = row["key"].as_str().unwrap().to_owned();
            if row.get("delete").is_some() {
                waiting.insert(key, None);
            } else if let Some(value) = row.get("pending") {
                waiting.insert(key, Some(text(value).trim_end().to_owned()));
            }
        }
        let mut written: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (key, value) in conf.get(pending_name).into_iter().flatten() {
            if key == "delete" {
                written.extend(value.split(',').map(|key| (key.to_owned(), None)));
            } else {
                written.insert(key.clone(), Some(value.trim_end().to_owned()));
            }
        }
        assert_eq!(written, waiting, "what waits in {vmid}.conf");
        seen.pending += waiting.len();
        let snapshots: BTreeSet<String> = get(world, &format!("{base}/snapshot"))
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .filter(|name| name != "current")
            .collect();
        let named: BTreeSet<String> =
            conf.keys().filter(|name| !name.is_empty() && *name != pending_name).cloned().collect();
        assert_eq!(named, snapshots);
        seen.snapshots += snapshots.len();
        for name in snapshots {
            let api = shown(&get(world, &format!("{base}/snapshot/{name}/config")));
            assert_eq!(trimmed(&conf[&name]), api, "snapshot {name} of {vmid}");
        }
        let firewall = firewall_file::read_guest(&file(world, &format!("firewall/{vmid}.fw")).unwrap_or_default());
        let options = shown(&get(world, &format!("{base}/firewall/options")));
        assert_eq!(firewall.options, options, "options in {vmid}.fw");
        assert_eq!(firewall.rules, rules_of(world, &format!("{base}/firewall/rules")), "rules in {vmid}.fw");
        seen.rules += firewall.rules.len();
    }
    let cluster = firewall_file::read_cluster(&file(world, "firewall/cluster.fw").unwrap_or_default());
    let groups = get(world, "/cluster/firewall/groups");
    let names: BTreeSet<String> = groups.as_array().unwrap().iter().map(|row| text(&row["group"])).collect();
    assert_eq!(cluster.groups.keys().cloned().collect::<BTreeSet<_>>(), names);
    for row in groups.as_array().unwrap() {
        let name = text(&row["group"]);
        assert_eq!(cluster.groups[&name].comment, row["comment"].as_str().unwrap_or_default());
        assert_eq!(cluster.groups[&name].rules, rules_of(world, &format!("/cluster/firewall/groups/{name}")));
    }
    seen.groups += cluster.groups.values().map(|group| group.rules.len()).sum::<usize>();
    hold_lists(world, seen);
}

fn hold_lists(world: &mut World, seen: &mut Seen) {
    let entries = storage_file::entries(&file(world, "storage.cfg").unwrap());
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    for row in get(world, "/storage").as_array().unwrap() {
        let (name, entry) = entries.iter().find(|(name, _)| name.as_str() == row["storage"]).unwrap();
        assert_eq!(entry.kind, row["type"], "{name}");
        assert_eq!(words(&entry.options["content"]), words(row["content"].as_str().unwrap()), "{name}");
        for key in ["path", "pool", "nodes"] {
            assert_eq!(entry.options.get(key).map(String::as_str), row[key].as_str(), "{key} of {name}");
        }
    }
    let users = file(world, "user.cfg").unwrap();
    let rows = |kind: &str| -> Vec<Vec<String>> {
        let lines = users.lines().filter_map(|line| line.strip_prefix(&format!("{kind}:")));
        lines.map(|line| line.split(':').map(decoded).collect()).collect()
    };
    for row in get(world, "/pools").as_array().unwrap() {
        let id = text(&row["poolid"]);
        let written = rows("pool").into_iter().find(|pool| pool[0] == id).unwrap();
        assert_eq!(written[1], row["comment"].as_str().unwrap_or_default());
        let members = get(world, &format!("/pools/{id}"));
        let has = |key: &str| -> BTreeSet<String> {
            members["members"].as_array().unwrap().iter().map(|m| text(&m[key])).filter(|m| m != "null").collect()
        };
        let list =
            |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(list(&written[2]), has("vmid"), "{id}");
        seen.members += has("vmid").len();
        assert_eq!(list(&written[3]), has("storage"), "{id}");
    }
    let (_, full) = send(world, "GET", "/access/users", &[("full", "1")]);
    let full = full.as_array().unwrap().clone();
    assert_eq!(rows("user").len(), full.len());
    let tokens: usize = full.iter().map(|user| user["tokens"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(rows("token").len(), tokens);
    for user in &full {
        let written = rows("user").into_iter().find(|row| row[0] == text(&user["userid"])).unwrap();
        assert_eq!(
            (written[1].clone(), written[6].as_str()),
            (text(&user["enable"]), user["comment"].as_str().unwrap_or_default())
        );
    }
    let acl: BTreeSet<(String, String, String)> = get(world, "/access/acl")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["path"]), text(&row["ugid"]), text(&row["roleid"])))
        .collect();
    let written: BTreeSet<(String, String, String)> = rows("acl")
        .iter()
        .flat_map(|row| {
            let pairs = row[2].split(',').flat_map(|who| row[3].split(',').map(move |role| (who, role)));
            pairs.map(|(who, role)| (row[1].clone(), who.trim_start_matches('@').to_owned(), role.to_owned()))
        })
        .collect();
    assert_eq!(written, acl);
    seen.grants += acl.len();
    let mappings = get(world, "/cluster/mapping/pci");
    let mut written: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    let mut id = String::new();
    for line in file(world, "mapping/pci.cfg").unwrap_or_default().lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('\t').and_then(|line| line.split_once(' ')) {
            None => line.clone_into(&mut id),
            Some(("map", map)) => written.entry(id.clone()).or_default().0.push(map.to_owned()),
            Some(("description", said)) => said.clone_into(&mut written.entry(id.clone()).or_default().1),
            Some(_) => {}
        }
    }
    let api = mappings.as_array().unwrap().iter().map(|row| {
        let map = row["map"].as_array().unwrap().iter().map(text).collect();
        (text(&row["id"]), (map, row["description"].as_str().unwrap_or_default().to_owned()))
    });
    assert_eq!(written, api.collect());
    seen.mappings += written.len();
    let list: Value = serde_json::from_str(&file(world, ".vmlist").unwrap()).unwrap();
    let (_, guests) = send(world, "GET", "/cluster/resources", &[("type", "vm")]);
    let api: BTreeSet<(String, String, String)> =
        guests.as_array().unwrap().iter().map(|g| (text(&g["vmid"]), text(&g["node"]), text(&g["type"]))).collect();
    let written = list["ids"].as_object().unwrap().iter();
    assert_eq!(written.map(|(id, g)| (id.clone(), text(&g["node"]), text(&g["type"]))).collect::<BTreeSet<_>>(), api);
    let members: Value = serde_json::from_str(&file(world, ".members").unwrap()).unwrap();
    assert_eq!(members["nodename"], "pve1");
}

const FILES: [(&str, &str); 5] = [
    ("storage.cfg", "storage.cfg"),
    ("user.cfg", "user.cfg"),
    ("firewall/cluster.fw", "firewall/cluster.fw"),
    ("mapping/pci.cfg", "mapping/pci.cfg"),
    ("nodes/pve1/qemu-server/100.conf", "vmlist"),
];

#[test]
fn files_and_api_show_one_world_whatever_is_written_through_which_door() {
    let (mut writes, mut changed, mut seen) = (0, 0, Seen::default());
    for seed in 0..24 {
        let (mut world, mut dice) = (world(), Dice(seed));
        hold(&mut world, &mut seen);
        for _ in 0..60 {
            let before = FILES.map(|(path, _)| file(&mut world, path));
            let counters: Value = serde_json::from_str(&file(&mut world, ".version").unwrap()).unwrap();
            world.now_ms += 11_000;
            work::advance(&mut world);
            write(&mut world, &mut dice);
            writes += 1;
            hold(&mut world, &mut seen);
            let after: Value = serde_json::from_str(&file(&mut world, ".version").unwrap()).unwrap();
            for ((path, counter), before) in FILES.iter().zip(before) {
                if file(&mut world, path) != before {
                    changed += 1;
                    assert_ne!(counters[*counter], after[*counter], "{path} changed, and its counter did not");
                }
            }
        }
    }
    println!("{writes} writes, {changed} changes of files, and after each both doors show the same: {seen:?}");
    let Seen { pending, snapshots, rules, groups, mappings, members, grants } = seen;
    assert!(changed > 200 && [pending, snapshots, rules, groups, mappings, members, grants].iter().all(|n| *n > 100));
}

#[test]
fn a_file_that_pve_keeps_is_not_overwritten_without_a_word() {
    let mut world = world();
    for path in ["storage.cfg", "lxc/200.conf", ".vmlist"] {
        let before = file(&mut world, path);
        let output = run_line(&mut world, "pve1", &format!("echo nonsense > /etc/pve/{path}"), b"");
        assert_ne!(output.code, 0, "{path}");
        assert!(!output.stderr.is_empty());
        assert_eq!(file(&mut world, path), before);
    }
}
