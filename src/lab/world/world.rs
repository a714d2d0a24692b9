//! The value that everything else is a view of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::lab::tailnet::Uplink;

use super::{Access, Caller, Firewall, Guest, GuestKind, Node, Storage, Task, TaskState, Version, Volume, Work};

/// One site: a cluster, or a single host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// What it runs.
    pub version: Version,
    /// Name of the cluster; none for a single host.
    pub cluster: Option<String>,
    /// Whether the cluster may write.
    pub without_quorum: bool,
    /// Hosts by node name.
    pub nodes: BTreeMap<String, Node>,
    /// Storages by id.
    pub storages: BTreeMap<String, Storage>,
    /// Volumes that every node sees, by storage and name within it.
    pub shared_volumes: BTreeMap<String, BTreeMap<String, Volume>>,
    /// What there is on the network to be mounted, with its size in bytes: `nas:/srv/pve`, `//nas/pve`, `pbs:store`.
    pub shares: BTreeMap<String, u64>,
    /// Users, tokens, roles, ACLs.
    pub access: Access,
    /// Resource pools by id.
    pub pools: BTreeMap<String, Pool>,
    /// PCI mappings by id.
    pub mappings: BTreeMap<String, Mapping>,
    /// USB mappings by id.
    pub usb_mappings: BTreeMap<String, Mapping>,
    /// Directory mappings by id.
    pub dir_mappings: BTreeMap<String, Mapping>,
    /// Datacenter options (`datacenter.cfg`) that were set, as text.
    pub options: BTreeMap<String, String>,
    /// Backup jobs by id, with the options that were given.
    pub backup_jobs: BTreeMap<String, BTreeMap<String, String>>,
    /// Resources, groups and rules of high availability.
    pub ha: Ha,
    /// Zones and networks of software-defined networking.
    pub sdn: Sdn,
    /// Guests by vmid.
    pub guests: BTreeMap<u32, Guest>,
    /// Datacenter firewall.
    pub firewall: Firewall,
    /// Firewall of guests by vmid; PVE keeps them even for guests that are not there.
    pub guest_firewalls: BTreeMap<u32, Firewall>,
    /// What `aplinfo` offers.
    pub appliances: Vec<Appliance>,
    /// What can be fetched, by URL.
    pub downloads: BTreeMap<String, Download>,
    /// Whether every other URL has the very file that is asked for.
    pub any_download: bool,
    /// Workers, oldest first.
    pub tasks: Vec<Task>,
    /// Percentage of the real duration that work takes; 0 = done at the next look.
    pub pace: u32,
    /// What time it is, in milliseconds since the epoch; set by [`World::set_now`].
    pub now_ms: i64,
    /// State of the generator of MACs, uuids and the like.
    pub random: u64,
    /// Volumes that hold an operating system: what boots.
    pub installed: BTreeSet<String>,
    /// Last process id that was given out.
    pub pid: u32,
    /// Until when somebody else holds the lock file of a guest, in milliseconds.
    pub lock_files: BTreeMap<u32, i64>,
    /// Where whoever comes to its doors from outside sits; next to the host, if not said.
    pub operator: Option<IpAddr>,
    /// Whether everybody gets in whatever the firewall says: of a twin nobody knows the network around it.
    pub doors_open: bool,
    /// What registries of container images have.
    pub registry: ImageRegistry,
    /// Faults that wait for a task: type, how many of it still pass, text.
    pub dooms: Vec<(String, u32, String)>,
    /// The tailnet's control plane, as far as guests reach it.
    #[serde(skip)]
    pub uplink: Uplink,
}

/// Registries of container images: they have every image but these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageRegistry {
    /// References that they do not have.
    pub missing: BTreeSet<String>,
    /// References whose containers start and fail their health check, with what they write.
    pub sick: BTreeMap<String, String>,
    /// References whose containers end at once, with what they write.
    pub broken: BTreeMap<String, String>,
    /// Whether they refuse whoever is not logged in, as Docker Hub does after so many pulls.
    pub limited: bool,
}

/// A resource pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// What was said about it.
    pub comment: Option<String>,
    /// Guests in it.
    pub guests: BTreeSet<u32>,
    /// Storages in it.
    pub storages: BTreeSet<String>,
}

/// A PCI mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mapping {
    /// What was said about it.
    pub description: Option<String>,
    /// Entries, one per node, as they were written.
    pub map: Vec<String>,
    /// Hands out mediated devices.
    pub mdev: bool,
    /// Guests that use it may be moved while they run.
    pub live_migration: bool,
}

/// What high availability is told to look after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ha {
    /// Options by resource, such as `vm:100`.
    pub resources: BTreeMap<String, BTreeMap<String, String>>,
    /// Options by group; PVE 9 has rules in their place.
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
    /// Options by rule; the order is that of their making.
    pub rules: Vec<(String, BTreeMap<String, String>)>,
}

/// Software-defined networking as it is configured; nothing of it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sdn {
    /// Options by zone.
    pub zones: BTreeMap<String, BTreeMap<String, String>>,
    /// Options by network.
    pub vnets: BTreeMap<String, BTreeMap<String, String>>,
}

/// A container template that the appliance index offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Appliance {
    /// File name, such as `debian-13-standard_13.1-2_amd64.tar.zst`.
    pub template: String,
    /// Name without version, such as `debian-13-standard`.
    pub package: String,
    /// Version, such as `13.1-2`.
    pub version: String,
    /// Operating system, such as `debian-13`.
    pub os: String,
    /// Section, such as `system`.
    pub section: String,
    /// One line about it.
    pub headline: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-512 of the file in hex.
    pub sha512: String,
}

