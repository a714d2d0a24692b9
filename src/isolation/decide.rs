//! From one end to the other: every place that a packet passes, and what decides there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::address::Version;
use super::chain::{Chain, Outcome, Sight, Walk};
use super::compile::{Rules, Skipped, compile};
use super::mac::Mac;
use super::network::{End, Guest, Host, Network, Nic};
use super::origin::Origin;
use super::protocol::Payload;
use crate::blueprint::Verdict;
use crate::model::HostName;

/// The first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it.
    pub from: End,
    /// The address that it says it comes from; a guest may say any.
    pub source: IpAddr,
    /// The hardware address that it says it comes from; `None` for the sender's own.
    pub mac: Option<Mac>,
    /// Who it is for.
    pub to: End,
    /// The address that it is sent to.
    pub dest: IpAddr,
    /// What it carries.
    pub payload: Payload,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What becomes of it.
    #[serde(serialize_with = "word")]
    pub verdict: Verdict,
    /// The places that it passed, in order; the last one decided.
    pub hops: Vec<Hop>,
}

/// One place that a packet passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Which.
    #[serde(rename = "at")]
    pub place: HopPlace,
    /// What is done there.
    #[serde(serialize_with = "word")]
    pub verdict: Verdict,
    /// Why: what decided, with what led there before it.
    pub by: Vec<Origin>,
}

/// A place where packets are judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "place")]
pub enum HopPlace {
    /// What goes out of a guest.
    GuestOut {
        /// The guest's card.
        card: String,
    },
    /// What comes in to a guest.
    GuestIn {
        /// The guest's card.
        card: String,
    },
    /// What goes out of a host.
    HostOut {
        /// The host.
        host: HostName,
    },
    /// What comes in to a host.
    HostIn {
        /// The host.
        host: HostName,
    },
}

fn word<S: serde::Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict_word(*verdict))
}

/// The word for a verdict in answers.
#[must_use]
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
        Verdict::Reject => "reject",
    }
}

impl Decision {
    /// Whether it gets through.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdict == Verdict::Accept
    }
}

impl fmt::Display for HopPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestOut { card } => write!(f, "out of {card}"),
            Self::GuestIn { card } => write!(f, "in to {card}"),
            Self::HostOut { host } => write!(f, "out of {host}"),
            Self::HostIn { host } => write!(f, "in to {host}"),
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, verdict_word(self.verdict))?;
        for (index, origin) in self.by.iter().enumerate() {
            write!(f, "{}{origin}", if index == 0 { " by " } else { " → " })?;
        }
        Ok(())
    }
}

/// One hop per line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hop in &self.hops {
            writeln!(f, "{hop}")?;
        }
        write!(f, "{}", verdict_word(self.verdict))
    }
}

/// A network whose firewalls are compiled.
#[derive(Debug)]
pub struct Solver<'a> {
    network: &'a Network,
    rules: BTreeMap<(HostName, Version), Rules>,
}

impl<'a> Solver<'a> {
    /// Compiles the firewalls of every host.
    #[must_use]
    pub fn new(network: &'a Network) -> Self {
        let mut rules = BTreeMap::new();
        for (name, host) in &network.hosts {
            let Some(cluster) = network.sites.get(&host.site).filter(|_| enforced(network, host)) else { continue };
            let guests = network.guests.iter().filter(|(_, guest)| guest.host == *name);
            for version in Version::ALL {
                rules.insert((name.clone(), version), compile(cluster, host, guests.clone(), version));
            }
        }
        Self { network, rules }
    }

    /// What it was made of.
    #[must_use]
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// Rules that are written and not in force, once each.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut all: Vec<Skipped> = self.rules.values().flat_map(|rules| rules.skipped.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What becomes of a packet.
    #[must_use]
    pub fn decide(&self, packet: &Packet) -> Decision {
        let mut way = Way { solver: self, packet, walk: Walk::default(), hops: Vec::new() };
        let verdict = way.go();
        Decision { verdict, hops: way.hops }
    }
}

