//! Whether a policy lets one party of the tailnet reach another, and by which rule.
//!
//! Owns what selectors mean as far as Tailscale documents it (<https://tailscale.com/kb/1396/targets>): `*`, users,
//! groups, tags, hosts, addresses, networks, sets, `autogroup:…`. Where what a selector holds cannot be known from the
//! policy (the members of `autogroup:admin`, a group that an identity provider keeps), it counts as holding everybody
//! that it could: a wrong answer is then "reachable", never "denied".

use std::net::IpAddr;

use ipnet::IpNet;

use super::policy::{Policy, Rule, RuleKind};
use super::presence::tailnet_networks;
use crate::model::Transport;

/// One connection that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who opens it, as a policy names them: `tag:phone`, `group:staff`, a login, `autogroup:member`, an address.
    pub from: &'a str,
    /// Who is connected to, as a policy names them.
    pub to: &'a str,
    /// How.
    pub transport: Transport,
    /// On which port.
    pub port: u16,
}

/// What a policy says of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// This rule lets it through.
    Rule(&'a Rule),
    /// There is neither `acls` nor `grants`, which lets everything through.
    NoRules,
    /// No rule lets it through.
    Denied,
}

impl Decision<'_> {
    /// Whether it gets through.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        !matches!(self, Self::Denied)
    }
}

impl std::fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "line {} of the tailnet policy: {}", rule.line, rule.text),
            Self::NoRules => f.write_str("the tailnet policy has no rules at all, which lets everything through"),
            Self::Denied => f.write_str("no rule of the tailnet policy lets it through"),
        }
    }
}

