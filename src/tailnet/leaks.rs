//! What rules of others let through although no flow says so: into guests, from guest to guest, and out of guests.
//!
//! Owns what such a rule means for isolation. Errs towards "lets through", as [`Policy::decide`] does.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::assertions::WITNESS;
use super::decide::{Packet, Side, network};
use super::policy::{Policy, Rule};
use super::presence::{Presence, identities, tailnet_networks};
use super::section::Section;
use super::wanted::{member_tags, ways};
use crate::blueprint::{Blueprint, Flow, Party};
use crate::model::tailnet::TailnetDevice;
use crate::model::{PortRange, Transport};

/// What the rest of a policy lets through although no flow says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Who gets through.
    pub from: String,
    /// Where to, as a policy names it.
    pub to: String,
    /// By which rule, as a sentence.
    pub by: String,
    /// What that breaks.
    pub kind: LeakKind,
}

/// What a leak breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeakKind {
    /// From one guest of the inventory to another: their isolation.
    BetweenGuests,
    /// From a guest to a Proxmox host.
    ToHost,
    /// From a guest into private networks, or everywhere.
    ToPrivate,
    /// From a guest to something else: another device, the internet through an exit node.
    Outward,
    /// From somebody else to a guest, beyond what the flows say.
    IntoGuest,
}

impl LeakKind {
    /// Whether a plan with it is refused; else it is told.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::BetweenGuests | Self::ToHost | Self::ToPrivate)
    }
}

impl std::fmt::Display for LeakKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BetweenGuests | Self::IntoGuest => "guest",
            Self::ToHost => "a Proxmox host as",
            Self::ToPrivate => "private networks as",
            Self::Outward => "what is outside as",
        })
    }
}

/// Everything that rules of others let through although no flow says so, each source and destination once; `own` is
/// our section of `policy`.
#[must_use]
pub fn leaks(blueprint: &Blueprint, policy: &Policy, own: &Section, presence: &Presence) -> Vec<Leak> {
    let ours: BTreeSet<&str> = own.blocks.iter().flat_map(|block| &block.entries).map(String::as_str).collect();
    let rules = policy.rules.iter().flatten().filter(|rule| !ours.contains(rule.text.as_str())).cloned().collect();
    let policy = &Policy { rules: Some(rules), ..policy.clone() };
    let mut leaks = into_guests(blueprint, &without_other_devices(blueprint, policy, presence));
    leaks.extend(out_of_guests(blueprint, policy, presence));
    leaks
}

/// Whether a flow says that `packet` may reach its guest.
fn declared(blueprint: &Blueprint, policy: &Policy, packet: &Packet<'_>) -> bool {
    let is_member = |from: &String| {
        from == packet.from || policy.groups.get(from).is_some_and(|logins| logins.iter().any(|one| one == packet.from))
    };
    ways(blueprint).iter().any(|way| {
        let ports = PortRange::new(way.ports.0, way.ports.1);
        way.tag == packet.to
            && way.transport == packet.transport
            && ports.is_some_and(|ports| ports.contains(packet.port))
            && is_member(&way.from)
    })
}

/// A policy without destinations that are the addresses of devices which are no guests.
fn without_other_devices(blueprint: &Blueprint, policy: &Policy, presence: &Presence) -> Policy {
    let own = member_tags(blueprint);
    let guest = |device: &TailnetDevice| device.tags.iter().any(|tag| own.contains(tag));
    let others: BTreeSet<&str> = presence
        .devices
        .iter()
        .filter(|device| !guest(device))
        .flat_map(|device| device.addresses.iter().map(String::as_str))
        .collect();
    let other = |to: &str| {
        let networks = policy.networks(to);
        let host = |network: &IpNet| {
            network.prefix_len() == network.max_prefix_len() && others.contains(network.addr().to_string().as_str())
        };
        !networks.is_empty() && networks.iter().all(host)
    };
    let mut left = policy.clone();
    for rule in left.rules.iter_mut().flatten() {
        rule.dst.retain(|(to, _)| !other(to));
    }
    left
}

fn into_guests(blueprint: &Blueprint, policy: &Policy) -> Vec<Leak> {
    let own = member_tags(blueprint);
    let mut sources: BTreeSet<String> = own.clone();
    sources.extend(ways(blueprint).into_iter().map(|way| way.from));
    let named = policy.rules.iter().flatten().flat_map(|rule| rule.src.iter().cloned());
    sources.extend(named.map(|src| if src == "*" { "autogroup:member".to_owned() } else { src }));
    let mut ports: BTreeSet<u16> = ways(blueprint).iter().flat_map(|way| [way.ports.0, way.ports.1]).collect();
    ports.extend([22, WITNESS]);
    // Rules of others may be about ports that we know nothing of.
    let lists = policy.rules.iter().flatten().flat_map(|rule| &rule.dst).map(|(_, ports)| ports.as_str());
    for list in lists {
        ports.extend(numbers(list));
    }
    let mut leaks = Vec::new();
    for to in &own {
        for from in sources.iter().filter(|from| *from != to) {
            let packets = ports.iter().flat_map(|port| {
                [Transport::Tcp, Transport::Udp].map(|transport| Packet { from, to, transport, port: *port })
            });
            let leak = packets.into_iter().find_map(|packet| {
                let decision = policy.decide(&packet);
                let leak = decision.is_reachable() && !declared(blueprint, policy, &packet);
                leak.then(|| decision.to_string())
            });
            if let Some(by) = leak {
                let kind = if own.contains(from) { LeakKind::BetweenGuests } else { LeakKind::IntoGuest };
                leaks.push(Leak { from: from.clone(), to: to.clone(), by, kind });
            }
        }
    }
    leaks
}

