//! What the chains of a guest's network interface do to a first packet, on its way out and on its way in.
//!
//! After the chains that 9.2.11's own compiler made of 60 configurations. On the way out: spoofed MAC addresses, then
//! spoofed addresses, then rules, then the policy; on the way in: rules, then the policy. Entry: [`judge`].

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::world::Firewall;
use super::packet_filter::{Seen, Verdict, View, verdict};

/// A guest's interface as the chains know it.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// Its number: `net0`.
    pub number: u32,
    /// Whether `firewall=1` is set.
    pub filtered: bool,
    /// Its own address, if the configuration of a container says one; a VM's configuration is not asked.
    pub address: Option<IpAddr>,
    /// The guest's own file.
    pub firewall: &'a Firewall,
}

/// A first packet, from a port that no protocol has for itself: DHCP has rules of its own, which it does not meet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Whether it goes to the guest.
    pub inbound: bool,
    /// From which address.
    pub source: IpAddr,
    /// To which.
    pub dest: IpAddr,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: &'a str,
    /// To which port, if the protocol has any.
    pub port: Option<u16>,
}

/// What becomes of a packet at an interface. The MAC address is taken to be the interface's own.
#[must_use]
pub fn judge(cluster: &Firewall, interface: Interface<'_>, local: Option<IpNet>, packet: Packet<'_>) -> Verdict {
    let own = interface.firewall;
    let option = |name: &str| own.options.get(name).map(String::as_str);
    let datacenter = cluster.options.get("enable").map_or("0", String::as_str);
    if datacenter == "0" || option("enable").unwrap_or("0") == "0" || !interface.filtered {
        return Verdict::Accept;
    }
    let view = View { cluster, own, local };
    let Packet { inbound, source, dest, protocol, port } = packet;
    if inbound && cluster.ipsets.get("blacklist").is_some_and(|set| view.in_set(set, source)) {
        return Verdict::Drop;
    }
    if !inbound && source.is_ipv4() {
        let named = own.ipsets.get(&format!("ipfilter-net{}", interface.number));
        let filtered = named.is_some() || option("ipfilter").unwrap_or("0") != "0";
        let its_own = interface.address == Some(source) || named.is_some_and(|set| view.in_set(set, source));
        if filtered && !its_own {
            return Verdict::Drop;
        }
    }
    let seen = Seen { inbound, source, dest: Some(dest), protocol, port };
    if let Some(verdict) = own.rules.iter().find_map(|rule| view.rule(rule, seen)) {
        return verdict;
    }
    let (policy, default) = if inbound { ("policy_in", "DROP") } else { ("policy_out", "ACCEPT") };
    verdict(option(policy).unwrap_or(default))
}
