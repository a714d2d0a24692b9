//! Ports and names: who listens where in a guest, and whom a container reaches by which name.

use std::net::IpAddr;

use crate::lab::rules::reach::{self, Ended};
use crate::lab::services::{self, Place};
use crate::lab::world::{Container, ContainerState, Guest, World};

/// Who opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From<'a> {
    /// A program of the guest itself.
    Guest,
    /// A process of one of its containers.
    Container(&'a str),
}

/// Why a connection leads to no container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    /// The name is not known.
    Unknown,
    /// It is refused.
    Refused,
    /// Nobody answers.
    Silent,
}

/// Refuses what cannot be published: a port that is taken, an address that is not the guest's.
///
/// # Errors
/// What the engine answers.
pub(super) fn taken(world: &World, vmid: u32, name: &str, container: &Container) -> Result<(), String> {
    let Some(guest) = world.guests.get(&vmid) else { return Ok(()) };
    let own = reach::address(guest).map(|address| address.to_string()).unwrap_or_default();
    let docker = guest.docker.iter().flat_map(|docker| docker.containers.iter());
    let others: Vec<_> = docker
        .filter(|(other, one)| *other != name && matches!(one.state, ContainerState::Running { .. }))
        .flat_map(|(_, one)| one.ports.iter())
        .collect();
    let endpoint = format!(
        "failed to set up container networking: driver failed programming external connectivity on endpoint {name} ({})",
        container.id
    );
    for port in &container.ports {
        let address = if port.address.is_empty() { "0.0.0.0" } else { &port.address };
        if !["0.0.0.0", "::", "127.0.0.1", "::1"].contains(&address) && address != own {
            let (here, protocol) = (port.here, &port.protocol);
            return Err(format!(
                "{endpoint}: failed to bind host port {address}:{here}/{protocol}: cannot assign requested address"
            ));
        }
        let meets = |other: &&&crate::lab::world::Published| {
            other.here == port.here
                && other.protocol == port.protocol
                && (other.address == port.address || other.address.is_empty() || port.address.is_empty())
        };
        if others.iter().any(|other| meets(&other)) {
            return Err(format!("{endpoint}: Bind for {address}:{} failed: port is already allocated", port.here));
        }
        let alone = port.here == 22 || guest.listeners.get(&port.here).is_some_and(|until| *until > world.now_ms);
        if port.protocol == "tcp" && alone {
            return Err(format!(
                "{endpoint}: failed to bind host port {address}:{}/tcp: address already in use",
                port.here
            ));
        }
    }
    Ok(())
}

/// The container, and the port in it, behind a port of a guest as it is seen at one of its addresses.
#[must_use]
pub fn behind(world: &World, vmid: u32, address: IpAddr, port: u16) -> Option<(Place, u16)> {
    let guest = world.guests.get(&vmid)?;
    let docker = guest.docker.as_ref().filter(|docker| docker.daemon.is_some())?;
    for (name, container) in &docker.containers {
        let place = Place::new(vmid, name);
        if !answers(world, &place) {
            continue;
        }
        if container.networks.contains_key("host") && services::listens(world, &place).contains(&port) {
            return Some((place, port));
        }
        let fits = |own: &&crate::lab::world::Published| {
            let here = own.address.is_empty() || own.address == "0.0.0.0" || own.address.parse() == Ok(address);
            own.here == port && own.protocol == "tcp" && here
        };
        let Some(published) = container.ports.iter().find(fits) else { continue };
        // Docker publishes nothing of a container that is in internal networks alone.
        let leads_out =
            container.networks.keys().any(|key| docker.networks.get(key).is_none_or(|network| !network.internal));
        if leads_out && services::listens(world, &place).contains(&published.inside) {
            return Some((place, published.inside));
        }
    }
    None
}

/// Whether a container's process runs and has come up.
#[must_use]
pub fn answers(world: &World, place: &Place) -> bool {
    let state = super::shown(world, place);
    let Some(container) = place.container(world) else { return false };
    let ready_ms = services::starts_ms(&container.image) * i64::from(world.pace) / 100;
    state.status == "running" && state.started_ms.is_some_and(|since| world.now_ms >= since + ready_ms)
}

