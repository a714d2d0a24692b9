//! What the solver is asked about: sites, hosts and guests with their firewalls and addresses.
//!
//! Plain data in the words of `model::observed`, whether it was observed or follows from the blueprint. Nothing is
//! judged here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::mac::Mac;
use crate::model::entrance::HostFirewall;
use crate::model::observed::{ClusterFirewall, GuestFirewall, GuestKind};
use crate::model::{GuestName, HostName, Vmid};

/// Everything that packets may pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Datacenter firewalls, by site.
    pub sites: BTreeMap<String, ClusterFirewall>,
    /// Hosts.
    pub hosts: BTreeMap<HostName, Host>,
    /// Guests.
    pub guests: BTreeMap<GuestName, Guest>,
    /// What is not known, and so is not in it.
    pub gaps: Vec<String>,
}

/// A host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Its site: key of [`Network::sites`].
    pub site: String,
    /// Its own firewall.
    pub firewall: HostFirewall,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The networks that it has an address in: their broadcast addresses are known to it.
    pub networks: Vec<IpNet>,
    /// What Proxmox calls `local_network`: the network of the address that the node's name stands for. Whoever is in
    /// it may manage the host.
    pub local_network: Option<IpNet>,
    /// The interface on which what is outside comes in.
    pub uplink: String,
}

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The host that it is on.
    pub host: HostName,
    /// VM or container.
    pub kind: GuestKind,
    /// Its number: the name of its firewall file.
    pub vmid: Vmid,
    /// Its network cards.
    pub nics: Vec<Nic>,
    /// Its firewall file, if there is one.
    pub firewall: Option<GuestFirewall>,
}

/// A network card of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its number: 0 for `net0`.
    pub index: u8,
    /// Its hardware address, once it has one.
    pub mac: Option<Mac>,
    /// The bridge that it is on.
    pub bridge: String,
    /// Its VLAN.
    pub vlan: Option<u16>,
    /// Whether the firewall sees what passes it.
    pub firewall: bool,
    /// Addresses that the guest has on it. Those of a container are in its IP filter.
    pub addresses: Vec<IpAddr>,
}

impl Guest {
    /// Its card by number.
    #[must_use]
    pub fn nic(&self, index: u8) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.index == index)
    }

    /// Every address that it has, with the number of the card.
    pub fn addresses(&self) -> impl Iterator<Item = (u8, IpAddr)> + '_ {
        self.nics.iter().flat_map(|nic| nic.addresses.iter().map(|address| (nic.index, *address)))
    }

    /// The name of its firewall file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.fw", self.vmid)
    }
}

/// Where a packet comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A card of a guest.
    Guest {
        /// The guest.
        name: GuestName,
        /// The number of the card.
        nic: u8,
    },
    /// A host.
    Host(HostName),
    /// Whatever is neither: it comes in over the uplink of the other end's host.
    Outside,
}

impl End {
    /// The first card of a guest.
    #[must_use]
    pub fn guest(name: GuestName) -> Self {
        Self::Guest { name, nic: 0 }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest { name, nic: 0 } => name.fmt(f),
            Self::Guest { name, nic } => write!(f, "{name} net{nic}"),
            Self::Host(host) => host.fmt(f),
            Self::Outside => f.write_str("outside"),
        }
    }
}
