//! What is there now, as it was read; nothing here is an opinion.
//!
//! Hosts that share one Proxmox cluster are one *site*: guests, pools, mappings and firewall groups
//! belong to the site; devices, storages, datasets and files to the host. Every part says of itself
//! whether it is all there ([`Fact`]), since from a partial observation nothing may be proposed for
//! deletion.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::docker::GuestDocker;
use super::entrance::Entrance;
use super::guest_look::GuestLook;
use super::machine::Machine;
use super::tailnet::GuestTailscale;
use super::{
    BridgeName, DatasetName, HostName, MappingName, NodeName, PciAddress, PciId, Permissions, StorageName, Upid, Vmid,
};

/// Something read from a host, with how much of it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact<T> {
    /// All of it.
    Complete {
        /// What was read.
        value: T,
    },
    /// Some of it.
    Partial {
        /// What was read.
        value: T,
        /// What is missing and why.
        why: String,
    },
    /// Nothing of it.
    Unavailable {
        /// Why.
        why: String,
    },
}

impl<T> Fact<T> {
    /// All of it was read.
    pub fn complete(value: T) -> Self {
        Self::Complete { value }
    }

    /// Nothing of it was read, because.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into() }
    }

    /// What was read, if anything.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Complete { value } | Self::Partial { value, .. } => Some(value),
            Self::Unavailable { .. } => None,
        }
    }

    /// Whether all of it was read: only then does "not in it" mean "not there".
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// What is missing and why.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Complete { .. } => None,
            Self::Partial { why, .. } | Self::Unavailable { why } => Some(why),
        }
    }
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self::unavailable("was not asked for")
    }
}

/// Everything that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// One entry per site, by the name of the cluster or of its only host.
    pub sites: BTreeMap<String, Site>,
    /// One entry per host of the inventory.
    pub hosts: BTreeMap<HostName, Host>,
    /// The tailnet, if the inventory has one.
    #[serde(default)]
    pub tailnet: super::tailnet::TailnetSeen,
    /// The OPNsense that keeps names, if the inventory has one.
    #[serde(default)]
    pub opnsense: super::opnsense::OpnSenseSeen,
}

/// What hosts of one cluster share; a single host is a site of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// `GET /version`: such as `9.2.11`.
    pub version: Fact<String>,
    /// Nodes and whether they are online.
    pub nodes: Fact<BTreeMap<NodeName, bool>>,
    /// Whether the cluster may write (quorum); a single node always may.
    pub quorate: Fact<bool>,
    /// Memory of its nodes in bytes; those that are off, or of which the token lacks `Sys.Audit`, are not in it.
    #[serde(default)]
    pub node_memory: Fact<BTreeMap<NodeName, u64>>,
    /// What the token may do where (`GET /access/permissions`): that of the first host that answered.
    pub permissions: Fact<Permissions>,
    /// Every guest that this token may see.
    pub guests: Fact<BTreeMap<Vmid, GuestListing>>,
    /// Configurations of the guests that were asked for.
    pub configs: BTreeMap<Vmid, Fact<GuestConfig>>,
    /// Resource pools with their comments.
    pub pools: Fact<BTreeMap<String, String>>,
    /// PCI mappings.
    pub mappings: Fact<BTreeMap<MappingName, PciMapping>>,
    /// Datacenter firewall: options and security groups.
    pub firewall: Fact<ClusterFirewall>,
    /// Firewall files of guests that have one.
    pub guest_firewalls: Fact<BTreeMap<Vmid, GuestFirewall>>,
    /// Every firewall file of the cluster but the datacenter's, by path: of nodes, of VNets, and of guests that the
    /// inventory does not know.
    #[serde(default)]
    pub firewall_files: Fact<BTreeMap<String, GuestFirewall>>,
    /// Tasks that run right now (`GET /cluster/tasks`): a guest with one is not planned, but waited for.
    pub tasks: Fact<Vec<Upid>>,
}

/// Which technology a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestKind {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl GuestKind {
    /// The word in PVE's URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }
}

