//! Writes at random, through the API and through the host's own programs.

use infra::lab::shell::run_line;
use infra::lab::world::World;

use crate::one_world::send;

/// A generator of its own, so that every run tries the same.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

/// Keys of a VM and of a container with values that PVE takes.
const VM: &[(&str, &[&str])] = &[
    ("cores", &["1", "2"]),
    ("memory", &["512", "2048"]),
    ("name", &["one", "two.test"]),
    ("description", &["x", "two\nlines", "a: b %\u{fc}#", "#leading"]),
    ("tags", &["b;a", "A", "x,y"]),
    ("onboot", &["0", "1"]),
    ("net1", &["virtio,bridge=vmbr0", "e1000=BC:24:11:00:00:01,bridge=vmbr0,tag=5"]),
    ("agent", &["1", "enabled=1,fstrim_cloned_disks=1"]),
    ("scsi1", &["zp:1", "zp:2,ssd=1"]),
    ("ipconfig0", &["ip=dhcp", "ip=192.0.2.5/24,gw=192.0.2.1"]),
    ("protection", &["0"]),
];
const CT: &[(&str, &[&str])] = &[
    ("cores", &["1", "2"]),
    ("memory", &["256", "1024"]),
    ("swap", &["0", "64"]),
    ("hostname", &["one", "two.test"]),
    ("description", &["x", "two\nlines", "a: b %\u{fc}#", "#leading"]),
    ("tags", &["b;a", "A", "x,y"]),
    ("onboot", &["0", "1"]),
    ("net0", &["name=eth0,bridge=vmbr0", "name=eth0,bridge=vmbr0,ip=192.0.2.9/24,tag=7"]),
    ("features", &["nesting=1", "nesting=1,keyctl=1"]),
    ("mp0", &["/srv,mp=/srv", "/srv,mp=/elsewhere,ro=1"]),
    ("dev0", &["/dev/fuse", "/dev/net/tun,mode=0666"]),
    ("nameserver", &["1.1.1.1 8.8.8.8"]),
];
const OPTIONS: &[(&str, &[&str])] = &[
    ("enable", &["0", "1"]),
    ("policy_in", &["ACCEPT", "DROP", "REJECT"]),
    ("policy_out", &["ACCEPT", "DROP"]),
    ("macfilter", &["0", "1"]),
    ("ipfilter", &["1"]),
    ("log_level_in", &["info", "nolog"]),
];

/// One write at random through the API, or the same through the host's own programs. Refusals are part of it.
pub fn write(world: &mut World, dice: &mut Dice) {
    let (kind, vmid, tool, keys) =
        if dice.roll(2) == 0 { ("qemu", "100", "qm", VM) } else { ("lxc", "200", "pct", CT) };
    let base = format!("/nodes/pve1/{kind}/{vmid}");
    let (key, values) = keys[dice.roll(keys.len())];
    let value = dice.of(values);
    let places = ["/cluster/firewall/groups/grp", &format!("{base}/firewall/rules"), "/cluster/firewall/rules"]
        .map(str::to_owned);
    let rules = &places[dice.roll(3)];
    let pos = dice.of(&["0", "1", "5"]);
    match dice.roll(22) {
        0..=3 => drop(send(world, "PUT", &format!("{base}/config"), &[(key, value)])),
        4 => drop(send(world, "PUT", &format!("{base}/config"), &[("delete", key)])),
        5 | 6 => {
            let quoted = infra::ports::quote(value);
            run_line(world, "pve1", &format!("{tool} set {vmid} --{key} {quoted}"), b"");
        }
        7 => drop(run_line(world, "pve1", &format!("{tool} set {vmid} --delete {key}"), b"")),
        8 => drop(run_line(world, "pve1", &format!("{tool} {} {vmid}", dice.of(&["start", "stop"])), b"")),
        9 => {
            let name = dice.of(&["s1", "s2"]);
            drop(run_line(
                world,
                "pve1",
                &format!("{tool} {} {vmid} {name}", dice.of(&["snapshot", "delsnapshot"])),
                b"",
            ));
        }
        10 | 11 => {
            let (key, values) = OPTIONS[dice.roll(OPTIONS.len())];
            let value = dice.of(values);
            drop(send(world, "PUT", &format!("{base}/firewall/options"), &[(key, value)]));
        }
        12 => {
            let (key, _) = OPTIONS[dice.roll(OPTIONS.len())];
            drop(send(world, "PUT", &format!("{base}/firewall/options"), &[("delete", key)]));
        }
        13..=15 => {
            let (action, comment) = (dice.of(&["ACCEPT", "DROP"]), dice.of(&["", "why", "two words"]));
            let mut params =
                vec![("type", dice.of(&["in", "out"])), ("action", action), ("enable", dice.of(&["0", "1"]))];
            if !comment.is_empty() {
                params.push(("comment", comment));
            }
            match dice.roll(4) {
                0 => params.extend([("proto", "tcp"), ("dport", "22:25")]),
                1 => params.extend([("source", "192.0.2.0/24"), ("log", "info")]),
                2 => params.extend([("macro", "SSH"), ("iface", "net0")]),
                _ => params.extend([("proto", "icmp"), ("icmp-type", "echo-request")]),
            }
            drop(send(world, "POST", rules, &params));
        }
        16 => drop(send(
            world,
            "PUT",
            &format!("{rules}/{pos}"),
            &[("enable", dice.of(&["0", "1"])), ("comment", "changed")],
        )),
        17 => drop(send(world, "DELETE", &format!("{rules}/{pos}"), &[])),
        18 => {
            drop(send(world, "POST", "/cluster/firewall/groups", &[("group", "grp"), ("comment", "shared")]));
            drop(send(world, "POST", "/cluster/firewall/aliases", &[("name", "Host1"), ("cidr", "192.0.2.7")]));
        }
        19 => {
            let map = "node=pve1,path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14";
            let (verb, path) = if dice.roll(2) == 0 { ("POST", "") } else { ("PUT", "/gpu") };
            let mut params = vec![("map", map), ("description", dice.of(&["", "a card"]))];
            if verb == "POST" {
                params.push(("id", "gpu"));
            }
            drop(send(world, verb, &format!("/cluster/mapping/pci{path}"), &params));
        }
        20 => {
            let pool = dice.of(&["one", "two"]);
            drop(run_line(world, "pve1", &format!("pvesh create /pools --poolid {pool} --comment 'a pool'"), b""));
            let params = [("poolid", pool), ("vms", vmid), ("allow-move", "1"), ("storage", "data")];
            drop(send(world, "PUT", "/pools", &params));
        }
        _ => {
            let user = dice.of(&["a@pve", "b@pve"]);
            drop(run_line(world, "pve1", &format!("pveum user add {user} --comment 'some body'"), b""));
            drop(run_line(world, "pve1", &format!("pveum acl modify /vms --users {user} --roles PVEAuditor"), b""));
            drop(send(world, "POST", &format!("/access/users/{user}/token/tok"), &[("privsep", dice.of(&["0", "1"]))]));
        }
    }
}
