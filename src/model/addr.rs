//! The address of a resource: the same text in `--target`, plan, JSON, events and journal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::{Invalid, did_you_mean};

/// What kind of resource, in the order in which kinds depend on one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A resource pool.
    Pool,
    /// A PCI hardware mapping.
    PciMapping,
    /// A cloud image or a container template on a storage.
    Image,
    /// A cloud-init file on a storage.
    Snippet,
    /// A ZFS dataset.
    Dataset,
    /// A firewall alias of the datacenter: a guest's address by name.
    FirewallAlias,
    /// A firewall set of the datacenter: who may use what.
    FirewallIpset,
    /// A firewall security group.
    FirewallGroup,
    /// A virtual machine.
    Vm,
    /// A container.
    Container,
    /// A guest's own firewall options and rules.
    GuestFirewall,
    /// The reverse proxy's configuration in its guest.
    Routes,
    /// What a name server serves, in its guest.
    Zones,
    /// Our section of a tailnet's policy.
    TailnetPolicy,
    /// Names of an inventory in an OPNsense's Unbound.
    DnsRecords,
    /// A guest's place in the tailnet.
    TailnetDevice,
    /// The driver of a guest's GPU, and what hands it to containers.
    GpuDriver,
    /// Docker in a guest that services are deployed to.
    DockerEngine,
    /// A service in a guest.
    Service,
    /// A model that a service of a guest has.
    Model,
    /// Debian packages of a host.
    Packages,
    /// The kernel's command line of a host, where its boot loader takes it from.
    KernelCommandLine,
    /// Modules that a host loads at boot.
    Modules,
    /// Options of a host's modules, as its initial RAM disk has them.
    Modprobe,
    /// How much ZFS of a host may cache from now on.
    ArcLimit,
    /// Kernel settings of a host.
    Sysctl,
    /// A host's own firewall options and rules.
    HostFirewall,
    /// The firewall of a datacenter: its switch, its policy, and who may manage its hosts.
    DatacenterFirewall,
}

impl Kind {
    /// Every kind, in dependency order.
    pub const ALL: [Self; 28] = [
        Self::Pool,
        Self::PciMapping,
        Self::Image,
        Self::Snippet,
        Self::Dataset,
        Self::FirewallAlias,
        Self::FirewallIpset,
        Self::FirewallGroup,
        Self::Vm,
        Self::Container,
        Self::GuestFirewall,
        Self::Routes,
        Self::Zones,
        Self::TailnetPolicy,
        Self::DnsRecords,
        Self::TailnetDevice,
        Self::GpuDriver,
        Self::DockerEngine,
        Self::Service,
        Self::Model,
        Self::Packages,
        Self::KernelCommandLine,
        Self::Modules,
        Self::Modprobe,
        Self::ArcLimit,
        Self::Sysctl,
        Self::HostFirewall,
        Self::DatacenterFirewall,
    ];

    /// The part of an address before the dot.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::KernelCommandLine => "kernel_command_line",
            Self::Modules => "modules",
            Self::Modprobe => "modprobe",
            Self::ArcLimit => "arc_limit",
            Self::Sysctl => "sysctl",
            Self::Pool => "pool",
            Self::PciMapping => "pci_mapping",
            Self::Image => "image",
            Self::Snippet => "snippet",
            Self::Dataset => "dataset",
            Self::FirewallAlias => "firewall_alias",
            Self::FirewallIpset => "firewall_ipset",
            Self::FirewallGroup => "firewall_group",
            Self::Vm => "vm",
            Self::Container => "ct",
            Self::GuestFirewall => "guest_firewall",
            Self::Routes => "routes",
            Self::Zones => "zones",
            Self::TailnetPolicy => "tailnet_policy",
            Self::DnsRecords => "dns_records",
            Self::TailnetDevice => "tailnet_device",
            Self::GpuDriver => "gpu_driver",
            Self::DockerEngine => "docker_engine",
            Self::Service => "service",
            Self::Model => "model",
            Self::HostFirewall => "host_firewall",
            Self::DatacenterFirewall => "datacenter_firewall",
        }
    }
}

/// A kind and a stable name: `vm.plan-hq`, `ct.proj-x`, `dataset.hq:rpool/containers/proj-x`.
///
/// What belongs to one host (image, snippet, dataset) or to one site (pool, mapping, what its
/// firewall shares) carries
/// that host's or site's name and a colon, so that two hosts with the same dataset path stay apart.
/// Guests need none: their names are unique in an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Addr {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
}

impl Addr {
    /// Joins kind and name.
    pub fn new(kind: Kind, name: impl fmt::Display) -> Self {
        Self { kind, name: name.to_string() }
    }

    /// Joins kind, place and name.
    pub fn placed(kind: Kind, place: impl fmt::Display, name: impl fmt::Display) -> Self {
        Self { kind, name: format!("{place}:{name}") }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for Addr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let kinds = || Kind::ALL.iter().map(|k| k.as_str());
        let (kind, name) = text.split_once('.').filter(|(_, name)| !name.is_empty()).ok_or_else(|| {
            Invalid::new(format!("`{text}` is not an address")).hint("write kind and name, such as `vm.plan-hq`")
        })?;
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or_else(|| {
            Invalid::new(format!("`{kind}` is not a kind of resource")).hint(
                did_you_mean(kind, kinds())
                    .unwrap_or_else(|| format!("kinds are {}", kinds().collect::<Vec<_>>().join(", "))),
            )
        })?;
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl TryFrom<String> for Addr {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Addr> for String {
    fn from(addr: Addr) -> Self {
        addr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back() {
        for text in ["vm.plan-hq", "ct.proj-x", "dataset.hq:rpool/containers/proj-x", "image.hq:debian-12.7"] {
            assert_eq!(text.parse::<Addr>().unwrap().to_string(), text);
        }
        assert!("vm".parse::<Addr>().is_err());
        assert!("vm.".parse::<Addr>().is_err());
        assert!("nope.x".parse::<Addr>().is_err());
    }
}
