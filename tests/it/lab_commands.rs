//! Commands recorded on a real 9.2.11 host, replayed against the lab's shell in their order and in one world.
//!
//! Every command is agreed, listed one by one in `lab_commands.listed` with a reason that lies in the recording, or
//! failed. What is listed is told apart: `outside` is not run, `shape` agrees in exit code, standard error and
//! the shape of its output, and in nothing else that the recording machine alone knows. A command that is listed and
//! agrees in full is a failure, too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;

use crate::fidelity;
use infra::lab::hardware::graphics_card;
use infra::lab::rules::{self, work};
use infra::lab::shell::run_line;
use infra::lab::world::{Caller, Dataset, GuestSnapshot, Network, Node, Storage, StorageKind, Volume, World, Zpool};
use infra::ports::Output;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Recorded {
    seq: u32,
    cmd: String,
    rc: i32,
    stdout: String,
    stderr: String,
}

/// How a listed command is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// Not run.
    Outside,
    /// Compared by shape.
    Shape,
}

fn listed() -> BTreeMap<u32, (Listed, &'static str)> {
    let lines = include_str!("lab_commands.listed").lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(|line| {
            let mut words = line.splitn(3, ' ');
            let (seqs, how, why) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            let how = match how {
                "outside" => Listed::Outside,
                "shape" => Listed::Shape,
                other => panic!("{other}: {line}"),
            };
            assert!(why.len() > 10, "a reason is a sentence: {line}");
            seqs.split(',').map(move |seq| (seq.parse().unwrap(), (how, why)))
        })
        .collect()
}

