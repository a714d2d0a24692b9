//! What becomes of a connection that a guest opens: through its own chains, then those of whoever it is for.
//!
//! Judged by what the firewall's daemon last made of the files, as a kernel would. Inside guests only sshd listens;
//! a host answers on the ports of its own services. Entry: [`connect`].

use std::net::{IpAddr, Ipv6Addr};

use super::guest_firewall::{Interface, Packet, judge};
use super::host_firewall::{self, Verdict};
use crate::lab::world::property::Properties;
use crate::lab::world::{Firewall, Guest, GuestKind, Node, World};

/// How a connection attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody listens.
    Open,
    /// It is refused: nobody listens, or a rule says so to the sender.
    Refused,
    /// Nobody answers.
    Silent,
}

/// Opens a TCP connection out of a guest.
#[must_use]
pub fn connect(world: &World, vmid: u32, dest: IpAddr, port: u16) -> Ended {
    let own = if dest.is_ipv6() { link_local } else { address };
    let Some((source, here)) = world.guests.get(&vmid).and_then(|guest| Some((own(guest)?, guest))) else {
        return Ended::Silent;
    };
    let packet = |inbound| Packet { inbound, source, dest, protocol: "tcp", port: Some(port) };
    match at(world, vmid, here, packet(false)) {
        Verdict::Drop => return Ended::Silent,
        Verdict::Reject => return Ended::Refused,
        Verdict::Accept => {}
    }
    // PVE: a reset ends the kernel's memory of a connection that nobody answered. On the next bridge it belongs to
    // nothing and is dropped as invalid, unless that bridge is no firewall's (Linux 6.18 with the chains of 9.2.11).
    let lost = |guest: &Guest| world.nodes.get(&guest.node).is_some_and(|node| filtered(guest) && strict(node));
    if let Some((vmid, guest)) = world.guests.iter().find(|(_, guest)| own(guest) == Some(dest)) {
        return match at(world, *vmid, guest, packet(true)) {
            // A guest that is down answers nobody, not even to say no.
            _ if !guest.has_booted(world.now_ms) => Ended::Silent,
            Verdict::Drop => Ended::Silent,
            Verdict::Accept if listens(world, *vmid, guest, port) => Ended::Open,
            Verdict::Accept if lost(guest) || lost(here) => Ended::Silent,
            Verdict::Reject if lost(here) => Ended::Silent,
            Verdict::Accept | Verdict::Reject => Ended::Refused,
        };
    }
    let host = world.nodes.values().find(|node| node.address.parse() == Ok(dest));
    let Some(host) = host.filter(|node| node.online) else { return Ended::Silent };
    let enforced = &host.enforced;
    let seen = host_firewall::Packet { source, protocol: "tcp", port: Some(port) };
    let local = host_firewall::local_network(host);
    match host_firewall::judge(&enforced.cluster, &enforced.host, (&host.address, local), seen) {
        Verdict::Drop => Ended::Silent,
        Verdict::Accept if matches!(port, 22 | 3128 | 8006) => Ended::Open,
        Verdict::Accept if lost(here) => Ended::Silent,
        Verdict::Accept | Verdict::Reject => Ended::Refused,
    }
}

/// Whether something in a guest listens on a port: a program of its own, or a container that publishes it.
fn listens(world: &World, vmid: u32, guest: &Guest, port: u16) -> bool {
    guest.listens(port, world.now_ms) || crate::lab::docker::network::listens(world, vmid, guest, port)
}

/// Whether a question to a name server gets there and is answered: a node answers at each of its addresses, as the
/// gateway of its guests that it often is; a router outside does, too; in guests no name server runs.
#[must_use]
pub fn answers_names(world: &World, vmid: u32, server: IpAddr) -> bool {
    let Some((source, here)) = world.guests.get(&vmid).and_then(|guest| Some((address(guest)?, guest))) else {
        return false;
    };
    let question = Packet { inbound: false, source, dest: server, protocol: "udp", port: Some(53) };
    let of_a_guest = world.guests.values().any(|guest| address(guest) == Some(server));
    if of_a_guest || at(world, vmid, here, question) != Verdict::Accept {
        return false;
    }
    let has = |node: &&Node| {
        let networks =
            node.networks.values().filter_map(|network| network.cidr.as_deref()?.split_once('/')?.0.parse().ok());
        node.address.parse() == Ok(server) || networks.into_iter().any(|own: IpAddr| own == server)
    };
    let Some(host) = world.nodes.values().find(has) else { return true };
    let seen = host_firewall::Packet { source, protocol: "udp", port: Some(53) };
    let place = (&*server.to_string(), host_firewall::local_network(host));
    host.online && host_firewall::judge(&host.enforced.cluster, &host.enforced.host, place, seen) == Verdict::Accept
}

/// Whether a TCP connection that a guest opens to somewhere outside gets past its own chains.
#[must_use]
pub fn leaves(world: &World, vmid: u32, dest: IpAddr, port: u16) -> bool {
    let Some((source, here)) = world.guests.get(&vmid).and_then(|guest| Some((address(guest)?, guest))) else {
        return false;
    };
    let packet = Packet { inbound: false, source, dest, protocol: "tcp", port: Some(port) };
    here.has_booted(world.now_ms) && at(world, vmid, here, packet) == Verdict::Accept
}

/// Whether a guest's first interface has a bridge of the firewall's.
fn filtered(guest: &Guest) -> bool {
    guest.config.get("net0").is_some_and(|net| Properties::parse(net).is_on("firewall"))
}

/// Whether a node drops what belongs to no connection.
fn strict(node: &Node) -> bool {
    let on = |firewall: &Firewall, option: &str| firewall.options.get(option).is_some_and(|value| value != "0");
    on(&node.enforced.cluster, "enable") && !on(&node.enforced.host, "nf_conntrack_allow_invalid")
}

/// What a guest's first interface does to a packet.
fn at(world: &World, vmid: u32, guest: &Guest, packet: Packet<'_>) -> Verdict {
    let Some(node) = world.nodes.get(&guest.node) else { return Verdict::Drop };
    let none = Firewall::default();
    let interface = Interface {
        number: 0,
        filtered: filtered(guest),
        address: address(guest).filter(|_| guest.kind == GuestKind::Lxc),
        firewall: node.enforced.guests.get(&vmid).unwrap_or(&none),
    };
    judge(&node.enforced.cluster, interface, host_firewall::local_network(node), packet)
}

/// The static address of a guest's first interface.
#[must_use]
pub fn address(guest: &Guest) -> Option<IpAddr> {
    let key = if guest.kind == GuestKind::Lxc { "net0" } else { "ipconfig0" };
    let properties = Properties::parse(guest.config.get(key)?);
    properties.get("ip")?.split_once('/')?.0.parse().ok()
}

/// The link-local address that a guest gives itself on its first interface (RFC 4291, modified EUI-64).
#[must_use]
pub fn link_local(guest: &Guest) -> Option<IpAddr> {
    let properties = Properties::parse(guest.config.get("net0")?);
    let mac = ["hwaddr", "virtio", "e1000"].iter().find_map(|key| properties.get(key))?;
    let bytes: Vec<u8> = mac.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let [a, b, c, d, e, f] = bytes[..] else { return None };
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let six = Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f));
    Some(IpAddr::V6(six))
}
