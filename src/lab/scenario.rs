//! Hardware as data: what a lab is made of before anything is done to it.
//!
//! A [`Scenario`] reads from JSON, can be built in code (the command line makes one from an inventory), and
//! becomes one [`World`] per site. [`Scenario::example`] is a host that most of the documentation speaks of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use super::faults::Fault;
pub use super::hardware::{board, graphics_card};
use super::world::{
    Acl, Appliance, Dataset, DatasetKind, Download, Grantee, Network, Node, PciDevice, Storage, StorageKind, Token,
    User, Version, World, Zfs, Zpool, conf, known_privileges, machine,
};
use super::{LabError, broken};
use crate::model::Size;

/// Everything that a lab starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What every site runs.
    #[serde(default)]
    pub version: Version,
    /// Seed of MACs, uuids and the like.
    #[serde(default)]
    pub seed: u64,
    /// Percentage of the real duration that work takes; 0 = done at the next look.
    #[serde(default)]
    pub pace: u32,
    /// Sites: single hosts or clusters.
    pub sites: Vec<SiteSpec>,
    /// What `aplinfo` offers; the usual ones, if none are given.
    #[serde(default)]
    pub appliances: Vec<Appliance>,
    /// What can be fetched, by URL.
    #[serde(default)]
    pub downloads: BTreeMap<String, Download>,
    /// Whether anything else can be fetched too: then every URL has the very file that is asked for.
    #[serde(default)]
    pub any_download: bool,
    /// Where whoever comes to the doors sits, as the hosts see it; next to each host, if not given.
    #[serde(default)]
    pub operator: Option<IpAddr>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What is wrong with every host, by the names of [`broken`](super::broken); other makes of host first, then in this order.
    #[serde(default)]
    pub broken: Vec<String>,
}

/// A single host or a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSpec {
    /// Its name; for a cluster the cluster's.
    pub name: String,
    /// Whether its hosts form a cluster.
    #[serde(default)]
    pub cluster: bool,
    /// Its hosts.
    pub hosts: Vec<HostSpec>,
    /// Entries of `storage.cfg` by id.
    pub storages: BTreeMap<String, Storage>,
    /// Token that is made, as `user@realm!name`.
    #[serde(default = "default_token")]
    pub token_id: String,
    /// Privileges of that token at `/`; all that managing guests takes, if none are given.
    #[serde(default)]
    pub privileges: Vec<String>,
    /// Password of root@pam; without one nobody logs in as root with a ticket.
    #[serde(default)]
    pub root_password: Option<String>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// What it is called outside, such as its name in an inventory.
    pub name: String,
    /// What Proxmox VE calls it.
    pub node: String,
    /// Its address.
    pub address: String,
    /// Logical CPUs.
    pub cpus: u32,
    /// CPU as `/proc/cpuinfo` names it.
    #[serde(default)]
    pub cpu_model: String,
    /// RAM.
    pub memory: Size,
    /// Size of the root file system.
    pub root: Size,
    /// ZFS pools and their sizes.
    #[serde(default)]
    pub pools: BTreeMap<String, Size>,
    /// Datasets that are there, with properties.
    #[serde(default)]
    pub datasets: BTreeMap<String, BTreeMap<String, String>>,
    /// PCI functions by address.
    #[serde(default)]
    pub pci: BTreeMap<String, PciDevice>,
    /// Network interfaces.
    pub networks: BTreeMap<String, Network>,
}

fn default_token() -> String {
    "infra@pve!lab".to_owned()
}

