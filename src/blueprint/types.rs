//! The environment as a whole, its hosts, and the images that guests are made from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use camino::Utf8PathBuf;
use ipnet::IpNet;

use super::{Dns, Flow, Guest, HostFirewall, Ingress, Model, Secrets, SecurityGroup, Service, Tailnet};
use crate::diag::Span;
use crate::model::{
    BridgeName, DatasetName, EnvironmentName, Fingerprint, GpuName, GroupName, GuestName, HostName, ModelName,
    NodeName, PciAddress, PciId, PoolName, ServiceName, Size, StorageName,
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
    /// Models that runners serve.
    pub models: BTreeMap<ModelName, Model>,
    /// Where the values of secrets come from.
    pub secrets: Secrets,
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

    /// Networks that are not the internet, sorted and without overlaps: those of the guests, all private address space,
    /// whoever uses it, what reaches many at once, and the hosts themselves, where the inventory has their addresses
    /// ([`Host::addresses`]): a public one is no internet either.
    #[must_use]
    pub fn inside(&self) -> Vec<IpNet> {
        let subnets = self.hosts.values().map(|host| host.network.subnet.trunc());
        let hosts = self.hosts.values().flat_map(Host::addresses).map(IpNet::from);
        let mut inside = IpNet::aggregate(&private().into_iter().chain(subnets).chain(hosts).collect());
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
/// unique local addresses; multicast and the broadcast to whoever is on the same bridge.
fn private() -> [IpNet; 10] {
    [
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    ]
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
    /// Its name in DNS or its address, however it is reached from here.
    pub address: String,
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

impl Host {
    /// Addresses that the inventory knows it by. What leads to it over the loopback is a tunnel of this machine's.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let ssh = self.access.ssh.as_ref().map(|ssh| &ssh.host);
        let known = [Some(&self.access.api.host), ssh, Some(&self.address)].into_iter().flatten();
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in known.filter_map(|text| text.parse::<IpAddr>().ok()).filter(|address| !address.is_loopback()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
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
