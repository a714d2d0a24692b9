//! Chains of rules as Proxmox compiles them, and what becomes of a packet in one.
//!
//! A chain is walked as the kernel does: `RETURN` leaves it, a jump comes back unless something decided, and the mark
//! `0x80000000` stays with the packet from chain to chain. Logging is left out, since it decides nothing.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::address::{Cast, IpSet, Version};
use super::mac::Mac;
use super::origin::Origin;
use super::protocol::{IcmpKind, Payload, Ports};
use super::rule::{carries, lists};
use super::tables::Where;

/// What a link asks of a packet; what is not said matches.
#[derive(Debug, Clone, Default)]
pub(super) struct When {
    pub protocol: Option<u8>,
    pub dport: Ports,
    pub sport: Ports,
    pub icmp: IcmpKind,
    pub source: Option<Where>,
    pub dest: Option<Where>,
    pub iface_in: Option<String>,
    pub iface_out: Option<String>,
    /// Any hardware address but this one; `None` inside for a card that has none yet.
    pub other_mac_than: Option<Option<Mac>>,
    /// Any source that is not in this set.
    pub source_not_in: Option<Arc<IpSet>>,
    pub source_cast: Option<Cast>,
    pub dest_cast: Option<Cast>,
    /// Only packets that carry the mark.
    pub marked: bool,
    /// No packet at all.
    pub never: bool,
}

/// What becomes of a packet that a link matches.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Accept,
    Drop,
    Reject,
    /// Leaves the chain.
    Return,
    /// Takes the mark off and goes on.
    Unmark,
    /// Sets the mark and leaves the chain.
    MarkAndLeave,
    /// Walks another chain and comes back unless that decides.
    Jump(Chain),
}

/// One link of a chain.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub when: When,
    pub then: Then,
    /// Where it comes from; plumbing has none.
    pub origin: Option<Origin>,
}

pub(super) type Chain = Arc<[Link]>;

impl Link {
    pub fn new(when: When, then: Then, origin: Option<Origin>) -> Self {
        Self { when, then, origin }
    }
}

/// A packet at one place of its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub source: IpAddr,
    pub dest: IpAddr,
    pub payload: Payload,
    /// `None` for the sender's own.
    pub mac: Option<Mac>,
    pub iface_in: Option<&'a str>,
    pub iface_out: Option<&'a str>,
    /// The networks of the host that looks at it.
    pub networks: &'a [IpNet],
}

/// What a chain says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Accept,
    Drop,
    Reject,
    /// Nothing: whoever jumped here goes on.
    Nothing,
}

/// What goes with a packet from chain to chain.
#[derive(Debug, Default)]
pub(super) struct Walk<'a> {
    pub marked: bool,
    /// What decided so far in this chain, outermost first.
    pub by: Vec<&'a Origin>,
}

impl<'a> Walk<'a> {
    pub fn through(&mut self, chain: &'a [Link], sight: Sight<'_>) -> Outcome {
        for link in chain {
            let port = sight.payload.ports().is_none_or(|(_, to)| lists(&link.when.dport, to));
            if !(port && link.when.fits(sight) && (self.marked || !link.when.marked)) {
                continue;
            }
            let before = self.by.len();
            match &link.then {
                Then::Unmark => {
                    self.marked = false;
                    continue;
                }
                Then::Jump(chain) => {
                    self.by.extend(&link.origin);
                    let inner = self.by.len();
                    let outcome = self.through(chain, sight);
                    if outcome != Outcome::Nothing {
                        return outcome;
                    }
                    if self.by.len() == inner {
                        self.by.truncate(before);
                    }
                    continue;
                }
                then => {
                    self.by.extend(&link.origin);
                    match then {
                        Then::Accept => return Outcome::Accept,
                        Then::Drop => return Outcome::Drop,
                        Then::Reject => return Outcome::Reject,
                        Then::MarkAndLeave => self.marked = true,
                        Then::Return | Then::Unmark | Then::Jump(_) => {}
                    }
                    return Outcome::Nothing;
                }
            }
        }
        Outcome::Nothing
    }
}

impl When {
    /// Whether it is about such a packet, but for its destination port and its mark.
    pub fn fits(&self, sight: Sight<'_>) -> bool {
        let version = Version::of(sight.dest);
        let within = |place: &Option<Where>, address: IpAddr| match place {
            None => true,
            Some(Where::Addresses(list)) => list.contains(address),
            Some(Where::Set(set)) => set.of(version).contains(address),
        };
        let iface = |wanted: &Option<String>, there: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == there);
        let cast = |wanted: Option<Cast>, address| wanted.is_none_or(|cast| Cast::of(address, sight.networks) == cast);
        let foreign_mac = |own: Option<Mac>| sight.mac.is_some_and(|sent| Some(sent) != own);
        !self.never
            && carries(self, sight.payload, version)
            && within(&self.source, sight.source)
            && within(&self.dest, sight.dest)
            && iface(&self.iface_in, sight.iface_in)
            && iface(&self.iface_out, sight.iface_out)
            && self.other_mac_than.is_none_or(foreign_mac)
            && self.source_not_in.as_ref().is_none_or(|set| !set.contains(sight.source))
            && cast(self.source_cast, sight.source)
            && cast(self.dest_cast, sight.dest)
    }

    /// Addresses at which what it says of a source or destination may change.
    pub fn address_cuts(&self, version: Version) -> Vec<IpAddr> {
        let mut cuts = Vec::new();
        for place in [&self.source, &self.dest].into_iter().flatten() {
            match place {
                Where::Addresses(list) => cuts.extend(list.cuts()),
                Where::Set(set) => cuts.extend(set.of(version).cuts()),
            }
        }
        cuts.extend(self.source_not_in.iter().flat_map(|set| set.cuts()));
        cuts
    }
}