/// Opens a connection from a guest or one of its containers: to the container that answers, with the port in it.
///
/// # Errors
/// If there is no way to one.
pub fn connect(world: &World, vmid: u32, from: From<'_>, host: &str, port: u16) -> Result<(Place, u16), NoWay> {
    let host = host.trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if let From::Container(name) = from {
        let own = Place::new(vmid, name);
        let in_guest = own.container(world).is_some_and(|container| container.networks.contains_key("host"));
        if loopback && !in_guest {
            let listens = answers(world, &own) && services::listens(world, &own).contains(&port);
            return if listens { Ok((own, port)) } else { Err(NoWay::Refused) };
        }
        if host.parse::<IpAddr>().is_err() && !loopback {
            let other = neighbour(world, &own, host).ok_or(NoWay::Unknown)?;
            let listens = answers(world, &other) && services::listens(world, &other).contains(&port);
            return if listens { Ok((other, port)) } else { Err(NoWay::Refused) };
        }
        // What is in internal networks alone does not get out of them.
        if !in_guest && !leads_out(world, &own) {
            return Err(NoWay::Silent);
        }
    }
    let guest = world.guests.get(&vmid).ok_or(NoWay::Silent)?;
    let own = reach::address(guest);
    let address: IpAddr =
        if loopback { IpAddr::from([127, 0, 0, 1]) } else { host.parse().map_err(|_| NoWay::Unknown)? };
    if loopback || Some(address) == own {
        return behind(world, vmid, address, port).ok_or(NoWay::Refused);
    }
    match reach::connect(world, vmid, address, port) {
        Ended::Open => {
            let there = world.guests.iter().find(|(_, other)| reach::address(other) == Some(address));
            there.and_then(|(other, _)| behind(world, *other, address, port)).ok_or(NoWay::Refused)
        }
        Ended::Refused => Err(NoWay::Refused),
        Ended::Silent => Err(NoWay::Silent),
    }
}

fn leads_out(world: &World, place: &Place) -> bool {
    let (Some(container), Some(docker)) = (place.container(world), place.docker(world)) else { return false };
    container
        .networks
        .keys()
        .any(|key| docker.networks.get(key).is_some_and(|network| !network.internal) || key == "bridge")
}

/// Whether a container's packets can leave its networks.
#[must_use]
pub fn is_outbound(world: &World, place: &Place) -> bool {
    leads_out(world, place)
}

/// The container of a name in one of a container's networks.
#[must_use]
pub fn neighbour(world: &World, own: &Place, name: &str) -> Option<Place> {
    let docker = own.docker(world)?;
    let networks = &own.container(world)?.networks;
    let found = docker.containers.iter().find(|(full, other)| {
        other.since_ms().is_some()
            && other.networks.iter().any(|(network, names)| {
                networks.contains_key(network)
                    && (names.contains(name) || full.as_str() == name || other.id.starts_with(name) && name.len() == 12)
            })
    });
    found.map(|(full, _)| Place::new(own.vmid, full))
}

/// The address of a container in one of its networks; none in the guest's own.
#[must_use]
pub fn address_in(docker: &crate::lab::world::Docker, network: &str, name: &str) -> Option<IpAddr> {
    let third = match network {
        "host" | "none" => return None,
        "bridge" => 17,
        _ => 18 + docker.networks.keys().position(|own| own == network)?,
    };
    let last = 2 + docker.containers.keys().position(|own| own == name)?;
    Some(IpAddr::from([172, u8::try_from(third).ok()?, 0, u8::try_from(last).ok()?]))
}

/// The address by which a container reaches another one that shares a network with it.
#[must_use]
pub fn address_of(world: &World, own: &Place, other: &Place) -> Option<IpAddr> {
    let here = &own.container(world)?.networks;
    let shared = other.container(world)?.networks.keys().find(|network| here.contains_key(*network))?;
    address_in(own.docker(world)?, shared, &other.name)
}

/// The container that has an address on a guest's own networks.
#[must_use]
pub fn at(world: &World, vmid: u32, address: IpAddr) -> Option<Place> {
    let docker = world.guests.get(&vmid)?.docker.as_ref()?;
    let has = |name: &str, one: &Container| {
        one.networks.keys().any(|network| address_in(docker, network, name) == Some(address))
    };
    let (name, _) = docker.containers.iter().find(|(name, one)| has(name, one))?;
    Some(Place::new(vmid, name))
}

/// Whether something published by Docker listens on a guest's port, as others see it.
#[must_use]
pub fn listens(world: &World, vmid: u32, guest: &Guest, port: u16) -> bool {
    let Some(address) = reach::address(guest) else { return false };
    behind(world, vmid, address, port).is_some()
}
