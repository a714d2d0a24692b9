//! Addresses of guests.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address with the network that it is in, as `10.0.0.10/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interface(IpNet);

impl Interface {
    /// `address` in `network`, if it is a host address of it: neither its own nor its broadcast address.
    #[must_use]
    pub fn in_network(address: IpAddr, network: IpNet) -> Option<Self> {
        let usable = network.contains(&address)
            && address != network.network()
            && (address.is_ipv6() || address != network.broadcast());
        if usable { IpNet::new(address, network.prefix_len()).ok().map(Self) } else { None }
    }

    /// The address alone.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