/// One line of the guest list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestListing {
    /// VM or container.
    pub kind: GuestKind,
    /// Where it is now.
    pub node: NodeName,
    /// Its name; absent right after its creation.
    pub name: Option<String>,
    /// Whether it runs; unknown while its node is offline.
    pub status: Power,
    /// Tags as PVE stores them, split.
    pub tags: Vec<String>,
    /// The pool that it is a member of.
    pub pool: Option<String>,
    /// Why its configuration is locked, if it is.
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
    /// Bytes of memory that it may take; unknown right after its creation.
    #[serde(default)]
    pub memory: Option<u64>,
}

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It runs.
    Running,
    /// It does not.
    Stopped,
    /// Nobody can tell, as its node does not answer.
    Unknown,
}

/// A guest's configuration with what waits for a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestConfig {
    /// What is active, every scalar as text; `description` without trailing line breaks.
    pub current: BTreeMap<String, String>,
    /// What becomes active with the next start: a new value, or `None` for a removal.
    pub pending: BTreeMap<String, Option<String>>,
    /// SHA-1 of the file, for writes that must not overwrite somebody else's.
    pub digest: Option<String>,
}

impl GuestConfig {
    /// What `key` will be after the next start.
    #[must_use]
    pub fn coming(&self, key: &str) -> Option<&str> {
        match self.pending.get(key) {
            Some(pending) => pending.as_deref(),
            None => self.current.get(key).map(String::as_str),
        }
    }

    /// What `key` is right now.
    #[must_use]
    pub fn active(&self, key: &str) -> Option<&str> {
        self.current.get(key).map(String::as_str)
    }
}

/// A PCI mapping of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciMapping {
    /// Its description.
    pub description: String,
    /// One option string per node and device: `node=…,path=…,id=…,subsystem-id=…,iommugroup=…`.
    pub map: Vec<String>,
    /// SHA-1 of the file.
    pub digest: Option<String>,
}

/// The datacenter's firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFirewall {
    /// Whether there is a file at all.
    #[serde(default)]
    pub present: bool,
    /// Its options; without `enable` = `1` no rule of any guest is enforced.
    pub options: BTreeMap<String, String>,
    /// Security groups by name.
    pub groups: BTreeMap<String, FirewallGroup>,
    /// IP sets by lower-case name.
    #[serde(default)]
    pub ipsets: BTreeMap<String, FirewallIpSet>,
    /// Names for addresses, by lower-case name.
    #[serde(default)]
    pub aliases: BTreeMap<String, FirewallAlias>,
    /// Rules of all hosts, top rule first.
    #[serde(default)]
    pub rules: Vec<FirewallRule>,
}

/// A name for an address or a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallAlias {
    /// What it stands for, as it is written.
    pub cidr: String,
    /// Its comment.
    pub comment: String,
}

/// A set of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallIpSet {
    /// Its comment.
    pub comment: String,
    /// What is in it, as it is written: networks, addresses, names.
    pub entries: BTreeMap<String, IpSetEntry>,
}

/// One entry of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSetEntry {
    /// Its comment.
    pub comment: String,
    /// Whether it is an exception.
    pub nomatch: bool,
}

/// A security group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallGroup {
    /// Its comment.
    pub comment: String,
    /// Its rules, top rule first.
    pub rules: Vec<FirewallRule>,
}

/// A guest's firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFirewall {
    /// Options as they are set.
    pub options: BTreeMap<String, String>,
    /// Rules, top rule first.
    pub rules: Vec<FirewallRule>,
    /// Its own names for addresses, by lower-case name.
    #[serde(default)]
    pub aliases: BTreeMap<String, FirewallAlias>,
    /// Its own IP sets by lower-case name; `ipfilter-net0` says what may come out of `net0`.
    #[serde(default)]
    pub ipsets: BTreeMap<String, FirewallIpSet>,
}

/// A firewall rule, in the words of the API: `type`, `action`, `enable`, `macro`, `source`, `dest`,
/// `proto`, `dport`, `sport`, `iface`, `icmp-type`, `log`, `comment`. What is not set is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FirewallRule(pub BTreeMap<String, String>);

