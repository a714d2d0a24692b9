//! Addresses as rules and sets name them.
//!
//! Owns lists and ranges of one IP version ([`Addresses`]) and IP sets ([`IpSet`]), with what Proxmox refuses in them
//! (`parse_address_list`, `parse_ip_or_cidr` of pve-firewall). Names (`+set`, aliases) are resolved by `tables`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// An IP version: Proxmox compiles each rule once for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Addresses of one version, as ranges with both ends in them; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl Addresses {
    /// Reads `10.0.0.1`, `10.0.0.0/24`, `10.0.0.1,10.0.0.3` or `10.0.0.1-10.0.0.9`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let range = match part.split_once('-') {
                Some((first, last)) => (address(first)?, address(last)?),
                None => ends(exact(part)?),
            };
            if part.contains('-') && text.contains(',') {
                return Err("a range stands in a list".into());
            }
            if range.0 > range.1 {
                return Err(format!("`{part}` ends before it begins"));
            }
            ranges.push(range);
        }
        let version = Version::of(ranges[0].0);
        if ranges.iter().any(|(first, last)| Version::of(*first) != version || Version::of(*last) != version) {
            return Err("IPv4 and IPv6 stand in one list".into());
        }
        Ok(Self { ranges })
    }

    pub fn of_network(network: IpNet) -> Self {
        Self { ranges: vec![ends(network)] }
    }

    pub fn version(&self) -> Version {
        Version::of(self.ranges[0].0)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|(first, last)| *first <= address && address <= *last)
    }

    /// Where what is in it begins, and where what is not in it begins again.
    pub fn cuts(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ranges.iter().flat_map(|(first, last)| [Some(*first), after(*last)]).flatten()
    }
}

/// The next address, if there is one.
pub(super) fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(four) => u32::from(four).checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(six) => u128::from(six).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
}

/// First and last address of a network.
pub(super) fn ends(network: IpNet) -> (IpAddr, IpAddr) {
    let last = match network {
        // `broadcast` of a single address is that address.
        IpNet::V4(four) => IpAddr::V4(four.broadcast()),
        IpNet::V6(six) => IpAddr::V6(six.broadcast()),
    };
    (network.network(), last)
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address"))
}

/// A network whose address is its first one: PVE refuses `10.0.0.5/24` in a rule.
fn exact(text: &str) -> Result<IpNet, String> {
    let network = network(text)?;
    if network.trunc() == network { Ok(network) } else { Err(format!("`{text}` has bits set beyond its prefix")) }
}

/// An address or a network, as in sets and aliases.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let single = text.parse::<IpAddr>().ok().map(IpNet::from);
    single.or_else(|| text.parse().ok()).ok_or_else(|| format!("`{text}` is neither an address nor a network"))
}

/// An IP set of one version: the longest prefix that an address is in decides (`ipset(8)`, hash:net with `nomatch`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IpSet {
    entries: Vec<(IpNet, bool)>,
}

impl IpSet {
    /// Adds a network, or an exception. A later entry for the same network takes the place of an earlier one.
    pub fn insert(&mut self, network: IpNet, exception: bool) {
        let network = network.trunc();
        self.entries.retain(|(known, _)| *known != network);
        self.entries.push((network, exception));
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let of = |entry: &&(IpNet, bool)| entry.0.contains(&address);
        self.entries.iter().filter(of).max_by_key(|(network, _)| network.prefix_len()).is_some_and(|(_, no)| !no)
    }

    /// Where a network of it begins, and where one has ended.
    pub fn cuts(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.entries
            .iter()
            .map(|(network, _)| ends(*network))
            .flat_map(|(first, last)| [Some(first), after(last)])
            .flatten()
    }
}

/// How an address is seen from a host that is on these networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    /// One party.
    Unicast,
    /// All of a network.
    Broadcast,
    /// A group.
    Multicast,
}

impl Cast {
    pub fn of(address: IpAddr, networks: &[IpNet]) -> Self {
        let IpAddr::V4(four) = address else {
            return if address.is_multicast() { Self::Multicast } else { Self::Unicast };
        };
        let broadcast = |network: &IpNet| match network {
            IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == four,
            IpNet::V6(_) => false,
        };
        if four.is_multicast() {
            Self::Multicast
        } else if four == Ipv4Addr::BROADCAST || networks.iter().any(broadcast) {
            Self::Broadcast
        } else {
            Self::Unicast
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn lists_ranges_and_networks_contain_what_they_say() {
        let list = Addresses::parse("10.0.0.1,10.0.1.0/24").unwrap();
        assert!(list.contains(ip("10.0.0.1")) && list.contains(ip("10.0.1.255")) && !list.contains(ip("10.0.0.2")));
        let range = Addresses::parse("10.0.0.20-10.0.0.22").unwrap();
        assert!(range.contains(ip("10.0.0.21")) && !range.contains(ip("10.0.0.23")) && !range.contains(ip("fe80::1")));
        for wrong in
            ["10.0.0.5/24", "10.0.0.1,fe80::1", "10.0.0.1-10.0.0.3,10.0.0.9", "10.0.0.3-10.0.0.1", "planhq", ""]
        {
            assert!(Addresses::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_exception_in_a_set_holds_for_what_no_longer_prefix_names() {
        let mut set = IpSet::default();
        set.insert("10.0.0.0/24".parse().unwrap(), false);
        set.insert("10.0.0.128/25".parse().unwrap(), true);
        set.insert("10.0.0.200/32".parse().unwrap(), false);
        let inside = |text: &str| set.contains(ip(text));
        assert!(inside("10.0.0.5") && !inside("10.0.0.129") && inside("10.0.0.200") && !inside("10.0.1.1"));
    }
}
