//! From one end to the other: every place that a packet passes, and what decides there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::address::Version;
use super::chain::{Chain, Link, Outcome, Sight, Then, Walk};
use super::compile::{Rules, Skipped, compile};
use super::mac::Mac;
use super::network::{End, Guest, Host, Network, Nic};
use super::origin::Origin;
use super::protocol::Payload;
use super::reach::{Packets, PortSet, through};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Decision {
    /// What becomes of it.
    #[serde(serialize_with = "word")]
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// The places that it passed, in order; the last one decided.
    pub hops: Vec<Hop>,
}

/// One place that a packet passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Hop {
    /// Which.
    #[serde(rename = "at")]
    pub place: HopPlace,
    /// What is done there.
    #[serde(serialize_with = "word")]
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// Why: what decided, with what led there before it.
    pub by: Vec<Origin>,
}

/// A place where packets are judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
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
        #[schemars(with = "String")]
        host: HostName,
    },
    /// What comes in to a host.
    HostIn {
        /// The host.
        #[schemars(with = "String")]
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
        let mut walk = Walk::default();
        let mut hops = Vec::new();
        for stage in self.way(packet) {
            walk.marked &= !stage.afar;
            walk.by.clear();
            let mut verdict = Verdict::Accept;
            for chain in &stage.chains {
                match walk.through(chain, stage.sight(packet)) {
                    Outcome::Nothing => continue,
                    Outcome::Accept => {}
                    Outcome::Drop => verdict = Verdict::Drop,
                    Outcome::Reject => verdict = Verdict::Reject,
                }
                break;
            }
            let mut by: Vec<Origin> = walk.by.iter().map(|origin| (*origin).clone()).collect();
            if by.is_empty() {
                by.push(stage.otherwise.unwrap_or_else(|| Origin::proxmox("nothing says otherwise")));
            }
            hops.push(Hop { place: stage.place, verdict, by });
            if verdict != Verdict::Accept {
                return Decision { verdict, hops };
            }
        }
        Decision { verdict: Verdict::Accept, hops }
    }

    /// Every port that packets like this one reach; its own destination port is not looked at.
    #[must_use]
    pub fn open_ports(&self, packet: &Packet) -> PortSet {
        let mut packets = Packets { unmarked: PortSet::all(), ..Packets::default() };
        for stage in self.way(packet) {
            if stage.afar {
                packets = Packets { unmarked: packets.ports(), ..Packets::default() };
            }
            let mut passed = Packets::default();
            for chain in &stage.chains {
                let sorted = through(chain, stage.sight(packet), packets);
                passed.add(&sorted.accepted);
                packets = sorted.undecided;
            }
            passed.add(&packets);
            packets = passed;
        }
        packets.ports()
    }

    /// Every link of every chain, to find where what they say may change. Groups come once per list that names them.
    pub(super) fn each_link(&self, version: Version, mut look: impl FnMut(&Link)) {
        fn within(chain: &[Link], look: &mut impl FnMut(&Link)) {
            for link in chain {
                look(link);
                if let Then::Jump(inner) = &link.then {
                    within(inner, look);
                }
            }
        }
        for (_, rules) in self.rules.iter().filter(|((_, of), _)| *of == version) {
            let cards = rules.cards.values().flat_map(|(outward, inward)| [outward, inward]);
            for chain in rules.host_in.iter().chain(&rules.host_out).chain([&rules.guarded]).chain(cards) {
                within(chain, &mut look);
            }
        }
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

/// One place on a packet's way.
struct Stage<'s> {
    place: HopPlace,
    /// Walked one after the other; whatever none of them decides passes.
    chains: Vec<&'s Chain>,
    iface_in: Option<&'s str>,
    iface_out: Option<&'s str>,
    /// The networks of the host that looks at it.
    networks: &'s [IpNet],
    /// Why it passes if no chain says anything.
    otherwise: Option<Origin>,
    /// Whether the packet came over a wire, on which no mark travels.
    afar: bool,
}

impl Stage<'_> {
    fn sight(&self, packet: &Packet) -> Sight<'_> {
        Sight {
            source: packet.source,
            dest: packet.dest,
            payload: packet.payload,
            mac: packet.mac,
            iface_in: self.iface_in,
            iface_out: self.iface_out,
            networks: self.networks,
        }
    }
}

