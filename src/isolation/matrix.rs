//! Who reaches whom on which ports, and what declares it.
//!
//! Every pair of guests, hosts and what is outside; ports are exact sets, and one address stands for each range that any
//! rule tells apart, so what is not in the matrix is closed. A sender is also tried with addresses that are not its own
//! and with source ports that rules ask for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::address::Version;
use super::decide::{Packet, Solver};
use super::network::{End, Network};
use super::places::Places;
use super::protocol::Payload;
use super::reach::PortSet;
use crate::blueprint::{Blueprint, Flow, Party};
use crate::model::{GuestName, HostName, Transport};

/// Who talks or is talked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// A guest.
    Guest(GuestName),
    /// A host.
    Host(HostName),
    /// Whatever else has a private address.
    Private,
    /// Whatever has a public one.
    Internet,
    /// Whom the tailnet's policy names: a tag, a group, a login.
    Tailnet(String),
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(guest) => guest.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::Private => f.write_str("private networks"),
            Self::Internet => f.write_str("internet"),
            Self::Tailnet(who) => f.write_str(who),
        }
    }
}

impl Serialize for Side {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is open from one side to another by one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Who opens the connection.
    pub from: Side,
    /// Who is connected to.
    pub to: Side,
    /// How.
    pub transport: Transport,
    /// Which ports, for at least one address of either side.
    pub ports: PortSet,
    /// Flows that declare some of it: places in the blueprint's list.
    pub flows: BTreeSet<usize>,
    /// Ports that no flow declares.
    pub undeclared: PortSet,
    /// Packets that show it: one for what is open, one for what is not declared.
    pub witness: Packet,
    /// A packet that gets through and that no flow declares.
    pub offender: Option<Packet>,
}

/// Who reaches whom.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    /// Everything that is open.
    pub openings: Vec<Opening>,
    /// How many pairs are closed altogether.
    pub closed: usize,
}

impl Matrix {
    /// Of a network, held against the flows of a blueprint.
    #[must_use]
    pub fn of(solver: &Solver<'_>, blueprint: &Blueprint, places: &Places) -> Self {
        let network = solver.network();
        let guests: Vec<Side> = network.guests.keys().cloned().map(Side::Guest).collect();
        let hosts: Vec<Side> = network.hosts.keys().cloned().map(Side::Host).collect();
        let outside = [Side::Private, Side::Internet];
        let mut matrix = Self::default();
        for from in guests.iter().chain(&hosts).chain(&outside) {
            for to in guests.iter().chain(&hosts).chain(&outside) {
                let one_is_a_guest = matches!(from, Side::Guest(_)) || matches!(to, Side::Guest(_));
                let into_a_host = matches!(to, Side::Host(_)) && outside.contains(from);
                if from == to || !(one_is_a_guest || into_a_host) {
                    continue;
                }
                let mut open = false;
                for transport in [Transport::Tcp, Transport::Udp] {
                    let pair = Pair { solver, blueprint, places, from, to, transport };
                    let opening = pair.opening();
                    open |= opening.is_some();
                    matrix.openings.extend(opening);
                }
                matrix.closed += usize::from(!open);
            }
        }
        matrix
    }
}

struct Pair<'p, 'a> {
    solver: &'p Solver<'a>,
    blueprint: &'p Blueprint,
    places: &'p Places,
    from: &'p Side,
    to: &'p Side,
    transport: Transport,
}

impl Pair<'_, '_> {
    fn opening(&self) -> Option<Opening> {
        let mut found: Option<Opening> = None;
        for (packet, spare) in self.packets() {
            let open = self.solver.open_ports(&packet).without(&spare);
            let Some(first) = open.first() else { continue };
            let (flows, declared) = declared(self.blueprint, self.places, &packet, self.transport);
            let undeclared = open.without(&declared);
            let at = |port| Packet { payload: payload(self.transport, source_port(&packet), port), ..packet.clone() };
            let opening = found.get_or_insert_with(|| Opening {
                from: self.from.clone(),
                to: self.to.clone(),
                transport: self.transport,
                ports: PortSet::default(),
                flows: BTreeSet::new(),
                undeclared: PortSet::default(),
                witness: at(first),
                offender: None,
            });
            opening.ports = opening.ports.and(&open);
            opening.flows.extend(flows);
            if opening.offender.is_none() {
                opening.offender = undeclared.first().map(at);
            }
            opening.undeclared = opening.undeclared.and(&undeclared);
        }
        found
    }

