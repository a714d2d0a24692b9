//! The blueprint's nouns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use camino::Utf8PathBuf;
use ipnet::IpNet;

use super::{Dns, Flow, Ingress, Service, Tailnet};
use crate::diag::Span;
use crate::model::{
    BridgeName, DatasetName, EnvironmentName, Fingerprint, GpuName, GroupName, GuestName, HostName, Interface,
    NodeName, PciAddress, PciId, PoolName, ServiceName, Size, StorageName, Tag, Vmid,
};

/// One environment, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// Its name; marks what it owns.
    pub name: EnvironmentName,
    /// The resource pool that its guests are members of.
    pub pool: PoolName,
    /// Its hosts.
    pub hosts: BTreeMap<HostName, Host>,
    /// Its guests.
    pub guests: BTreeMap<GuestName, Guest>,
    /// Images that at least one guest is made from, by the inventory's name for them.
    pub images: BTreeMap<String, Image>,
    /// Security groups that at least one guest uses.
    pub groups: BTreeMap<GroupName, SecurityGroup>,
    /// Services that at least one guest has, those that every guest has among them.
    pub services: BTreeMap<ServiceName, Service>,
    /// Who may talk to whom.
    pub flows: Vec<Flow>,
    /// The reverse proxy with its web sites.
    pub ingress: Option<Ingress>,
    /// Zones and names.
    pub dns: Dns,
    /// The tailnet that guests join, if any.
    pub tailnet: Option<Tailnet>,
}

impl Blueprint {
    /// The host that a guest is placed on.
    ///
    /// # Panics
    /// Never for a guest of this blueprint: [`super`] resolves no guest without its host.
    #[must_use]
    pub fn host_of(&self, guest: &Guest) -> &Host {
        &self.hosts[&guest.host]
    }

    /// Networks that are not the internet, sorted and without overlaps: those of the guests, and all private address
    /// space, whoever uses it. How hosts are reached from here says nothing about them: it differs from place to place.
    #[must_use]
    pub fn inside(&self) -> Vec<IpNet> {
        let subnets = self.hosts.values().map(|host| host.network.subnet.trunc());
        let mut inside = IpNet::aggregate(&private().into_iter().chain(subnets).collect());
        inside.sort();
        inside
    }

    /// Services of a guest: those that it lists, then those that every guest has.
    pub fn services_of<'a>(&'a self, guest: &'a Guest) -> impl Iterator<Item = &'a Service> {
        let own = guest.services.iter().filter_map(|name| self.services.get(name));
        own.chain(
            self.services.values().filter(|service| service.everywhere && !guest.services.contains(&service.name)),
        )
    }

    /// One host per site, the first by name: whom to ask for what the whole site shares.
    #[must_use]
    pub fn sites(&self) -> BTreeMap<&str, &Host> {
        let mut sites = BTreeMap::new();
        for host in self.hosts.values() {
            sites.entry(host.site.as_str()).or_insert(host);
        }
        sites
    }
}

/// Address space that nobody reaches over the internet: RFC 1918, carrier-grade NAT (and the tailnet), link-local,
/// unique local addresses.
fn private() -> [IpNet; 7] {
    ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"]
        .map(|network| network.parse().expect("a network"))
}

/// One Proxmox VE host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What the inventory calls it.
    pub name: HostName,
    /// Its node name in Proxmox; the inventory's name unless given.
    pub node: NodeName,
    /// The cluster that it is in, or its own name: hosts with the same site share guests' numbers,
    /// pools, mappings and firewall groups.
    pub site: String,
    /// How to reach it.
    pub access: Access,
    /// Where things go on it.
    pub storage: HostStorage,
    /// Its guests' network.
    pub network: HostNetwork,
    /// Its own firewall; left as it is if none was declared.
    pub firewall: Option<HostFirewall>,
    /// Its GPUs.
    pub gpus: BTreeMap<GpuName, Gpu>,
    /// What its own system shall be.
    pub system: HostSystem,
    /// Where it was declared.
    pub span: Span,
}

/// A host's own firewall: whatever is not said here is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFirewall {
    /// Where the operator is, in order: networks without one another twice.
    pub allow_from: BTreeSet<IpNet>,
    /// TCP ports that can be reached from there beside those of `management`, which PVE opens itself (22, 3128, 5900
    /// to 5999, 8006).
    pub ports: BTreeSet<u16>,
    /// Further rules, top rule first.
    pub rules: Vec<Rule>,
    /// Where it was declared.
    pub span: Span,
    /// Where `allow_from` was declared.
    pub allow_from_span: Span,
}

/// How a host is reached. The only part of a blueprint that `--lab` replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The API.
    pub api: ApiAccess,
    /// SSH; without it, what Proxmox gives to root@pam only cannot be done.
    pub ssh: Option<SshAccess>,
}

/// The API of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAccess {
    /// Name or address.
    pub host: String,
    /// 8006 unless given.
    pub port: u16,
    /// `user@realm!name`.
    pub token_id: String,
    /// Where the token's secret comes from.
    pub token: SecretRef,
    /// How the host proves who it is.
    pub trust: Trust,
}