/// Whether the datacenter's firewall is on. `enable` may hold the moment until which it is.
pub(super) fn enforced(network: &Network, host: &Host) -> bool {
    let cluster = network.sites.get(&host.site);
    cluster.and_then(|cluster| cluster.options.get("enable")).is_some_and(|enable| enable != "0")
}

/// Decides about one packet.
#[must_use]
pub fn decide(network: &Network, packet: &Packet) -> Decision {
    Solver::new(network).decide(packet)
}

/// A packet on its way.
struct Way<'s, 'a, 'p> {
    solver: &'s Solver<'a>,
    packet: &'p Packet,
    walk: Walk<'s>,
    hops: Vec<Hop>,
}

impl<'s, 'a> Way<'s, 'a, '_> {
    fn go(&mut self) -> Verdict {
        let network = self.solver.network;
        let host_of = |end: &End| match end {
            End::Guest { name, .. } => network.guests.get(name).map(|guest| guest.host.clone()),
            End::Host(host) => Some(host.clone()),
            End::Outside => None,
        };
        let (from, to) = (host_of(&self.packet.from), host_of(&self.packet.to));
        if from.is_some() && self.packet.from == self.packet.to {
            // What a host or guest says to itself goes over its loopback.
            return Verdict::Accept;
        }
        if let Some(host) = &from {
            let near = to.as_ref() == Some(host);
            let verdict = self.leave(host, near);
            if verdict != Verdict::Accept {
                return verdict;
            }
            if !near {
                // The mark stays behind.
                self.walk.marked = false;
            }
        }
        to.map_or(Verdict::Accept, |host| self.arrive(&host, from.as_ref() == Some(&host)))
    }

    fn leave(&mut self, host: &HostName, near: bool) -> Verdict {
        let network = self.solver.network;
        match &self.packet.from {
            End::Guest { name, nic } => {
                let Some((guest, nic)) = card(network, name, *nic) else { return Verdict::Accept };
                let place = HopPlace::GuestOut { card: format!("{name} net{}", nic.index) };
                let rules = self.rules(host);
                let chain = rules.and_then(|rules| rules.cards.get(&(name.clone(), nic.index))).map(|(out, _)| out);
                match chain {
                    Some(chain) => self.through(place, host, &[chain], None, None),
                    None => self.open(place, unfiltered(network, host, guest, nic)),
                }
            }
            End::Host(_) => {
                let place = HopPlace::HostOut { host: host.clone() };
                let out = match &self.packet.to {
                    End::Guest { name, nic } if near => card(network, name, *nic).map(|(_, nic)| nic.bridge.clone()),
                    _ => network.hosts.get(host).map(|host| host.uplink.clone()),
                };
                match self.rules(host).and_then(|rules| rules.host_out.as_ref()) {
                    Some(chain) => self.through(place, host, &[chain], None, out.as_deref()),
                    None => self.open(place, host_unfiltered(network, host)),
                }
            }
            End::Outside => Verdict::Accept,
        }
    }

    fn arrive(&mut self, host: &HostName, near: bool) -> Verdict {
        let network = self.solver.network;
        match &self.packet.to {
            End::Guest { name, nic } => {
                let Some((guest, nic)) = card(network, name, *nic) else { return Verdict::Accept };
                let place = HopPlace::GuestIn { card: format!("{name} net{}", nic.index) };
                let Some(rules) = self.rules(host).filter(|_| nic.firewall) else {
                    return self.open(place, unfiltered(network, host, guest, nic));
                };
                // Whoever is on the blacklist stays out of every card with a firewall, whatever its guest says.
                match rules.cards.get(&(name.clone(), nic.index)) {
                    Some((_, inward)) => self.through(place, host, &[&rules.guarded, inward], None, None),
                    None => {
                        let verdict = self.through(place.clone(), host, &[&rules.guarded], None, None);
                        if verdict == Verdict::Accept {
                            self.hops.pop();
                            return self.open(place, unfiltered(network, host, guest, nic));
                        }
                        verdict
                    }
                }
            }
            End::Host(_) => {
                let place = HopPlace::HostIn { host: host.clone() };
                let arrives = match &self.packet.from {
                    End::Guest { name, nic } if near => card(network, name, *nic).map(|(_, nic)| nic.bridge.clone()),
                    _ => network.hosts.get(host).map(|host| host.uplink.clone()),
                };
                match self.rules(host).and_then(|rules| rules.host_in.as_ref()) {
                    Some(chain) => self.through(place, host, &[chain], arrives.as_deref(), None),
                    None => self.open(place, host_unfiltered(network, host)),
                }
            }
            End::Outside => Verdict::Accept,
        }
    }

    fn rules(&self, host: &HostName) -> Option<&'s Rules> {
        self.solver.rules.get(&(host.clone(), Version::of(self.packet.dest)))
    }

    /// Walks chains one after the other; whatever none of them decides passes.
    fn through(
        &mut self,
        place: HopPlace,
        host: &HostName,
        chains: &[&'s Chain],
        iface_in: Option<&str>,
        iface_out: Option<&str>,
    ) -> Verdict {
        let networks = self.solver.network.hosts.get(host).map(|host| host.networks.as_slice()).unwrap_or_default();
        let packet = self.packet;
        let (source, dest, payload, mac) = (packet.source, packet.dest, packet.payload, packet.mac);
        let sight = Sight { source, dest, payload, mac, iface_in, iface_out, networks };
        self.walk.by.clear();
        let mut verdict = Verdict::Accept;
        for chain in chains {
            match self.walk.through(chain, sight) {
                Outcome::Nothing => continue,
                Outcome::Accept => {}
                Outcome::Drop => verdict = Verdict::Drop,
                Outcome::Reject => verdict = Verdict::Reject,
            }
            break;
        }
        let mut by: Vec<Origin> = self.walk.by.iter().map(|origin| (*origin).clone()).collect();
        if by.is_empty() {
            by.push(Origin::proxmox("nothing says otherwise"));
        }
        self.hops.push(Hop { place, verdict, by });
        verdict
    }

    fn open(&mut self, place: HopPlace, why: Origin) -> Verdict {
        self.hops.push(Hop { place, verdict: Verdict::Accept, by: vec![why] });
        Verdict::Accept
    }
}