/// Which build of Proxmox VE a host runs (`GET /version`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Release {
    /// Version of its management package, such as `9.2.11`.
    pub version: String,
    /// Which build of that version; empty where it does not say.
    pub repoid: String,
}

/// What belongs to one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The site that it belongs to: key of [`Observed::sites`].
    pub site: String,
    /// Whether its node answers.
    pub online: Fact<bool>,
    /// How one gets into it.
    #[serde(default)]
    pub entrance: Entrance,
    /// What it runs.
    #[serde(default)]
    pub release: Fact<Release>,
    /// What it is below Proxmox: kernel, devices, boot chain.
    #[serde(default)]
    pub machine: Machine,
    /// Devices on its PCI bus.
    pub pci: Fact<Vec<PciDevice>>,
    /// Storages that it can use.
    pub storages: Fact<BTreeMap<StorageName, Storage>>,
    /// Volumes of the storages that were asked for, by volume id.
    pub volumes: BTreeMap<StorageName, Fact<BTreeMap<String, Volume>>>,
    /// ZFS file systems.
    pub datasets: Fact<BTreeMap<DatasetName, Dataset>>,
    /// Directories of file-based storages (`/etc/pve/storage.cfg`).
    pub storage_paths: Fact<BTreeMap<StorageName, String>>,
    /// How storages are set up (`/etc/pve/storage.cfg`), those of other nodes among them.
    pub storage_entries: Fact<BTreeMap<StorageName, StorageEntry>>,
    /// Files that were asked for; `None` for one that is not there.
    pub files: Fact<BTreeMap<String, Option<File>>>,
    /// Its bridges.
    pub bridges: Fact<Vec<BridgeName>>,
    /// File names of container templates that it can fetch; asked for only where one is missing.
    pub appliances: Fact<BTreeSet<String>>,
    /// What was seen in its guests that the inventory puts a configuration into.
    #[serde(default)]
    pub looks: BTreeMap<Vmid, Fact<GuestLook>>,
    /// Tailscale in its guests that are to be in the tailnet; those that were not asked are not in it.
    #[serde(default)]
    pub tailscale: BTreeMap<Vmid, Fact<GuestTailscale>>,
    /// Docker in its guests that services are deployed to; those that were not asked are not in it.
    #[serde(default)]
    pub docker: BTreeMap<Vmid, Fact<GuestDocker>>,
}

/// A device on the PCI bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciDevice {
    /// Where.
    pub address: PciAddress,
    /// What.
    pub id: PciId,
    /// Whose board; some devices have none.
    pub subsystem: Option<PciId>,
    /// Its IOMMU group; `None` where there is no IOMMU.
    pub iommu_group: Option<u32>,
    /// What it calls itself.
    pub name: Option<String>,
}

/// A storage as a node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// `dir`, `zfspool`, …
    pub kind: String,
    /// Content types that it takes, sorted.
    pub content: Vec<String>,
    /// Whether it is usable right now.
    pub active: bool,
    /// Free bytes.
    pub available: u64,
    /// Bytes in all.
    pub total: u64,
}

/// An entry of `storage.cfg`: what the API tells only who may change it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageEntry {
    /// `dir`, `zfspool`, …
    pub kind: String,
    /// Its options as they are written: `path`, `pool`, `sparse`, `nodes`, …; a switch without a value is `1`.
    pub options: BTreeMap<String, String>,
}

/// A volume on a storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Content type: `import`, `vztmpl`, `images`, …
    pub content: String,
    /// Bytes.
    pub size: u64,
}

/// A ZFS file system. Numbers are bytes; `None` where ZFS says `none` or `-`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Where it is mounted; `None` for `none` and `legacy`.
    pub mountpoint: Option<String>,
    /// Whether it is mounted now.
    pub mounted: bool,
    /// Its own quota.
    pub quota: Option<u64>,
    /// Its record size.
    pub recordsize: Option<u64>,
    /// Its compression.
    pub compression: String,
    /// Bytes that it and its children use.
    pub used: u64,
    /// The user property `infra:owner`: which inventory made it.
    pub owner: Option<String>,
    /// Owner of the mounted directory, as uid and gid of the host.
    pub uid_gid: Option<(u32, u32)>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
}