/// Numbers that a list of ports names.
pub(super) fn numbers(list: &str) -> impl Iterator<Item = u16> {
    let bare = list.rsplit(':').next().unwrap_or(list);
    bare.split([',', '-']).filter_map(|port| port.parse::<u16>().ok())
}

fn out_of_guests(blueprint: &Blueprint, policy: &Policy, presence: &Presence) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = Vec::new();
    for from in member_tags(blueprint) {
        for rule in policy.rules.iter().flatten() {
            if !rule.src.iter().any(|src| policy.covers(src, &from, Side::From)) {
                continue;
            }
            for (to, ports) in &rule.dst {
                let Some(kind) = outward(blueprint, policy, presence, &from, (to, ports)) else { continue };
                if leaks.iter().all(|leak| (&leak.from, &leak.to) != (&from, to)) {
                    leaks.push(Leak { from: from.clone(), to: to.clone(), by: told(rule), kind });
                }
            }
        }
    }
    leaks
}

fn told(rule: &Rule) -> String {
    format!("line {} of the tailnet policy: {}", rule.line, rule.text)
}

/// What a guest gains by a destination of a rule: nothing, if that is looked at elsewhere or empty.
fn outward(
    blueprint: &Blueprint,
    policy: &Policy,
    presence: &Presence,
    from: &str,
    (to, ports): (&str, &str),
) -> Option<LeakKind> {
    let own = member_tags(blueprint);
    match to {
        // Nothing is a tagged device's own.
        "autogroup:self" => return None,
        "autogroup:internet" => return Some(LeakKind::Outward),
        "*" | "autogroup:danger-all" => return Some(LeakKind::ToPrivate),
        _ if own.contains(to) => return None,
        _ => {}
    }
    let is_host = |device: &_| blueprint.hosts.values().any(|host| Presence::is_host(device, host));
    let networks = policy.networks(to);
    if !networks.is_empty() {
        let kinds = networks.iter().filter_map(|network| {
            let hosts = blueprint.hosts.values().flat_map(crate::blueprint::Host::addresses);
            if hosts.into_iter().any(|host| network.contains(&host)) {
                return Some(LeakKind::ToHost);
            }
            let inner = tailnet_networks().iter().any(|own| own.contains(network));
            if inner {
                let there = |device: &&TailnetDevice| {
                    let addresses = device.addresses.iter().filter_map(|address| self::network(address));
                    addresses.into_iter().any(|address| network.contains(&address))
                };
                let mut there = presence.devices.iter().filter(there).peekable();
                // Guests are looked at by their tags.
                let guests_only = there.peek().is_some()
                    && there.clone().all(|device| device.tags.iter().any(|tag| own.contains(tag)));
                return match there.any(is_host) {
                    true => Some(LeakKind::ToHost),
                    false if guests_only => None,
                    false => Some(LeakKind::Outward),
                };
            }
            let private = |inside: &IpNet| inside.contains(network) || network.contains(inside);
            let kind = match blueprint.inside().iter().any(private) {
                true if !flows_to(blueprint, from, network) => LeakKind::ToPrivate,
                _ => LeakKind::Outward,
            };
            Some(kind)
        });
        return kinds.min();
    }
    let mut meant = presence
        .devices
        .iter()
        .filter(|device| identities(device).any(|identity| policy.covers(to, identity, Side::To)));
    // Whoever opens Proxmox's own port means Proxmox.
    let api = ports.rsplit(':').next().unwrap_or(ports).split(',').any(|port| port == "8006");
    if api || meant.any(is_host) { Some(LeakKind::ToHost) } else { Some(LeakKind::Outward) }
}

/// Whether a flow leads from a guest to all of a network already, past the tailnet.
fn flows_to(blueprint: &Blueprint, from: &str, network: &IpNet) -> bool {
    let leads = |flow: &Flow| match (&flow.from, &flow.to) {
        (Party::Guest(guest), Party::Network(to)) => {
            super::wanted::tag_of(&blueprint.name, guest) == from && to.contains(network)
        }
        _ => false,
    };
    blueprint.flows.iter().any(leads)
}
