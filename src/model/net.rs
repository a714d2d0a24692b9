//! Addresses of guests, and ports.

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

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// The word of firewalls and policies for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port, or several in a row; never empty, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// From `first` to `last`, both of them in it.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// One port.
    #[must_use]
    pub fn one(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// The first one.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last one.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is in it.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// As Proxmox VE writes it: `80`, or `8000:8100`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}:{}", self.first, self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_range_is_never_empty_and_never_zero() {
        assert_eq!((PortRange::new(0, 5), PortRange::new(6, 5)), (None, None));
        let range = PortRange::new(8000, 8100).unwrap();
        assert!(range.contains(8000) && range.contains(8100) && !range.contains(8101));
        assert_eq!((range.to_string(), PortRange::one(80).unwrap().to_string()), ("8000:8100".into(), "80".into()));
    }
}