impl Policy {
    /// What the policy says of a connection: the first rule that lets it through.
    #[must_use]
    pub fn decide(&self, packet: &Packet<'_>) -> Decision<'_> {
        let Some(rules) = &self.rules else { return Decision::NoRules };
        rules.iter().find(|rule| self.lets(rule, packet)).map_or(Decision::Denied, Decision::Rule)
    }

    fn lets(&self, rule: &Rule, packet: &Packet<'_>) -> bool {
        rule.src.iter().any(|src| self.covers(src, packet.from, Side::From))
            && rule.dst.iter().any(|(dst, ports)| {
                self.covers(dst, packet.to, Side::To)
                    && (dst != "autogroup:self" || !packet.from.starts_with("tag:"))
                    && port_matches(rule, ports, packet)
            })
    }

    /// The networks that a selector stands for; none, if it stands for devices by who they belong to.
    pub(super) fn networks(&self, selector: &str) -> Vec<IpNet> {
        if let Some(host) = self.hosts.get(selector) {
            return network(host).into_iter().collect();
        }
        if let Some(set) = self.ipsets.get(selector) {
            let added = set.iter().filter(|entry| !entry.starts_with("remove "));
            return added.flat_map(|entry| self.networks(entry.strip_prefix("add ").unwrap_or(entry))).collect();
        }
        network(selector.strip_prefix("host:").unwrap_or(selector)).into_iter().collect()
    }

    /// Whether whoever `who` names may be among those that `selector` names.
    pub(super) fn covers(&self, selector: &str, who: &str, side: Side) -> bool {
        if selector == who || selector == "*" || selector == "autogroup:danger-all" {
            return true;
        }
        if let Some(members) = self.groups.get(who) {
            // One member who gets through is one too many.
            return members.iter().any(|member| self.covers(selector, member, side));
        }
        if selector.starts_with("group:") {
            return match self.groups.get(selector) {
                Some(members) => members.iter().any(|member| self.covers(member, who, side)),
                // Kept by the identity provider.
                None => is_person(who),
            };
        }
        if let Some(host) = self.hosts.get(selector) {
            return self.covers(host, who, side);
        }
        if let Some(host) = self.hosts.get(who) {
            return self.covers(selector, host, side);
        }
        if let Some(set) = self.ipsets.get(selector) {
            return set.iter().any(|entry| {
                let entry = entry.strip_prefix("add ").unwrap_or(entry);
                !entry.starts_with("remove ") && self.covers(entry, who, side)
            });
        }
        if let Some(group) = selector.strip_prefix("autogroup:") {
            return match group {
                "tagged" => who.starts_with("tag:"),
                "internet" => false,
                "self" => side == Side::To && is_person(who),
                // Owners, admins, members, shared …: people and never tags.
                _ => is_person(who),
            };
        }
        if who.starts_with("autogroup:") && is_person(who) && is_person(selector) {
            return true;
        }
        let selector = selector.strip_prefix("host:").unwrap_or(selector);
        match (network(selector), network(who)) {
            (Some(selector), Some(who)) => selector.contains(&who) || who.contains(&selector),
            // Which address a tag or a login has, is not in the policy.
            (Some(selector), None) => {
                tailnet_networks().iter().any(|own| own.contains(&selector) || selector.contains(own))
            }
            (None, Some(who)) => tailnet_networks().iter().any(|own| own.contains(&who)),
            (None, None) => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    From,
    To,
}

/// Whether a selector names people and not tagged devices or addresses.
fn is_person(selector: &str) -> bool {
    match selector.strip_prefix("autogroup:") {
        Some(group) => !["tagged", "internet", "danger-all"].contains(&group),
        None => selector.contains('@') || selector.starts_with("group:") || selector.starts_with("user:"),
    }
}

pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(super) fn port_matches(rule: &Rule, ports: &str, packet: &Packet<'_>) -> bool {
    let own = packet.transport.as_str();
    let number = match packet.transport {
        Transport::Tcp => "6",
        Transport::Udp => "17",
    };
    let ports = match rule.kind {
        RuleKind::Acl => {
            // Without a protocol a rule is for TCP and UDP (and ICMP).
            if rule.proto.as_deref().is_some_and(|proto| proto != own && proto != number) {
                return false;
            }
            ports
        }
        RuleKind::Grant => match ports.split_once(':') {
            Some((proto, _)) if proto != own && proto != number => return false,
            Some((_, ports)) => ports,
            None => ports,
        },
    };
    ports.split(',').any(|part| match part.split_once('-') {
        _ if part == "*" => true,
        Some((first, last)) => match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&packet.port),
            _ => false,
        },
        None => part.parse() == Ok(packet.port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "groups": {"group:staff": ["ann@example.com", "bob@example.com"]},
        "hosts": {"box": "100.100.1.2", "lan": "192.168.0.0/24"},
        "grants": [
            {"src": ["tag:phone"], "dst": ["tag:plan-hq"], "ip": ["tcp:22", "3000-3010"]},
            {"src": ["group:staff"], "dst": ["tag:ops"], "ip": ["udp:53"]},
            {"src": ["autogroup:tagged"], "dst": ["autogroup:self"], "ip": ["*"]},
        ],
        "acls": [
            {"action": "accept", "proto": "tcp", "src": ["autogroup:admin"], "dst": ["box:80,443", "lan:*"]},
        ],
    }"#;

    fn reaches(from: &str, to: &str, transport: Transport, port: u16) -> bool {
        let policy = Policy::read(POLICY).unwrap();
        policy.decide(&Packet { from, to, transport, port }).is_reachable()
    }

    #[test]
    fn a_rule_lets_through_who_where_and_how_it_says() {
        use Transport::{Tcp, Udp};
        assert!(reaches("tag:phone", "tag:plan-hq", Tcp, 22));
        assert!(!reaches("tag:phone", "tag:plan-hq", Udp, 22));
        assert!(reaches("tag:phone", "tag:plan-hq", Udp, 3005) && !reaches("tag:phone", "tag:plan-hq", Tcp, 3011));
        assert!(!reaches("tag:plan-hq", "tag:phone", Tcp, 22) && !reaches("tag:other", "tag:plan-hq", Tcp, 22));
        assert!(reaches("ann@example.com", "tag:ops", Udp, 53) && !reaches("eve@example.com", "tag:ops", Udp, 53));
        assert!(reaches("group:staff", "tag:ops", Udp, 53));
    }

    #[test]
    fn tagged_devices_are_nobodys_own() {
        assert!(!reaches("tag:phone", "tag:ops", Transport::Tcp, 1));
    }

    #[test]
    fn what_a_selector_may_hold_counts_as_held() {
        use Transport::Tcp;
        assert!(reaches("ann@example.com", "100.100.1.2", Tcp, 80), "anybody may be an admin");
        assert!(reaches("ann@example.com", "tag:ops", Tcp, 443), "a tag may have that address");
        assert!(!reaches("tag:phone", "100.100.1.2", Tcp, 80), "no tag is an admin");
        assert!(!reaches("ann@example.com", "tag:ops", Tcp, 22), "a network behind the tailnet holds no device of it");
    }

    #[test]
    fn without_any_list_of_rules_everything_gets_through() {
        let policy = Policy::read("{\"groups\": {}}").unwrap();
        let packet = Packet { from: "tag:a", to: "tag:b", transport: Transport::Tcp, port: 1 };
        assert_eq!(policy.decide(&packet), Decision::NoRules);
        assert_eq!(Policy::read("{\"acls\": []}").unwrap().decide(&packet), Decision::Denied);
    }
}