    /// Packets of every kind that this pair may exchange, each with ports that Proxmox itself opens for DHCP.
    fn packets(&self) -> Vec<(Packet, PortSet)> {
        let network = self.solver.network();
        let (sources, dests) = (self.addresses(self.from), self.addresses(self.to));
        let mut packets = Vec::new();
        let mut add = |(from, source): &(End, IpAddr), (to, dest): &(End, IpAddr), port, spare| {
            let (from, to) = (from.clone(), to.clone());
            let payload = payload(self.transport, port, 1);
            packets.push((Packet { from, source: *source, mac: None, to, dest: *dest, payload }, spare));
        };
        let none = PortSet::default;
        let between = matches!(self.from, Side::Guest(_)) && matches!(self.to, Side::Guest(_) | Side::Host(_));
        for source in &sources {
            for dest in dests.iter().filter(|dest| same_version(source.1, dest.1) && same_scope(source.1, dest.1)) {
                add(source, dest, Payload::CLIENT_PORT, none());
                for port in self.places.source_ports().filter(|_| between) {
                    add(source, dest, port, dhcp(self.transport, port));
                }
            }
        }
        if between {
            for end in ends(network, self.from) {
                for dest in &dests {
                    for source in self.places.all(Version::of(dest.1)) {
                        add(&(end.clone(), source), dest, Payload::CLIENT_PORT, none());
                    }
                }
            }
        }
        packets
    }

    fn addresses(&self, side: &Side) -> Vec<(End, IpAddr)> {
        let network = self.solver.network();
        match side {
            Side::Guest(name) => guest_addresses(network, name),
            Side::Host(host) => {
                let own = network.hosts.get(host).map(|host| host.addresses.as_slice()).unwrap_or_default();
                own.iter().map(|address| (End::Host(host.clone()), *address)).collect()
            }
            // Over a network of its own.
            Side::Tailnet(_) => Vec::new(),
            Side::Private | Side::Internet => {
                let all = self.places.outside().into_iter().filter(|(of, _)| of == side);
                all.map(|(_, address)| (End::Outside, address)).collect()
            }
        }
    }
}

/// Every address that a guest has, with the link-local ones of its cards.
pub(super) fn guest_addresses(network: &Network, name: &GuestName) -> Vec<(End, IpAddr)> {
    let Some(guest) = network.guests.get(name) else { return Vec::new() };
    let link_local = guest.nics.iter().filter_map(|nic| Some((nic.index, IpAddr::V6(nic.mac?.link_local()))));
    let end = |nic| End::Guest { name: name.clone(), nic };
    guest.addresses().chain(link_local).map(|(nic, address)| (end(nic), address)).collect()
}

fn ends(network: &Network, side: &Side) -> Vec<End> {
    let Side::Guest(name) = side else { return Vec::new() };
    let nics = network.guests.get(name).map(|guest| guest.nics.as_slice()).unwrap_or_default();
    nics.iter().map(|nic| End::Guest { name: name.clone(), nic: nic.index }).collect()
}

/// One packet of a connection or a datagram.
pub(super) fn payload(transport: Transport, from: u16, to: u16) -> Payload {
    match transport {
        Transport::Tcp => Payload::Tcp { from, to },
        Transport::Udp => Payload::Udp { from, to },
    }
}

/// What Proxmox itself opens from a source port, where `dhcp` is on: a client asks, a server answers.
fn dhcp(transport: Transport, from: u16) -> PortSet {
    match (transport, from) {
        (Transport::Udp, 67) => PortSet::of([(68, 68)]),
        (Transport::Udp, 68) => PortSet::of([(67, 67)]),
        (Transport::Udp, 546) => PortSet::of([(547, 547)]),
        (Transport::Udp, 547) => PortSet::of([(546, 546)]),
        _ => PortSet::default(),
    }
}

fn source_port(packet: &Packet) -> u16 {
    packet.payload.ports().map_or(Payload::CLIENT_PORT, |(from, _)| from)
}

fn same_version(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// What is link-local speaks with nothing else.
pub(super) fn same_scope(a: IpAddr, b: IpAddr) -> bool {
    let link = |address: IpAddr| matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
    link(a) == link(b)
}

/// Which flows declare what such a packet does, and on which ports.
fn declared(
    blueprint: &Blueprint,
    places: &Places,
    packet: &Packet,
    transport: Transport,
) -> (BTreeSet<usize>, PortSet) {
    let mut ports = PortSet::default();
    let mut flows = BTreeSet::new();
    let is = |party: &Party, end: &End, address: IpAddr| match (party, end) {
        (Party::Guest(guest), End::Guest { name, .. }) => guest == name,
        (Party::Host(host), End::Host(name)) => host == name,
        (Party::Network(network), End::Outside | End::Host(_)) => network.contains(&address),
        (Party::Internet, End::Outside) => places.side(address) == Side::Internet,
        _ => false,
    };
    let of = |flow: &Flow| {
        flow.transport == transport
            && is(&flow.from, &packet.from, packet.source)
            && is(&flow.to, &packet.to, packet.dest)
    };
    for (index, flow) in blueprint.flows.iter().enumerate().filter(|(_, flow)| of(flow)) {
        ports = ports.and(&PortSet::range(flow.ports));
        flows.insert(index);
    }
    (flows, ports)
}