impl Solver<'_> {
    /// The places that a packet passes, in order. What a host or guest says to itself passes none.
    fn way(&self, packet: &Packet) -> Vec<Stage<'_>> {
        let network = self.network;
        let host_of = |end: &End| match end {
            End::Guest { name, .. } => network.guests.get(name).map(|guest| guest.host.clone()),
            End::Host(host) => Some(host.clone()),
            End::Outside => None,
        };
        let (from, to) = (host_of(&packet.from), host_of(&packet.to));
        if packet.from == packet.to {
            return Vec::new();
        }
        let near = from == to;
        let mut way = Vec::new();
        way.extend(from.as_ref().and_then(|host| self.leave(host, near, packet)));
        way.extend(to.as_ref().and_then(|host| self.arrive(host, near, packet)));
        way
    }

    fn stage(&self, host: &HostName, place: HopPlace) -> Stage<'_> {
        let networks = self.network.hosts.get(host).map(|host| host.networks.as_slice()).unwrap_or_default();
        Stage { place, chains: Vec::new(), iface_in: None, iface_out: None, networks, otherwise: None, afar: false }
    }

    fn leave(&self, host: &HostName, near: bool, packet: &Packet) -> Option<Stage<'_>> {
        let network = self.network;
        let rules = self.rules(host, packet);
        match &packet.from {
            End::Guest { name, nic } => {
                let (guest, nic) = card(network, name, *nic)?;
                let mut stage = self.stage(host, HopPlace::GuestOut { card: format!("{name} net{}", nic.index) });
                let chains = rules.and_then(|rules| rules.cards.get(&(name.clone(), nic.index)));
                stage.chains.extend(chains.map(|(out, _)| out));
                stage.otherwise = chains.is_none().then(|| unfiltered(network, host, guest, nic));
                Some(stage)
            }
            End::Host(_) => {
                let mut stage = self.stage(host, HopPlace::HostOut { host: host.clone() });
                let chain = rules.and_then(|rules| rules.host_out.as_ref());
                stage.chains.extend(chain);
                stage.otherwise = chain.is_none().then(|| host_unfiltered(network, host));
                stage.iface_out = self.interface(host, near.then_some(&packet.to));
                Some(stage)
            }
            End::Outside => None,
        }
    }

    fn arrive(&self, host: &HostName, near: bool, packet: &Packet) -> Option<Stage<'_>> {
        let network = self.network;
        let rules = self.rules(host, packet);
        let mut stage = match &packet.to {
            End::Guest { name, nic } => {
                let (guest, nic) = card(network, name, *nic)?;
                let mut stage = self.stage(host, HopPlace::GuestIn { card: format!("{name} net{}", nic.index) });
                let chains = rules.and_then(|rules| rules.cards.get(&(name.clone(), nic.index)));
                // Whoever is on the blacklist stays out of every card with a firewall, whatever its guest says.
                stage.chains.extend(rules.filter(|_| nic.firewall).map(|rules| &rules.guarded));
                stage.chains.extend(chains.map(|(_, inward)| inward));
                stage.otherwise = chains.is_none().then(|| unfiltered(network, host, guest, nic));
                stage
            }
            End::Host(_) => {
                let mut stage = self.stage(host, HopPlace::HostIn { host: host.clone() });
                let chain = rules.and_then(|rules| rules.host_in.as_ref());
                stage.chains.extend(chain);
                stage.otherwise = chain.is_none().then(|| host_unfiltered(network, host));
                stage.iface_in = self.interface(host, near.then_some(&packet.from));
                stage
            }
            End::Outside => return None,
        };
        stage.afar = !near;
        Some(stage)
    }

    /// The host's interface towards one of its guests, else its uplink.
    fn interface(&self, host: &HostName, other: Option<&End>) -> Option<&str> {
        match other {
            Some(End::Guest { name, nic }) => card(self.network, name, *nic).map(|(_, nic)| nic.bridge.as_str()),
            _ => self.network.hosts.get(host).map(|host| host.uplink.as_str()),
        }
    }

    fn rules(&self, host: &HostName, packet: &Packet) -> Option<&Rules> {
        self.rules.get(&(host.clone(), Version::of(packet.dest)))
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