impl HostSpec {
    /// A workstation: 32 threads, 64 GiB, a pool `rpool` of 2 TB, one bridge.
    #[must_use]
    pub fn workstation(name: &str, node: &str, address: &str) -> Self {
        let network = |kind: &str, cidr: Option<&str>, ports: &str| Network {
            kind: kind.to_owned(),
            cidr: cidr.map(str::to_owned),
            ports: ports.to_owned(),
            autostart: kind == "bridge",
            ..Network::default()
        };
        let networks = BTreeMap::from([
            ("enp5s0".to_owned(), network("eth", None, "")),
            ("vmbr0".to_owned(), network("bridge", Some(&format!("{address}/24")), "enp5s0")),
        ]);
        Self {
            name: name.to_owned(),
            node: node.to_owned(),
            address: address.to_owned(),
            cpus: 32,
            cpu_model: "AMD Ryzen 9 7950X 16-Core Processor".to_owned(),
            memory: Size::gib(64),
            root: Size::gib(200),
            pools: BTreeMap::from([("rpool".to_owned(), Size::gib(1800))]),
            datasets: BTreeMap::from([
                ("rpool/ROOT".to_owned(), BTreeMap::from([("mountpoint".to_owned(), "none".to_owned())])),
                ("rpool/data".to_owned(), BTreeMap::new()),
            ]),
            pci: board(),
            networks,
        }
    }

    /// Puts devices in.
    #[must_use]
    pub fn with_pci(mut self, devices: BTreeMap<String, PciDevice>) -> Self {
        self.pci.extend(devices);
        self
    }

    fn node(&self, now_ms: i64) -> Node {
        let mut zfs = Zfs::default();
        for (name, size) in &self.pools {
            zfs.pools.insert(name.clone(), Zpool { size: size.as_bytes(), health: "ONLINE".to_owned() });
            let root =
                Dataset { mounted: true, mode: 0o755, used: 98_304, created: now_ms / 1000, ..Dataset::default() };
            zfs.datasets.insert(name.clone(), root);
        }
        for (name, properties) in &self.datasets {
            // A dataset of an unknown pool is the scenario's mistake; `world` reports it.
            let _ = zfs.create(name, DatasetKind::Filesystem, properties.clone(), true, now_ms / 1000);
        }
        Node {
            address: self.address.clone(),
            online: true,
            cpus: self.cpus,
            cpu_model: self.cpu_model.clone(),
            memory: self.memory.as_bytes(),
            root_size: self.root.as_bytes(),
            root_used: (12 << 30).min(self.root.as_bytes()),
            booted_ms: now_ms - 3_600_000,
            pci: self.pci.clone(),
            networks: self.networks.clone(),
            zfs,
            ..Node::default()
        }
    }
}

/// The storages that the installer makes on ZFS: `local` and `local-zfs`.
#[must_use]
pub fn installer_storages() -> BTreeMap<String, Storage> {
    BTreeMap::from([
        (
            "local".to_owned(),
            Storage::new(
                StorageKind::Dir { path: "/var/lib/vz".to_owned(), size: None },
                &["backup", "import", "iso", "snippets", "vztmpl"],
            ),
        ),
        (
            "local-zfs".to_owned(),
            Storage::new(StorageKind::ZfsPool { pool: "rpool/data".to_owned(), sparse: true }, &["images", "rootdir"]),
        ),
    ])
}

/// Container templates that the appliance index usually offers.
#[must_use]
pub fn usual_appliances() -> Vec<Appliance> {
    let one = |os: &str, package: &str, version: &str, end: &str, size: u64| {
        let template = format!("{package}_{version}_amd64.tar.{end}");
        Appliance {
            package: package.to_owned(),
            version: version.to_owned(),
            os: os.to_owned(),
            section: "system".to_owned(),
            headline: format!("LXC default image for {os}"),
            size,
            sha512: conf::hex(&Sha512::digest(template.as_bytes())),
            template,
        }
    };
    vec![
        one("alpine-3.22", "alpine-3.22-default", "20250617", "xz", 3_300_000),
        one("debian-12", "debian-12-standard", "12.12-1", "zst", 126_000_000),
        one("debian-13", "debian-13-standard", "13.1-2", "zst", 130_000_000),
        one("ubuntu-24.04", "ubuntu-24.04-standard", "24.04-2", "zst", 141_000_000),
    ]
}

impl SiteSpec {
    /// A single host with the storages that the installer makes.
    #[must_use]
    pub fn single(host: HostSpec) -> Self {
        Self {
            name: host.name.clone(),
            cluster: false,
            hosts: vec![host],
            storages: installer_storages(),
            token_id: default_token(),
            privileges: Vec::new(),
            root_password: None,
        }
    }

