//! Which addresses there are to be judged: one of each kind that any rule tells apart.
//!
//! Rules and sets cut all addresses into ranges within which nothing changes; one address of each range stands for all
//! of it. Owns whose an address is, and which addresses stand for what is outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{self, Version};
use super::decide::Solver;
use super::matrix::Side;
use super::network::End;
use crate::blueprint::{Blueprint, Party};

/// Networks whose addresses stand for nobody: this host itself, what is reserved, link-local. Groups are somebody: what
/// reaches them reaches whoever is on the same bridge.
const NOBODY: [&str; 8] =
    ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "240.0.0.0/4", "::/8", "fe80::/10", "2001:db8::/32", "192.0.2.0/24"];

/// Whose addresses are whose, and where they begin to differ.
#[derive(Debug)]
pub struct Places {
    owners: BTreeMap<IpAddr, End>,
    inside: Vec<IpNet>,
    nobody: Vec<IpNet>,
    cuts: BTreeSet<IpAddr>,
    /// Source ports that some rule asks for.
    source_ports: BTreeSet<u16>,
}

impl Places {
    /// Of a network that is to be as a blueprint says.
    #[must_use]
    pub fn new(solver: &Solver<'_>, blueprint: &Blueprint) -> Self {
        let network = solver.network();
        let mut owners = BTreeMap::new();
        for (name, host) in &network.hosts {
            owners.extend(host.addresses.iter().map(|address| (*address, End::Host(name.clone()))));
        }
        for (name, guest) in &network.guests {
            let end = |nic| End::Guest { name: name.clone(), nic };
            owners.extend(guest.addresses().map(|(nic, address)| (address, end(nic))));
            let link_local = guest.nics.iter().filter_map(|nic| Some((nic.index, IpAddr::V6(nic.mac?.link_local()))));
            owners.extend(link_local.map(|(nic, address)| (address, end(nic))));
        }
        let inside = blueprint.inside();
        let nobody: Vec<IpNet> = NOBODY.iter().filter_map(|text| text.parse().ok()).collect();
        let (mut cuts, mut source_ports) = (BTreeSet::new(), BTreeSet::new());
        for version in Version::ALL {
            solver.each_link(version, |link| {
                cuts.extend(link.when.address_cuts(version));
                source_ports.extend(link.when.sport.iter().map(|(first, _)| *first));
            });
        }
        let declared = blueprint.flows.iter().flat_map(|flow| [&flow.from, &flow.to]).filter_map(|party| match party {
            Party::Network(network) => Some(*network),
            _ => None,
        });
        let networks = declared.chain(inside.iter().copied()).chain(nobody.iter().copied());
        let whole = ["0.0.0.0/0", "::/0", "2000::/3"].into_iter().filter_map(|text| text.parse().ok());
        let owned = owners.keys().copied().map(IpNet::from);
        for network in networks.chain(whole).chain(owned) {
            let (first, last) = address::ends(network);
            cuts.insert(first);
            cuts.extend(address::after(last));
        }
        Self { owners, inside, nobody, cuts, source_ports }
    }

    /// Who has an address; nobody of the inventory, if it is outside.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> End {
        self.owners.get(&address).cloned().unwrap_or(End::Outside)
    }

    /// The side that an address is on.
    #[must_use]
    pub fn side(&self, address: IpAddr) -> Side {
        match self.owner(address) {
            End::Guest { name, .. } => Side::Guest(name),
            End::Host(host) => Side::Host(host),
            End::Outside if self.inside.iter().any(|network| network.contains(&address)) => Side::Private,
            End::Outside => Side::Internet,
        }
    }

    /// One address of each kind that is neither a guest's nor a host's.
    pub(super) fn outside(&self) -> Vec<(Side, IpAddr)> {
        let nobody = |address: &IpAddr| self.nobody.iter().any(|network| network.contains(address));
        let all = self.cuts.iter().copied().filter(|address| !nobody(address) && !self.owners.contains_key(address));
        all.map(|address| (self.side(address), address)).collect()
    }

    /// One address of each kind that is in a network, hosts' among them.
    pub(super) fn within(&self, network: IpNet) -> Vec<IpAddr> {
        let guests = |address: &IpAddr| matches!(self.owners.get(address), Some(End::Guest { .. }));
        let all = self.cuts.iter().copied().filter(|address| network.contains(address) && !guests(address));
        all.collect()
    }

    /// Who may be in a network: one address of each kind that is no guest's, the first one among them.
    #[must_use]
    pub fn members(&self, network: IpNet) -> Vec<(End, IpAddr)> {
        let first = network.hosts().next().unwrap_or(network.addr());
        let whole = network.prefix_len() < network.max_prefix_len();
        let is_end = |address: &IpAddr| whole && (*address == network.network() || *address == network.broadcast());
        let mut all: BTreeSet<IpAddr> = self.within(network).into_iter().filter(|address| !is_end(address)).collect();
        if !matches!(self.owner(first), End::Guest { .. }) {
            all.insert(first);
        }
        all.into_iter().map(|address| (self.owner(address), address)).collect()
    }

    /// One address of each kind, of one version.
    pub(super) fn all(&self, version: Version) -> impl Iterator<Item = IpAddr> + '_ {
        self.cuts.iter().copied().filter(move |address| Version::of(*address) == version)
    }

    /// Source ports that some rule asks for.
    pub(super) fn source_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.source_ports.iter().copied()
    }
}