fn card<'n>(network: &'n Network, name: &crate::model::GuestName, index: u8) -> Option<(&'n Guest, &'n Nic)> {
    let guest = network.guests.get(name)?;
    Some((guest, guest.nic(index)?))
}

fn datacenter_off(network: &Network, host: &HostName) -> Option<Origin> {
    let host = network.hosts.get(host)?;
    if enforced(network, host) {
        return None;
    }
    let set = network.sites.get(&host.site).and_then(|site| site.options.get("enable")).map(String::as_str);
    Some(Origin::option("cluster.fw", "enable", set, "0"))
}

/// Why nothing is filtered at a guest's card.
fn unfiltered(network: &Network, host: &HostName, guest: &Guest, nic: &Nic) -> Origin {
    if let Some(off) = datacenter_off(network, host) {
        return off;
    }
    if !nic.firewall {
        return Origin::proxmox(format!("net{} of {} has no firewall=1", nic.index, guest.vmid));
    }
    let set = guest.firewall.as_ref().and_then(|firewall| firewall.options.get("enable")).map(String::as_str);
    match set {
        Some("1") => Origin::proxmox(format!("Proxmox gives up on {}", guest.file())),
        _ => Origin::option(&guest.file(), "enable", set, "0"),
    }
}

fn host_unfiltered(network: &Network, host: &HostName) -> Origin {
    let set = network.hosts.get(host).and_then(|host| host.firewall.options.get("enable")).map(String::as_str);
    datacenter_off(network, host).unwrap_or_else(|| Origin::option("host.fw", "enable", set, "1"))
}