    /// Hosts in a cluster, each with the storages that the installer makes.
    #[must_use]
    pub fn cluster(name: &str, hosts: Vec<HostSpec>) -> Self {
        Self {
            name: name.to_owned(),
            cluster: true,
            hosts,
            storages: installer_storages(),
            token_id: default_token(),
            privileges: Vec::new(),
            root_password: None,
        }
    }
}

/// What managing guests takes: everything but logins, shells and switching the host off.
fn usual_privileges(version: Version) -> Vec<String> {
    let not = [
        "Permissions.Modify",
        "Realm.Allocate",
        "Realm.AllocateUser",
        "User.Modify",
        "Group.Allocate",
        "Sys.Console",
        "Sys.PowerMgmt",
        "Sys.Incoming",
        "Sys.Syslog",
    ];
    known_privileges(version).into_iter().filter(|p| !not.contains(p)).map(str::to_owned).collect()
}

impl Scenario {
    /// One workstation `pve1` with an RTX 4090.
    #[must_use]
    pub fn example() -> Self {
        let host = HostSpec::workstation("pve1", "pve1", "192.168.10.2").with_pci(graphics_card(
            "0000:01:00",
            ("10de", "2684"),
            "AD102 [GeForce RTX 4090]",
            14,
        ));
        Self::of(vec![SiteSpec::single(host)])
    }

