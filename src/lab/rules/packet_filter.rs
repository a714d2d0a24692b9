//! What a rule of the firewall says of a packet: names, sets and lists of the files looked up as Proxmox does.
//!
//! Shared by [`host_firewall`](super::host_firewall) and [`guest_firewall`](super::guest_firewall), which know the
//! order of things.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::world::{Firewall, IpSet, Rule};
use super::formats as f;

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

pub(super) fn verdict(action: &str) -> Verdict {
    match action {
        "ACCEPT" => Verdict::Accept,
        "REJECT" => Verdict::Reject,
        _ => Verdict::Drop,
    }
}

/// The files that one host's or guest's chains are made from.
pub(super) struct View<'a> {
    pub(super) cluster: &'a Firewall,
    /// The host's or the guest's own.
    pub(super) own: &'a Firewall,
    pub(super) local: Option<IpNet>,
}

/// A first packet as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) inbound: bool,
    pub(super) source: IpAddr,
    /// To where, if that is an address.
    pub(super) dest: Option<IpAddr>,
    pub(super) protocol: &'a str,
    pub(super) port: Option<u16>,
}

impl View<'_> {
    /// What a rule says of a packet, if it is about it. One that is bound to an interface is taken to be about the
    /// one that the packet is on.
    pub(super) fn rule(&self, rule: &Rule, packet: Seen<'_>) -> Option<Verdict> {
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
            "in" if packet.inbound => {}
            "out" if !packet.inbound => {}
            _ => return None,
        }
        let from = field("source").is_none_or(|spec| self.names(spec, packet.source));
        let to = field("dest").is_none_or(|spec| packet.dest.is_some_and(|dest| self.names(spec, dest)));
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
            let own = self.own.ipsets.get(&name).filter(|_| scope != "dc");
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
        let alias = self.own.aliases.get(&name).or_else(|| self.cluster.aliases.get(&name));
        match alias {
            Some(alias) => alias.cidr.parse().ok().or_else(|| alias.cidr.parse::<IpAddr>().ok().map(IpNet::from)),
            None if name == "local_network" => self.local,
            None => None,
        }
    }

    /// As the kernel looks into a set of networks: the narrowest that has the address decides.
    pub(super) fn in_set(&self, set: &IpSet, address: IpAddr) -> bool {
        let entries = set.entries.iter().filter_map(|(text, entry)| Some((self.network(text)?, entry.nomatch)));
        let holding = entries.filter(|(network, _)| network.contains(&address));
        holding.max_by_key(|(network, nomatch)| (network.prefix_len(), *nomatch)).is_some_and(|(_, nomatch)| !nomatch)
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.network("local_network").is_some_and(|network| network.contains(&address))
    }

    /// Whether PVE lets it manage the host: the set of that name, and the host's own network.
    pub(super) fn manages(&self, address: IpAddr) -> bool {
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
