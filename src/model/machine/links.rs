//! Network interfaces.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A network interface: `ip -j -d link` and `ip -j addr`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Names that it answers to beside its own.
    pub alternative_names: Vec<String>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// `bridge`, `bond`, `vlan`, `veth`, `tun`, `openvswitch`, …; `None` for a physical one.
    pub kind: Option<String>,
    /// The bridge or bond that it is a port of.
    pub master: Option<String>,
    /// Whether it is switched on (`UP`), which says nothing of the cable.
    pub up: bool,
    /// Whether it has a carrier (`LOWER_UP`).
    pub carrier: bool,
    /// Of a bridge: whether it tells VLANs apart.
    pub vlan_aware: Option<bool>,
    /// Its addresses, each with its network.
    pub addresses: Vec<IpNet>,
}

/// All network interfaces of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Links(pub Vec<Link>);

impl Links {
    /// The interface of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Link> {
        self.0.iter().find(|link| link.name == name || link.alternative_names.iter().any(|other| other == name))
    }

    /// Ports of a bridge or bond.
    pub fn ports<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a Link> {
        self.0.iter().filter(move |link| link.master.as_deref() == Some(of))
    }

    /// The interface whose own network holds `address`: there the host can ask for it without a router.
    #[must_use]
    pub fn beside(&self, address: IpAddr) -> Option<&Link> {
        let holds = |network: &IpNet| network.contains(&address) && network.prefix_len() < network.max_prefix_len();
        self.0.iter().find(|link| link.up && link.addresses.iter().any(holds))
    }

    /// Whether `address` is the host's own.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        self.0.iter().any(|link| link.addresses.iter().any(|own| own.addr() == address))
    }
}
