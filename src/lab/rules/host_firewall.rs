//! Who gets in at a host: what the firewall's daemon makes of the files, and when.
//!
//! After the rules that 9.2.11's own compiler made of 60 configurations: host rules, then the datacenter's, then
//! what the set `management` may always reach, then the policy. Connections that stand are never asked. Entry:
//! [`admits`].

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::world::{Firewall, IpSet, Network, Node, Rule, World};
use super::formats as f;

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

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gets through.
    Accept,
    /// Nobody hears of it.
    Drop,
    /// Its sender is told.
    Reject,
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
fn local_network(host: &Node) -> Option<IpNet> {
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
    let view = View { cluster, host, address, local };
    if cluster.ipsets.get("blacklist").is_some_and(|set| view.in_set(set, packet.source)) {
        return Verdict::Drop;
    }
    for rule in host.rules.iter().chain(&cluster.rules) {
        if let Some(verdict) = view.rule(rule, packet) {
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

fn verdict(action: &str) -> Verdict {
    match action {
        "ACCEPT" => Verdict::Accept,
        "REJECT" => Verdict::Reject,
        _ => Verdict::Drop,
    }
}

struct View<'a> {
    cluster: &'a Firewall,
    host: &'a Firewall,
    address: &'a str,
    local: Option<IpNet>,
}

impl View<'_> {
    /// What a rule says of a packet, if it is about it. One that is bound to an interface is taken to be about the
    /// one that the host has its address on.
    fn rule(&self, rule: &Rule, packet: Packet<'_>) -> Option<Verdict> {
        let field = |name: &str| rule.fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
        if !rule.enabled {
            return None;
        }
        let action = field("action").unwrap_or_default();
        match field("type").unwrap_or_default() {
            "group" => {
                let group = self.cluster.groups.get(&action.to_ascii_lowercase())?;
                return group.rules.iter().find_map(|rule| self.rule(rule, packet));
            }
            "in" => {}
            _ => return None,
        }
        let from = field("source").is_none_or(|spec| self.names(spec, packet.source));
        let own = self.address.parse().ok();
        let to = field("dest").is_none_or(|spec| own.is_some_and(|own| self.names(spec, own)));
        if !(from && to) || field("sport").is_some() {
            return None;
        }
        let fits = match field("macro") {
            Some(name) => macro_of(name).iter().any(|(protocol, port)| {
                *protocol == packet.protocol && port.is_none_or(|port| packet.port == Some(port))
            }),
            None => {
                field("proto").is_none_or(|protocol| protocol == packet.protocol)
                    && field("dport").is_none_or(|ports| packet.port.is_some_and(|port| lists(ports, port)))
            }
        };
        fits.then(|| verdict(action))
    }

    /// Whether a `source` or `dest` is about an address.
    fn names(&self, spec: &str, address: IpAddr) -> bool {
        if let Some(name) = spec.strip_prefix('+') {
            let (scope, name) = name.split_once('/').unwrap_or(("", name));
            let name = name.to_ascii_lowercase();
            let own = self.host.ipsets.get(&name).filter(|_| scope != "dc");
            return match own.or_else(|| self.cluster.ipsets.get(&name)) {
                Some(set) if name == "management" => self.in_set(set, address) || self.is_local(address),
                Some(set) => self.in_set(set, address),
                None => false,
            };
        }
        spec.split(',').any(|one| self.is_one(one.trim(), address))
    }

    fn is_one(&self, one: &str, address: IpAddr) -> bool {
        if let Some((first, last)) = one.split_once('-')
            && let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>())
        {
            return first <= address && address <= last;
        }
        self.network(one).is_some_and(|network| network.contains(&address))
    }

    fn network(&self, text: &str) -> Option<IpNet> {
        if f::is_cidr(text) || text.parse::<IpAddr>().is_ok() {
            return text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        }
        let name = text.rsplit('/').next().unwrap_or(text).to_ascii_lowercase();
        let alias = self.host.aliases.get(&name).or_else(|| self.cluster.aliases.get(&name));
        match alias {
            Some(alias) => alias.cidr.parse().ok().or_else(|| alias.cidr.parse::<IpAddr>().ok().map(IpNet::from)),
            None if name == "local_network" => self.local,
            None => None,
        }
    }

    /// As the kernel looks into a set of networks: the narrowest that has the address decides.
    fn in_set(&self, set: &IpSet, address: IpAddr) -> bool {
        let entries = set.entries.iter().filter_map(|(text, entry)| Some((self.network(text)?, entry.nomatch)));
        let holding = entries.filter(|(network, _)| network.contains(&address));
        holding.max_by_key(|(network, nomatch)| (network.prefix_len(), *nomatch)).is_some_and(|(_, nomatch)| !nomatch)
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.network("local_network").is_some_and(|network| network.contains(&address))
    }

    /// Whether PVE lets it manage the host: the set of that name, and the host's own network.
    fn manages(&self, address: IpAddr) -> bool {
        self.is_local(address) || self.cluster.ipsets.get("management").is_some_and(|set| self.in_set(set, address))
    }
}

/// What a macro stands for; of one that is not here nothing is known, and it is about nothing.
fn macro_of(name: &str) -> &'static [(&'static str, Option<u16>)] {
    match name.to_ascii_lowercase().as_str() {
        "ssh" => &[("tcp", Some(22))],
        "http" => &[("tcp", Some(80))],
        "https" => &[("tcp", Some(443))],
        "web" => &[("tcp", Some(80)), ("tcp", Some(443))],
        "dns" => &[("udp", Some(53)), ("tcp", Some(53))],
        "ping" => &[("icmp", None)],
        _ => &[],
    }
}

/// Whether `80,443,8000:8100` has a port.
fn lists(ports: &str, port: u16) -> bool {
    ports.split(',').any(|part| match part.split_once(':') {
        Some((first, last)) => {
            first.parse::<u16>().is_ok_and(|first| first <= port) && last.parse::<u16>().is_ok_and(|last| port <= last)
        }
        None => part.parse() == Ok(port),
    })
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