/// How a host proves who it is. There is no way to say "do not check".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Its certificate has this SHA-256.
    Fingerprint(Fingerprint),
    /// Its certificate is signed by a CA in this PEM file.
    CaFile(Utf8PathBuf),
}

/// SSH to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAccess {
    /// Name or address.
    pub host: String,
    /// 22 unless given.
    pub port: u16,
    /// `root` unless given.
    pub user: String,
    /// The key that it must present, `ssh-ed25519 AAAA…`; else `known_hosts` decides.
    pub host_key: Option<String>,
    /// A private key file to log in with; else the agent and the usual files are tried.
    pub identity: Option<Utf8PathBuf>,
    /// A host to go through.
    pub jump: Option<Box<SshAccess>>,
}

/// A secret by name; what it is, is read at the last moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    /// What follows `secret:`.
    pub name: String,
    /// Where it was written.
    pub span: Span,
}

/// Where things go on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStorage {
    /// Disks and root file systems.
    pub guests: StorageName,
    /// Images, templates, snippets.
    pub files: StorageName,
    /// Parent of the datasets that are mounted into containers.
    pub datasets: Option<DatasetName>,
}

/// The network that a host's guests are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNetwork {
    /// The bridge.
    pub bridge: BridgeName,
    /// The network.
    pub subnet: IpNet,
    /// Its gateway, in `subnet`.
    pub gateway: IpAddr,
    /// Name servers; the gateway unless given.
    pub dns: Vec<IpAddr>,
    /// Search domain.
    pub domain: Option<String>,
    /// VLAN of the guests, 1 to 4094.
    pub vlan: Option<u16>,
}

/// What a host's own system shall be; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSystem {
    /// Parameters that the kernel shall be started with, in order.
    pub kernel_parameters: Vec<String>,
    /// Whether `vfio-pci` takes the GPUs that are passed to VMs at boot, and not when a VM starts.
    pub vfio_at_boot: bool,
    /// Modules to load at boot, beside those that passing GPUs through needs.
    pub modules: Vec<String>,
    /// The most that ZFS may take for its cache (ARC).
    pub arc: Option<Size>,
    /// Memory that is kept for the host itself, beside guests and ZFS's cache.
    pub reserve: Option<Size>,
    /// Settings of the kernel.
    pub sysctl: BTreeMap<String, String>,
    /// Debian packages that the host shall have.
    pub packages: Vec<String>,
    /// Where it was declared, if it was.
    pub span: Option<Span>,
}

/// A GPU by its identity; where it sits is looked up on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Vendor and device of its first function.
    pub id: PciId,
    /// Vendor and device of its board, where several cards have the same id.
    pub subsystem: Option<PciId>,
    /// Where it must sit; only needed to tell equal cards apart.
    pub address: Option<PciAddress>,
    /// Its memory.
    pub vram: Option<Size>,
    /// Where it was declared.
    pub span: Span,
}

/// Something that guests are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The inventory's name for it.
    pub name: String,
    /// Where it comes from.
    pub source: ImageSource,
    /// Where it was declared.
    pub span: Span,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A disk image from the web.
    Cloud {
        /// `https://…`.
        url: String,
        /// SHA-256 in lower-case hex.
        sha256: String,
        /// The file's name on the storage, ending in `.qcow2`, `.raw` or `.vmdk` (PVE: content type
        /// `import` takes nothing else).
        file: String,
    },
    /// A container template of Proxmox's own appliance list, by its full file name.
    Template {
        /// Such as `debian-12-standard_12.12-1_amd64.tar.zst`.
        file: String,
    },
}

/// One VM or container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its name, also its host name.
    pub name: GuestName,
    /// Where it is placed.
    pub host: HostName,
    /// Its number.
    pub vmid: Vmid,
    /// VM or container, with what only that kind has.
    pub shape: GuestShape,
    /// Virtual CPUs.
    pub cores: u32,
    /// Memory; a whole number of MiB.
    pub memory: Size,
    /// System disk or root file system; a whole number of GiB.
    pub disk: Size,
    /// Where that disk is; the host's `storage.guests` unless given.
    pub storage: StorageName,
    /// The image: key of [`Blueprint::images`].
    pub image: String,
    /// Its address.
    pub interface: Interface,
    /// Whether it shall run.
    pub power: PowerState,
    /// Whether it starts with the host.
    pub onboot: bool,
    /// When it starts with the host.
    pub startup: Startup,
    /// Whether PVE shall refuse to remove it.
    pub protection: bool,
    /// Tags beside the ownership tag.
    pub tags: BTreeSet<Tag>,
    /// Notes above the ownership marker.
    pub notes: String,
    /// Public SSH keys of root (container) or of the cloud-init user (VM).
    pub ssh_keys: Vec<String>,
    /// Its firewall.
    pub firewall: Firewall,
    /// Services that run in it: keys of [`Blueprint::services`].
    pub services: Vec<ServiceName>,
    /// Where the guest was declared.
    pub span: Span,
    /// Where single values were written, by the path of the inventory (`memory`, `datasets`), so that
    /// a problem found later points at its line.
    pub spans: BTreeMap<String, Span>,
}