/// A file on the internet, as far as the site can see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Download {
    /// Size in bytes.
    pub size: u64,
    /// Hex digests by algorithm (`sha256`, `sha512`).
    pub checksums: BTreeMap<String, String>,
    /// Size of the disk inside, if it is an image, in bytes.
    pub virtual_size: Option<u64>,
    /// HTTP status that the server answers with, if not 200.
    pub status: Option<u16>,
    /// Whether nothing listens there.
    pub refused: bool,
}

impl World {
    /// Moves the clock; it never goes back.
    pub fn set_now(&mut self, now: jiff::Timestamp) {
        self.now_ms = self.now_ms.max(now.as_millisecond());
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms / 1000
    }

    /// Next number of the seeded generator (splitmix64).
    pub fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A MAC address with PVE's default prefix.
    pub fn next_mac(&mut self) -> String {
        let [a, b, c, ..] = self.next_random().to_be_bytes();
        format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
    }

    /// A random (version 4) uuid.
    pub fn next_uuid(&mut self) -> String {
        let (high, low) = (self.next_random(), self.next_random());
        let value =
            ((u128::from(high) << 64) | u128::from(low)) & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
        let hex = format!("{value:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// A process id that nobody has.
    pub fn next_pid(&mut self) -> u32 {
        self.pid = self.pid.max(1000) + 1;
        self.pid
    }

    /// Starts a worker that will have done `work` after `real_ms` of a real host's time, and gives
    /// its UPID back.
    pub fn spawn(&mut self, node: &str, kind: &str, id: &str, caller: &Caller, real_ms: i64, work: Work) -> String {
        let pid = self.next_pid();
        let booted = self.nodes.get(node).map_or(0, |n| n.booted_ms);
        let pstart = u64::try_from((self.now_ms - booted) / 10).unwrap_or_default();
        let upid = format!("UPID:{node}:{pid:08X}:{pstart:08X}:{:08X}:{kind}:{id}:{}:", self.now(), caller.id());
        let due_ms = self.now_ms + real_ms * i64::from(self.pace) / 100;
        let doom = self.doom(kind);
        self.tasks.push(Task {
            upid: upid.clone(),
            node: node.to_owned(),
            pid,
            pstart,
            started_ms: self.now_ms,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: caller.user.clone(),
            token: caller.token.clone(),
            log: Vec::new(),
            state: TaskState::Running { due_ms, work, doom },
        });
        upid
    }

    fn doom(&mut self, kind: &str) -> Option<String> {
        let at = self.dooms.iter().position(|(of, _, _)| of == kind)?;
        if self.dooms[at].1 > 0 {
            self.dooms[at].1 -= 1;
            return None;
        }
        Some(self.dooms.remove(at).2)
    }

    /// A worker by its UPID.
    #[must_use]
    pub fn task(&self, upid: &str) -> Option<&Task> {
        self.tasks.iter().rev().find(|task| task.upid == upid)
    }

    /// A guest of that kind on that node.
    #[must_use]
    pub fn guest(&self, kind: GuestKind, node: &str, vmid: u32) -> Option<&Guest> {
        self.guests.get(&vmid).filter(|guest| guest.kind == kind && guest.node == node)
    }

    /// Whether a directory is there: a mounted dataset, one that was made, or the parent of a file.
    #[must_use]
    pub fn directory_exists(&self, node: &str, path: &str) -> bool {
        const ALWAYS: &[&str] = &[
            "/",
            "/etc",
            "/etc/pve",
            "/home",
            "/media",
            "/mnt",
            "/opt",
            "/root",
            "/run",
            "/srv",
            "/tmp",
            "/usr",
            "/var",
            "/var/lib",
            "/var/lib/vz",
            "/var/lib/vz/snippets",
        ];
        let Some(host) = self.nodes.get(node) else { return false };
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let prefix = format!("{path}/");
        ALWAYS.contains(&path)
            || host.directories.contains_key(path)
            || host.zfs.mounted_at(path).is_some()
            || host.files.keys().chain(host.directories.keys()).any(|file| file.starts_with(&prefix))
    }

    /// The address that a node sees whoever comes from outside by.
    #[must_use]
    pub fn operator_at(&self, node: &str) -> IpAddr {
        if let Some(operator) = self.operator {
            return operator;
        }
        let address = self.nodes.get(node).and_then(|host| host.address.parse().ok());
        match address {
            // The last but one of its /24, where hosts are rarely put.
            Some(IpAddr::V4(own)) => {
                let [a, b, c, d] = own.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, if d == 253 { 252 } else { 253 }))
            }
            Some(own @ IpAddr::V6(_)) => own,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// The pool that a guest is in.
    #[must_use]
    pub fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, pool)| pool.guests.contains(&vmid)).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_seeded() {
        let (mut a, mut b) = (World::default(), World::default());
        assert_eq!((a.next_mac(), a.next_uuid()), (b.next_mac(), b.next_uuid()));
        b.random = 7;
        assert_ne!(a.next_mac(), b.next_mac());
    }

    #[test]
    fn upids_are_proxmoxs() {
        let mut world = World { now_ms: 1_795_254_063_000, ..World::default() };
        world.nodes.insert("pve1".into(), Node::default());
        let upid = world.spawn("pve1", "qmcreate", "100", &Caller::token("infra@pve", "tok"), 0, Work::Nothing);
        let parsed: crate::model::Upid = upid.parse().unwrap();
        assert_eq!((parsed.node(), parsed.task_type(), parsed.id()), ("pve1", "qmcreate", "100"));
        assert!(upid.ends_with(":infra@pve!tok:"));
    }
}
