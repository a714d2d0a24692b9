//! Who gets in at a host: what the firewall's daemon makes of the files, and when.
//!
//! After the rules that 9.2.11's own compiler made of 60 configurations: host rules, then the datacenter's, then
//! what the set `management` may always reach, then the policy. Connections that stand are never asked. Entry:
//! [`admits`].

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::world::{Firewall, Network, Node, World};
pub use super::packet_filter::Verdict;
use super::packet_filter::{Seen, View, verdict};

/// How often the daemon looks at the files (pve-firewall `PVE/Service/pve_firewall.pm`).
const CYCLE_MS: i64 = 10_000;

/// A first packet of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// From where.
    pub source: IpAddr,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: &'a str,
    /// Which port, if the protocol has any.
    pub port: Option<u16>,
}

/// Lets the daemon of every node look at the files if it is time.
pub fn follow(world: &mut World) {
    let now = world.now_ms;
    for node in world.nodes.values_mut().filter(|node| node.online) {
        let runs = node.system.services.get("pve-firewall").is_none_or(|daemon| daemon.running);
        if !runs {
            node.enforced = Default::default();
        } else if now - node.enforced.looked_ms >= CYCLE_MS {
            node.enforced.looked_ms = now;
            node.enforced.cluster.clone_from(&world.firewall);
            node.enforced.host.clone_from(&node.firewall);
            node.enforced.guests.clone_from(&world.guest_firewalls);
        }
    }
}

/// Whether a new connection from outside gets through to a TCP port of a node right now.
#[must_use]
pub fn admits(world: &World, node: &str, port: u16) -> bool {
    let Some(host) = world.nodes.get(node).filter(|_| !world.doors_open) else { return true };
    let packet = Packet { source: world.operator_at(node), protocol: "tcp", port: Some(port) };
    let local = local_network(host);
    judge(&host.enforced.cluster, &host.enforced.host, (&host.address, local), packet) == Verdict::Accept
}

/// The network that PVE finds the node's own address in.
pub(super) fn local_network(host: &Node) -> Option<IpNet> {
    let address: IpAddr = host.address.parse().ok()?;
    let of = |network: &Network| network.cidr.as_deref().and_then(|cidr| cidr.parse::<IpNet>().ok());
    let found = host.networks.values().filter_map(of).find(|network| network.contains(&address));
    found.map(|network| network.trunc())
}

/// What becomes of a packet from outside to the host itself, whose address and network are given.
#[must_use]
pub fn judge(
    cluster: &Firewall,
    host: &Firewall,
    (address, local): (&str, Option<IpNet>),
    packet: Packet<'_>,
) -> Verdict {
    let option = |firewall: &Firewall, name: &str| firewall.options.get(name).cloned();
    let off = |value: Option<String>, default: &str| value.as_deref().unwrap_or(default) == "0";
    if off(option(cluster, "enable"), "0") || off(option(host, "enable"), "1") {
        return Verdict::Accept;
    }
    let view = View { cluster, own: host, local };
    let seen = Seen {
        inbound: true,
        source: packet.source,
        dest: address.parse().ok(),
        protocol: packet.protocol,
        port: packet.port,
    };
    if cluster.ipsets.get("blacklist").is_some_and(|set| view.in_set(set, packet.source)) {
        return Verdict::Drop;
    }
    for rule in host.rules.iter().chain(&cluster.rules) {
        if let Some(verdict) = view.rule(rule, seen) {
            return verdict;
        }
    }
    let managed = packet.protocol == "tcp"
        && packet.port.is_some_and(|port| matches!(port, 22 | 3128 | 5900..=5999 | 8006 | 60000..=60050))
        && view.manages(packet.source);
    if managed {
        return Verdict::Accept;
    }
    verdict(option(cluster, "policy_in").as_deref().unwrap_or("DROP"))
}

#[cfg(test)]
mod tests {
    use super::super::super::world::firewall_file::read;
    use super::*;

    fn judged(cluster: &str, host: &str, source: &str, port: u16) -> Verdict {
        let packet = Packet { source: source.parse().unwrap(), protocol: "tcp", port: Some(port) };
        let at = ("192.168.10.2", Some("192.168.10.0/24".parse().unwrap()));
        judge(&read(cluster), &read(host), at, packet)
    }

    const ON: &str = "[OPTIONS]\n\nenable: 1\n\n[IPSET management]\n\n203.0.113.0/24\n!203.0.113.66\n\n";

    #[test]
    fn only_whoever_manages_gets_in_where_nothing_else_is_said() {
        assert_eq!(judged("", "", "198.51.100.1", 22), Verdict::Accept, "it is off by default");
        assert_eq!(judged(ON, "[OPTIONS]\n\nenable: 0\n", "198.51.100.1", 22), Verdict::Accept);
        assert_eq!(judged(ON, "", "198.51.100.1", 22), Verdict::Drop);
        assert_eq!(judged(ON, "", "203.0.113.7", 8006), Verdict::Accept);
        assert_eq!(judged(ON, "", "203.0.113.66", 8006), Verdict::Drop);
        assert_eq!(judged(ON, "", "192.168.10.9", 22), Verdict::Accept, "the host's own network always manages it");
        assert_eq!(judged(ON, "", "203.0.113.7", 443), Verdict::Drop, "443 is none of PVE's own ports");
    }

    #[test]
    fn rules_come_before_what_pve_allows_by_itself() {
        let rules = "[RULES]\n\nIN DROP -source 203.0.113.7\nIN ACCEPT -p tcp -dport 443\n";
        assert_eq!(judged(ON, rules, "203.0.113.7", 22), Verdict::Drop);
        assert_eq!(judged(ON, rules, "198.51.100.1", 443), Verdict::Accept);
        let blacklist = format!("{ON}[IPSET blacklist]\n\n198.51.100.1\n");
        assert_eq!(judged(&blacklist, rules, "198.51.100.1", 443), Verdict::Drop);
    }
}
