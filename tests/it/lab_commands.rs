//! Holds the lab's Proxmox programs against commands recorded on a real 9.2.11 host.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use infra::lab::shell::run_line;
use infra::lab::world::{Dataset, Network, Node, PciDevice, Storage, StorageKind, Volume, World, Zpool};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    seq: u32,
    cmd: String,
    rc: i32,
    stdout: String,
    stderr: String,
    note: Option<String>,
}

/// Recorded commands that this project does not send, or that depend on one of them: not run.
const NOT_RUN: &[&str] = &[
    // users are made with the API; guests are reached over SSH or through the agent; the API lists snapshots and volumes
    "pveum",
    "pvesh ls",
    "pvesh usage",
    "pvecm",
    "vzdump",
    "pct exec",
    "pct push",
    "pct pull",
    "pct df",
    "pct fsck",
    "pct listsnapshot",
    "qm listsnapshot",
    "qm showcmd",
    "qm cloudinit",
    "qm agent",
    "qm guest",
    "pvesm list",
    "tar ",
    "sleep ",
    "cat /etc/pve/.clusterlog",
    "cat /etc/pve/datacenter.cfg",
    "echo ",
    // failed for a reason of the recording machine, and what follows from that
    "pct start 200",
    "pct reboot 200",
    "chown 100000:100000 /srv/ws",
];

/// Recorded commands that are run, and whose output is not the lab's to know.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("pct create 2", "the log of a real extraction"),
    ("qm create 1", "the log of a real conversion"),
    ("pct status 210 --verbose", "live figures"),
    ("qm status 110 --verbose", "live figures"),
    ("qm list", "a process id"),
    ("pct shutdown 210", "the recorded template ignores a shutdown request"),
    ("pct stop 210", "see above: the lab's container is down by then"),
    ("pvesh create /nodes/pve1/lxc --vmid 211", "the log of a real extraction, a UPID"),
    ("pvesh delete /nodes/pve1/lxc", "a UPID"),
    ("cat /etc/pve/firewall/200.fw", "PVE writes options in random order"),
    ("cat /etc/pve/.version", "counters"),
    ("cat /etc/pve/.vmlist", "counters"),
    ("cat /etc/pve/user.cfg", "users of the recording machine"),
    ("cat /etc/pve/storage.cfg", "prune-backups and mountpoint are not modelled"),
    ("pvesh get /cluster/tasks", "tasks of the recording machine"),
    ("pvesh get /cluster/resources", "state of the recording machine"),
    ("pvesh get /nodes", "hardware of the recording machine"),
    ("pvesh get /version", "the repository id"),
    ("pvesm status", "space of the recording machine"),
];

/// What the lab answers differently, by number.
const KNOWN_DIFFERENCES: &[(u32, &str)] = &[
    (8, "usage lines of pvesh name the required parameters"),
    (127, "the text of a failed start is printed twice"),
    (141, "usage lines of pvesh name the required parameters; exit code 2"),
];

/// A host as the recording one was.
pub fn world() -> World {
    let mut node = Node { online: true, cpus: 8, memory: 64 << 30, root_size: 250 << 30, ..Node::default() };
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
        ]),
    );
    node.networks.insert("vmbr0".into(), Network { kind: "bridge".into(), autostart: true, ..Network::default() });
    let gpu = PciDevice {
        class: "030000".into(),
        vendor: "10de".into(),
        device: "2684".into(),
        subsystem_vendor: "1043".into(),
        subsystem_device: "88ec".into(),
        iommu_group: 14,
        ..PciDevice::default()
    };
    node.pci.insert("0000:01:00.0".into(), gpu.clone());
    node.pci.insert("0000:02:00.0".into(), PciDevice { iommu_group: 15, ..gpu });
    let mut world = World { now_ms: 1_795_259_500_000, ..World::default() };
    world.nodes.insert("pve1".into(), node);
    let all = ["images", "rootdir", "iso", "vztmpl", "import", "snippets", "backup"];
    let storage = Storage::new;
    let dir = |path: &str| StorageKind::Dir { path: path.into(), size: None };
    world.storages.insert("local".into(), storage(dir("/var/lib/vz"), &all));
    world.storages.insert("data".into(), storage(dir("/var/lib/data"), &all));
    let pool = StorageKind::ZfsPool { pool: "tank/vm".into(), sparse: true };
    world.storages.insert("zp".into(), storage(pool, &["images", "rootdir"]));
    world
}

/// What differs from one run to the next: MACs, uuids, digests, times.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token: &str = &rest[..rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len())];
        if rest.starts_with("BC:24:11:") && rest.len() >= 17 {
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

#[test]
fn recorded_commands_are_answered_as_they_were() {
    let Some(recorded) = recordings() else {
        println!("not run: the recorded commands are not here (set INFRA_SHARED)");
        return;
    };
    let mut world = world();
    let (mut agreed, mut differs, mut not_held) = (0, Vec::new(), 0);
    for Recorded { seq, cmd, rc, stdout, stderr, note } in recorded {
        let artificial = note.is_some_and(|note| note != "container stopped");
        if artificial || NOT_RUN.iter().any(|prefix| cmd.starts_with(prefix)) || cmd.contains(" | ") {
            not_held += 1;
            continue;
        }
        world.now_ms += 1000;
        let output = run_line(&mut world, "pve1", &cmd, b"");
        if NOT_COMPARED.iter().any(|(prefix, _)| cmd.starts_with(prefix)) {
            not_held += 1;
            continue;
        }
        let seen = (output.code, shown(&output.stdout), shown(&output.stderr));
        let expected = (rc, shown(stdout.as_bytes()), shown(stderr.as_bytes()));
        if seen == expected {
            agreed += 1;
        } else {
            println!("differs: {seq} {cmd}\n  recorded {expected:?}\n  lab      {seen:?}");
            differs.push(seq);
        }
    }
    println!("{agreed} agreed, {} differ {differs:?}, {not_held} not held", differs.len());
    assert_eq!(differs, KNOWN_DIFFERENCES.iter().map(|(seq, _)| *seq).collect::<Vec<_>>());
    assert!(agreed > 100, "{agreed}");
}

/// An output as it is compared: JSON by its meaning, anything else as text.
fn shown(output: &[u8]) -> String {
    let text = masked(&String::from_utf8_lossy(output));
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(mut json) => {
            json.sort_all_objects();
            json.to_string()
        }
        Err(_) => text,
    }
}