    /// Three workstations in one cluster, `a1`, `a2` and `a3`; the first two have an RTX 4090 each, at
    /// different addresses.
    #[must_use]
    pub fn cluster() -> Self {
        let card = |slot| graphics_card(slot, ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
        let mut hosts: Vec<HostSpec> = (1..=3)
            .map(|n| HostSpec::workstation(&format!("a{n}"), &format!("a{n}"), &format!("192.168.10.{}", 10 + n)))
            .collect();
        for (host, slot) in hosts.iter_mut().zip(["0000:01:00", "0000:41:00"]) {
            host.pci.extend(card(slot));
        }
        Self::of(vec![SiteSpec::cluster("alpha", hosts)])
    }

    /// The scenario of a name: `example` or `cluster`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "example" => Some(Self::example()),
            "cluster" => Some(Self::cluster()),
            _ => None,
        }
    }

    /// These sites, and what there usually is to fetch.
    #[must_use]
    pub fn of(sites: Vec<SiteSpec>) -> Self {
        Self {
            version: Version::default(),
            seed: 0,
            pace: 0,
            sites,
            appliances: Vec::new(),
            downloads: BTreeMap::new(),
            any_download: false,
            operator: None,
            faults: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Reads a scenario.
    ///
    /// # Errors
    /// If it is not JSON, or not a scenario.
    pub fn from_json(text: &str) -> Result<Self, LabError> {
        serde_json::from_str(text).map_err(|error| LabError::Scenario { why: error.to_string() })
    }

    /// Makes a file known that can be fetched. The sum is that of nothing real: it is what the lab's file has.
    #[must_use]
    pub fn knows(mut self, url: &str, size: Size, sha256: &str, virtual_size: Option<Size>) -> Self {
        self.downloads.insert(
            url.to_owned(),
            Download {
                size: size.as_bytes(),
                checksums: BTreeMap::from([("sha256".to_owned(), sha256.to_owned())]),
                virtual_size: virtual_size.map(Size::as_bytes),
                ..Download::default()
            },
        );
        self
    }

    /// The world of one of its sites; `secret` is that of its token.
    ///
    /// # Errors
    /// If the site contradicts itself.
    pub fn world(&self, site: &SiteSpec, secret: &str, now: jiff::Timestamp) -> Result<World, LabError> {
        let refuse = |why: String| Err(LabError::Scenario { why });
        let now_ms = now.as_millisecond();
        let mut world = World { version: self.version, pace: self.pace, random: self.seed, now_ms, ..World::default() };
        world.cluster = site.cluster.then(|| site.name.clone());
        if !site.cluster && site.hosts.len() != 1 {
            return refuse(format!("site `{}` has {} hosts but is no cluster", site.name, site.hosts.len()));
        }
        for host in &site.hosts {
            for name in host.datasets.keys() {
                let pool = name.split('/').next().unwrap_or_default();
                if !host.pools.contains_key(pool) {
                    return refuse(format!("dataset `{name}` of `{}` is in no pool of it", host.name));
                }
            }
            if world.nodes.insert(host.node.clone(), host.node(now_ms)).is_some() {
                return refuse(format!("two hosts of `{}` are node `{}`", site.name, host.node));
            }
        }
        world.storages = site.storages.clone();
        world.storages.entry("local".to_owned()).or_insert_with(Storage::assumed_local);
        for (id, storage) in &site.storages {
            let StorageKind::ZfsPool { pool, .. } = &storage.kind else { continue };
            for (name, node) in world.nodes.iter_mut().filter(|(name, _)| storage.serves(name)) {
                if !node.zfs.pools.contains_key(pool.split('/').next().unwrap_or_default()) {
                    return refuse(format!("storage `{id}` is on `{pool}`, but node `{name}` has no such pool"));
                }
                let _ = node.zfs.create(pool, DatasetKind::Filesystem, BTreeMap::new(), true, now_ms / 1000);
            }
        }
        world.appliances = if self.appliances.is_empty() { usual_appliances() } else { self.appliances.clone() };
        world.operator = self.operator;
        world.downloads = self.downloads.clone();
        world.any_download = self.any_download;
        for appliance in &world.appliances {
            let url = format!("http://download.proxmox.com/images/{}/{}", appliance.section, appliance.template);
            let checksums = BTreeMap::from([("sha512".to_owned(), appliance.sha512.clone())]);
            let download = Download { size: appliance.size, checksums, ..Download::default() };
            world.downloads.entry(url).or_insert(download);
        }
        let Some((user, token)) = site.token_id.split_once('!') else {
            return refuse(format!("`{}` is no token id: write it as `infra@pve!lab`", site.token_id));
        };
        let tokens = BTreeMap::from([(token.to_owned(), Token::new(secret, false))]);
        world.access.users.insert(user.to_owned(), User { enabled: true, tokens, ..User::default() });
        world.access.users.entry("root@pam".to_owned()).or_insert(User { enabled: true, ..User::default() });
        if let (Some(password), Some(root)) = (&site.root_password, world.access.users.get_mut("root@pam")) {
            root.set_password(password);
        }
        let privileges =
            if site.privileges.is_empty() { usual_privileges(self.version) } else { site.privileges.clone() };
        world.access.roles.insert("Infra".to_owned(), privileges.into_iter().collect());
        if user != "root@pam" {
            let grantee = Grantee::User(user.to_owned());
            world.access.acls.push(Acl { path: "/".to_owned(), grantee, role: "Infra".to_owned(), propagate: true });
        }
        for node in world.nodes.values_mut() {
            machine::install(node, self.version, now_ms);
        }
        let defects: Result<Vec<_>, String> = self.broken.iter().map(|name| broken::find(name)).collect();
        let mut defects = defects.map_err(|why| LabError::Scenario { why })?;
        // Another make of host is furnished anew: what is wrong with it comes after that.
        defects.sort_by_key(|defect| !defect.is_variant());
        for defect in defects {
            for node in world.nodes.keys().cloned().collect::<Vec<_>>() {
                (defect.apply)(&mut world, &node);
            }
        }
        Ok(world)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_reads_back_from_json() {
        let example = Scenario::example();
        let text = serde_json::to_string_pretty(&example).unwrap();
        assert_eq!(Scenario::from_json(&text).unwrap(), example);
    }

    #[test]
    fn a_storage_needs_its_pool() {
        let mut example = Scenario::example();
        example.sites[0].hosts[0].pools.clear();
        example.sites[0].hosts[0].datasets.clear();
        let error = example.world(&example.sites[0], "s", jiff::Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("no such pool"), "{error}");
    }
}