/// A host as the recording one was.
pub fn world() -> World {
    let mut node = Node { online: true, cpus: 2, memory: 64 << 30, root_size: 250 << 30, ..Node::default() };
    node.address = "192.0.2.2".into();
    node.zfs.pools.insert("tank".into(), Zpool { size: 200 << 30, health: "ONLINE".into() });
    for name in ["tank", "tank/vm"] {
        node.zfs.datasets.insert(name.into(), Dataset { mounted: true, mode: 0o755, ..Dataset::default() });
    }
    let volume = |format: &str, size, virtual_size| Volume {
        format: format.into(),
        size,
        used: size,
        virtual_size,
        ..Volume::default()
    };
    node.volumes.insert(
        "data".into(),
        BTreeMap::from([
            ("import/disk.qcow2".to_owned(), volume("qcow2", 196_624, Some(1 << 30))),
            ("vztmpl/alpine-3.22-default_20250617_amd64.tar.gz".to_owned(), volume("tgz", 1_072_431, None)),
            ("vztmpl/debian-13-standard_13.1-2_amd64.tar.zst".to_owned(), volume("tzst", 52_027_600, None)),
        ]),
    );
    node.networks.insert("vmbr0".into(), Network { kind: "bridge".into(), autostart: true, ..Network::default() });
    node.pci = graphics_card("0000:01:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
    node.pci.extend(graphics_card("0000:02:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 15));
    let mut world = World { now_ms: 1_795_259_500_000, ..World::default() };
    world.nodes.insert("pve1".into(), node);
    let all = ["images", "rootdir", "iso", "vztmpl", "import", "snippets", "backup"];
    let storage = |kind, content: &[&str], option: &[(&str, &str)]| Storage {
        options: option.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Storage::new(kind, content)
    };
    let dir = |path: &str| StorageKind::Dir { path: path.into(), size: None };
    world.storages.insert("local".into(), storage(dir("/var/lib/vz"), &all, &[("prune-backups", "keep-all=1")]));
    world.storages.insert("data".into(), storage(dir("/var/lib/data"), &all, &[]));
    let pool = StorageKind::ZfsPool { pool: "tank/vm".into(), sparse: true };
    world.storages.insert("zp".into(), storage(pool, &["images", "rootdir"], &[("mountpoint", "/tank/vm")]));
    world
}

/// Whether a text begins like the pattern: `0` for a digit, anything else for itself.
fn begins(text: &str, pattern: &str) -> bool {
    let fits = |(at, p): (usize, u8)| match text.as_bytes().get(at) {
        Some(byte) => {
            if p == b'0' {
                byte.is_ascii_digit()
            } else {
                *byte == p
            }
        }
        None => false,
    };
    pattern.bytes().enumerate().all(fits)
}

/// What PVE prints in an order of its own each time: contents of a storage, options of a firewall, sections in the order
/// in which they were made.
fn in_order(text: &str) -> String {
    let section = |section: &str| {
        let mut lines: Vec<String> = section
            .lines()
            .map(|line| match line.strip_prefix("\tcontent ") {
                Some(content) => {
                    let mut content: Vec<&str> = content.split(',').collect();
                    content.sort_unstable();
                    format!("\tcontent {}", content.join(","))
                }
                None => line.to_owned(),
            })
            .collect();
        if lines.iter().all(|line| line.split_once(": ").is_some_and(|(key, _)| key.contains('_') || key.len() > 5)) {
            lines.sort();
        }
        lines.join("\n")
    };
    let mut sections: Vec<String> = text.split("\n\n").map(section).collect();
    if text.contains("\tcontent ") {
        sections.iter_mut().for_each(|section| *section = section.trim().to_owned());
        sections.sort();
    }
    sections.join("\n\n")
}

/// What differs from one run to the next: MACs, uuids, digests, times, ids of workers.
fn masked(text: &str) -> String {
    let text = &in_order(text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let token: &str = &rest[..rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len())];
        if let Some(length) = rest.strip_prefix("UPID:").and_then(|upid| upid.match_indices(':').nth(6)) {
            let upid: Vec<&str> = rest[..length.0].split(':').collect();
            out.push_str(&format!("UPID {} {} {}", upid[1], upid[5], upid[6]));
            rest = &rest[length.0 + 5..];
        } else if begins(rest, "0000-00-00 00:00") {
            out.push_str("DATE");
            rest = rest[16..].trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
        } else if rest.starts_with("BC:24:11:") && rest.len() >= 17 {
            out.push_str("MAC");
            rest = &rest[17..];
        } else if token.len() == 36 && token.matches('-').count() == 4 {
            out.push_str("UUID");
            rest = &rest[36..];
        } else if token.len() == 40 && !token.contains('-') {
            out.push_str("DIGEST");
            rest = &rest[40..];
        } else if token.len() == 10 && token.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str("TIME");
            rest = &rest[10..];
        } else if !token.is_empty() {
            out.push_str(token);
            rest = &rest[token.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// A file of the shared material, unpacked, if it is there.
pub fn shared(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("INFRA_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let bytes = std::fs::read(root.join("pve").join(file)).ok()?;
    if !file.ends_with(".gz") {
        return Some(bytes);
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
    Some(text)
}

fn recordings() -> Option<Vec<Recorded>> {
    let text = String::from_utf8(shared("cli-9.2.jsonl.gz")?).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn root(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) {
    let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let request = rules::Request { method: method.into(), path: path.into(), params, ..rules::Request::default() };
    let answer = rules::answer_as(world, &Caller::root_pam(), &request);
    assert!(answer.is_ok(), "{method} {path}: {answer:?}");
}

/// Who had been made on the recording host before the first command.
fn users(world: &mut World) {
    let infra = "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit,Mapping.Audit,\
                 Mapping.Modify,Mapping.Use,Pool.Allocate,Pool.Audit,SDN.Audit,SDN.Use,Sys.Audit,Sys.Modify,VM.Allocate,\
                 VM.Audit,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk,VM.Config.HWType,\
                 VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Migrate,VM.PowerMgmt,VM.Snapshot";
    world.access.users.entry("root@pam".into()).or_default().enabled = true;
    root(world, "POST", "/access/roles", &[("roleid", "Infra"), ("privs", infra)]);
    root(world, "POST", "/access/users", &[("userid", "infra@pve"), ("comment", "automation")]);
    root(world, "POST", "/access/users", &[("userid", "nobody@pve")]);
    for (user, token, privsep) in
        [("infra@pve", "cli", "0"), ("infra@pve", "sep", "1"), ("infra@pve", "tok", "0"), ("nobody@pve", "tok", "0")]
    {
        root(world, "POST", &format!("/access/users/{user}/token/{token}"), &[("privsep", privsep)]);
    }
    root(world, "POST", "/access/users/root@pam/token/infra", &[("privsep", "0"), ("comment", "rig")]);
    root(world, "PUT", "/access/acl", &[("path", "/"), ("users", "infra@pve"), ("roles", "Infra")]);
}

/// What happened on the recording host at this command and cannot happen here.
fn prepare(world: &mut World, seq: u32) {
    match seq {
        // A snapshot failed halfway, as QEMU there lacked Proxmox's patches, and left its lock.
        210 => {
            if let Some(guest) = world.guests.get_mut(&110) {
                guest.config.insert("lock".into(), "snapshot".into());
                let torso = GuestSnapshot {
                    config: guest.config.clone(),
                    time: world.now_ms / 1000,
                    state: Some("prepare".into()),
                    ..GuestSnapshot::default()
                };
                guest.snapshots.insert("live".into(), torso);
            }
        }
        // Made by a command that failed there.
        182 => assert_eq!(run_line(world, "pve1", "mkdir -p /srv/ws", b"").code, 0),
        // The tiny template does not react to a shutdown request.
        195 => {
            if let Some(run) = world.guests.get_mut(&210).and_then(|guest| guest.run.as_mut()) {
                run.booted_ms = None;
            }
        }
        _ => {}
    }
}

/// Whether an output has all that the recorded one has: keys and types of JSON, of rows those that any has; of text
/// the words before the first number of each line. The lab may say more: on the recording host nothing had yet told
/// what the nodes and storages are like.
fn has_shape(recorded: &str, seen: &str) -> bool {
    fn has(recorded: &Value, seen: &Value) -> bool {
        let all = |rows: &[Value]| -> serde_json::Map<String, Value> {
            rows.iter().filter_map(Value::as_object).flat_map(|row| row.clone()).collect()
        };
        match (recorded, seen) {
            (Value::Object(old), Value::Object(new)) => {
                old.iter().all(|(key, old)| new.get(key).is_some_and(|new| has(old, new)))
            }
            (Value::Array(old), Value::Array(new)) => {
                old.is_empty() == new.is_empty() && has(&Value::from(all(old)), &Value::from(all(new)))
            }
            (old, new) => std::mem::discriminant(old) == std::mem::discriminant(new),
        }
    }
    if let (Ok(recorded), Ok(seen)) = (serde_json::from_str(recorded), serde_json::from_str(seen)) {
        return has(&recorded, &seen);
    }
    shape(recorded) == shape(seen)
}

/// The words before the first number of each line.
fn shape(output: &str) -> String {
    let line = |line: &str| -> String {
        let words = line.split_inclusive([':', ' ', '\t', '=']);
        let words = words.take_while(|word| !word.contains(|c: char| c.is_ascii_digit()));
        words.take(3).collect::<String>().trim_end().to_owned()
    };
    output.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The counts of a replay: by program agreed, in shape, outside, failed.
struct Held {
    counts: BTreeMap<String, [u32; 4]>,
    agreed: BTreeSet<u32>,
    failed: BTreeMap<u32, String>,
}

/// Replays everything; `spoil` may change an output before it is compared.
fn replay(recorded: &[Recorded], spoil: impl Fn(u32, Output) -> Output) -> Held {
    let listed = listed();
    let mut world = world();
    users(&mut world);
    let mut held = Held { counts: BTreeMap::new(), agreed: BTreeSet::new(), failed: BTreeMap::new() };
    for Recorded { seq, cmd, rc, stdout, stderr } in recorded {
        let program = cmd.split_whitespace().next().unwrap_or_default().to_owned();
        let count = held.counts.entry(program).or_default();
        let how = listed.get(seq).map(|(how, _)| *how);
        if how == Some(Listed::Outside) {
            count[2] += 1;
            continue;
        }
        world.now_ms += 1000;
        work::advance(&mut world);
        prepare(&mut world, *seq);
        let output = spoil(*seq, run_line(&mut world, "pve1", cmd, b""));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let seen = (output.code, shown(&out), shown(&err));
        let expected = (*rc, shown(stdout), shown(stderr));
        let same_shape = (output.code, shown(&err)) == (*rc, shown(stderr)) && has_shape(stdout, &out);
        let why = match how {
            None if seen == expected => None,
            None => Some(format!("{cmd}\n  recorded {expected:?}\n  lab      {seen:?}")),
            Some(_) if seen == expected => Some(format!("{cmd}: is listed and agrees: take it off the list")),
            Some(_) if same_shape => {
                count[1] += 1;
                continue;
            }
            Some(_) => Some(format!(
                "{cmd}\n  recorded {:?}\n  lab      {:?}",
                (rc, shape(stdout), shown(stderr)),
                (output.code, shape(&out), shown(&err))
            )),
        };
        match why {
            None => {
                count[0] += 1;
                held.agreed.insert(*seq);
            }
            Some(why) => {
                count[3] += 1;
                held.failed.insert(*seq, why);
            }
        }
    }
    held
}

#[test]
fn recorded_commands_are_answered_as_they_were() {
    let Some(recorded) = recordings() else {
        println!("not run: the recorded commands are not here (set INFRA_SHARED)");
        return;
    };
    let held = replay(&recorded, |_, output| output);
    println!("{:12} {:>6} {:>8} {:>7} {:>6}", "program", "agreed", "in shape", "outside", "failed");
    let mut all = [0; 4];
    for (program, counts) in &held.counts {
        println!("{program:12} {:6} {:8} {:7} {:6}", counts[0], counts[1], counts[2], counts[3]);
        all.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    println!("{:12} {:6} {:8} {:7} {:6}", "all", all[0], all[1], all[2], all[3]);
    let counts =
        held.counts.iter().map(|(program, counts)| (program.to_string(), *counts)).chain([("all".into(), all)]);
    let rows = counts.map(|(name, counts)| [name].into_iter().chain(counts.map(|n| n.to_string())).collect());
    let stale =
        fidelity::stale("commands", &fidelity::table(&["program", "agreed", "in shape", "outside", "failed"], rows));
    assert_eq!(stale, None);
    let failed: Vec<String> = held.failed.iter().map(|(seq, why)| format!("{seq} {why}")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let known: BTreeSet<u32> = recorded.iter().map(|row| row.seq).collect();
    assert!(listed().keys().all(|seq| known.contains(seq)), "a command is listed that was never recorded");
}

#[test]
fn a_wrong_answer_of_the_lab_is_noticed() {
    let Some(recorded) = recordings() else {
        println!("not run: the recorded commands are not here (set INFRA_SHARED)");
        return;
    };
    let right = replay(&recorded, |_, output| output);
    let spoilt: [fn(Output) -> Output; 3] = [
        |output| Output { code: output.code ^ 1, ..output },
        |output| Output { stdout: [&output.stdout[..], b"x: 1\n"].concat(), ..output },
        |output| Output { stderr: [&output.stderr[..], b"x\n"].concat(), ..output },
    ];
    for spoil in spoilt {
        let wrong = replay(&recorded, |_, output| spoil(output));
        assert!(wrong.agreed.is_empty(), "{:?}", wrong.agreed);
        assert!(right.agreed.iter().all(|seq| wrong.failed.contains_key(seq)));
    }
}

/// An output as it is compared: JSON by its meaning, anything else as text.
fn shown(output: &str) -> String {
    let text = masked(output);
    match serde_json::from_str::<Value>(&text) {
        Ok(mut json) => {
            json.sort_all_objects();
            // PVE lists in no order.
            if let Some(rows) = json.as_array_mut() {
                rows.sort_by_key(Value::to_string);
            }
            json.to_string()
        }
        Err(_) => text,
    }
}