impl Guest {
    /// Where `path` was written, else where the guest was.
    #[must_use]
    pub fn span_of(&self, path: &str) -> Span {
        self.spans.get(path).copied().unwrap_or(self.span)
    }
}

/// What only one kind of guest has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestShape {
    /// A virtual machine.
    Vm(Vm),
    /// A container.
    Container(Container),
}

impl GuestShape {
    /// Datasets that are mounted into it, if it is a container.
    #[must_use]
    pub fn datasets(&self) -> Option<&[DatasetMount]> {
        match self {
            Self::Vm(_) => None,
            Self::Container(container) => Some(&container.datasets),
        }
    }
}

/// What only a VM has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// GPUs of its host, passed through whole.
    pub gpus: Vec<GpuName>,
    /// CPU model; `host` unless given.
    pub cpu: CpuModel,
    /// Whether the host may merge its memory pages with those of others; PVE's default is left alone unless given.
    pub ksm: Option<bool>,
    /// Cloud-init's first user.
    pub user: String,
    /// Packages that cloud-init installs beside the guest agent.
    pub packages: Vec<String>,
    /// The guest agent.
    pub agent: Agent,
}

/// A QEMU CPU model such as `host` or `x86-64-v3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuModel(pub String);

/// The QEMU guest agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent {
    /// Whether the VM has one.
    pub enabled: bool,
    /// For how long the first answer is waited for, in seconds.
    pub wait_s: u32,
}

/// What only a container has. All of them are unprivileged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Swap; a whole number of MiB.
    pub swap: Size,
    /// May run containers itself.
    pub nesting: bool,
    /// May use the kernel's keyring, which Docker needs. PVE: root@pam only.
    pub keyctl: bool,
    /// Limits beyond cores and memory.
    pub limits: Limits,
    /// Datasets that are mounted into it. PVE: bind mounts are root@pam only.
    pub datasets: Vec<DatasetMount>,
    /// Device nodes that are passed into it. PVE: root@pam only.
    pub devices: Vec<DeviceNode>,
}

/// Limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU time in hundredths of a core (PVE prints it as a fraction); `None` for no limit.
    pub cpu_centi: Option<u32>,
    /// Weight against other guests, 1 to 10,000; PVE's default unless given.
    pub cpu_units: Option<u32>,
}

/// A ZFS dataset and where a container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetMount {
    /// Its full name.
    pub dataset: DatasetName,
    /// Where the container sees it, absolute.
    pub mount: String,
    /// Most that it may use.
    pub quota: Option<Size>,
    /// Its record size, a power of two from 512 bytes to 16 MiB.
    pub recordsize: Option<Size>,
    /// Its compression, such as `zstd`.
    pub compression: Option<String>,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether this mount decides the dataset's properties (several containers may share one).
    pub owner: bool,
    /// Owner inside the container, as uid and gid; shifted by 100,000 on the host.
    pub uid_gid: (u32, u32),
    /// Where it was declared.
    pub span: Span,
}

/// A device node of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Its path, such as `/dev/net/tun`.
    pub path: String,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// Permission bits, such as `0o666`.
    pub mode: u32,
}

/// Whether a guest shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    /// It shall.
    Running,
    /// It shall not.
    Stopped,
}

/// When a guest starts with its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Startup {
    /// Lower ones first; they stop last.
    pub order: Option<u32>,
    /// Seconds until the next one starts.
    pub up_s: Option<u32>,
    /// Seconds that it may take to shut down.
    pub down_s: Option<u32>,
}

/// A guest's firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// Whether it is on at all.
    pub enabled: bool,
    /// What happens to inbound traffic that no rule names.
    pub inbound: Verdict,
    /// What happens to outbound traffic that no rule names.
    pub outbound: Verdict,
    /// Rules of its own, top rule first; before those of the groups.
    pub rules: Vec<Rule>,
    /// Security groups, in order.
    pub groups: Vec<GroupName>,
}

/// A named list of rules that guests share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its name.
    pub name: GroupName,
    /// What it is for.
    pub comment: String,
    /// Its rules, top rule first.
    pub rules: Vec<Rule>,
    /// Where it was declared.
    pub span: Span,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It vanishes.
    Drop,
    /// It is refused.
    Reject,
}

/// One firewall rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it looks at inbound traffic; outbound otherwise.
    pub inbound: bool,
    /// What happens to a packet that matches.
    pub verdict: Verdict,
    /// From where: networks or addresses.
    pub source: Vec<IpNet>,
    /// To where.
    pub dest: Vec<IpNet>,
    /// `tcp`, `udp`, `icmp`, `ipv6-icmp`.
    pub protocol: Option<String>,
    /// Ports or ranges as PVE writes them: `22`, `80,443`, `6000:6010`.
    pub ports: Option<String>,
    /// What it is for.
    pub comment: String,
}
