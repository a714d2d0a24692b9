//! The network as it was read from hosts.
//!
//! What could not be read is not guessed: the guest or host is left out and named in [`Network::gaps`].

use std::net::IpAddr;

use super::desired::placed;
use super::network::{Guest, Host, Network, Nic};
use crate::blueprint::{self, Blueprint};
use crate::model::entrance::HostFirewall;
use crate::model::observed::{GuestConfig, GuestKind, Observed, Site};
use crate::proxmox::options::Options;

/// Proxmox takes up to 32 cards.
const CARDS: u8 = 32;

impl Network {
    /// What is enforced by what is there now.
    #[must_use]
    pub fn observed(blueprint: &Blueprint, observed: &Observed) -> Self {
        let mut network = Self::default();
        for (name, site) in &observed.sites {
            match site.firewall.value().filter(|_| site.firewall.is_complete()) {
                Some(firewall) => drop(network.sites.insert(name.clone(), firewall.clone())),
                None => {
                    let why = site.firewall.why().unwrap_or("not known");
                    network.gaps.push(format!("the datacenter firewall of {name} is not known: {why}"));
                }
            }
        }
        for (name, host) in &blueprint.hosts {
            let own = observed.hosts.get(name).and_then(|there| there.entrance.firewall.value());
            if own.is_some_and(HostFirewall::is_nftables) {
                network.gaps.push(format!(
                    "host {name} has `nftables: 1`: another program (`proxmox-firewall`) makes its rules, and the answer \
                     is given as `pve-firewall` would make them"
                ));
            }
            match observed_host(host, observed) {
                Ok(host) if network.sites.contains_key(&host.site) => drop(network.hosts.insert(name.clone(), host)),
                Ok(_) => network.gaps.push(format!("nothing is said of host {name}")),
                Err(why) => network.gaps.push(format!("host {name}: {why}")),
            }
        }
        for (name, guest) in &blueprint.guests {
            let site = observed.sites.get(&blueprint.host_of(guest).site);
            match site
                .ok_or_else(|| "its site was not read".to_owned())
                .and_then(|site| observed_guest(blueprint, guest, site))
            {
                Ok(guest) if network.hosts.contains_key(&guest.host) => {
                    drop(network.guests.insert(name.clone(), guest))
                }
                Ok(_) => network.gaps.push(format!("nothing is said of guest {name}")),
                Err(why) => network.gaps.push(format!("guest {name}: {why}")),
            }
        }
        network
    }
}

fn observed_host(host: &blueprint::Host, observed: &Observed) -> Result<Host, String> {
    let there = observed.hosts.get(&host.name).ok_or("it was not read")?;
    let fact = &there.entrance.firewall;
    let firewall = fact.value().filter(|_| fact.is_complete()).cloned();
    let firewall =
        firewall.ok_or_else(|| format!("its own firewall is not known: {}", fact.why().unwrap_or("not read")))?;
    let mut one = Host { site: there.site.clone(), firewall, ..placed(host) };
    if let Some(links) = there.machine.links.value() {
        let own = links.0.iter().flat_map(|link| &link.addresses).filter(|own| !own.addr().is_loopback());
        let own: Vec<_> = own.copied().collect();
        let managed = one.addresses.first().copied();
        // The network of the address under which the inventory reaches it: Proxmox takes that of the node's name.
        let local = own.iter().find(|network| Some(network.addr()) == managed).map(|network| network.trunc());
        one.local_network = local.or(one.local_network);
        one.networks = own.iter().map(ipnet::IpNet::trunc).collect();
        let addresses = own.iter().map(ipnet::IpNet::addr).filter(|own| Some(*own) != managed);
        one.addresses.extend(addresses);
    }
    Ok(one)
}

fn observed_guest(blueprint: &Blueprint, guest: &blueprint::Guest, site: &Site) -> Result<Guest, String> {
    let listed = site.guests.value().and_then(|guests| guests.get(&guest.vmid));
    let listed = listed.ok_or_else(|| match site.guests.is_complete() {
        true => "it is not there".to_owned(),
        false => "it could not be read".to_owned(),
    })?;
    let config = site.configs.get(&guest.vmid).and_then(|config| config.value());
    let config = config.ok_or("its configuration could not be read")?;
    let firewalls = site.guest_firewalls.value().filter(|_| site.guest_firewalls.is_complete());
    let firewalls = firewalls.ok_or_else(|| "its firewall file could not be read".to_owned())?;
    let host =
        blueprint.hosts.values().find(|host| host.node == listed.node && host.site == blueprint.host_of(guest).site);
    let host = host.ok_or_else(|| format!("it is on node {}, which is no host of this inventory", listed.node))?;
    let nics = (0..CARDS).filter_map(|index| card(index, config, guest, listed.kind)).collect();
    let firewall = firewalls.get(&guest.vmid).cloned();
    Ok(Guest { host: host.name.clone(), kind: listed.kind, vmid: guest.vmid, nics, firewall })
}

fn card(index: u8, config: &GuestConfig, guest: &blueprint::Guest, kind: GuestKind) -> Option<Nic> {
    let options = Options::parse(config.active(&format!("net{index}"))?);
    let mac = match kind {
        GuestKind::Lxc => options.get("hwaddr").and_then(|mac| mac.parse().ok()),
        // `virtio=BC:24:…`: the model is the name.
        GuestKind::Qemu => options.named.values().find_map(|value| value.parse().ok()),
    };
    let mut addresses: Vec<IpAddr> = match kind {
        GuestKind::Lxc => literal(&options),
        GuestKind::Qemu => {
            config.active(&format!("ipconfig{index}")).map(|text| literal(&Options::parse(text))).unwrap_or_default()
        }
    };
    if addresses.is_empty() && index == 0 && kind == GuestKind::Qemu {
        // A VM that is not told its address by cloud-init's own options: the inventory knows it.
        addresses.push(guest.interface.address());
    }
    Some(Nic {
        index,
        mac,
        bridge: options.get("bridge").unwrap_or_default().to_owned(),
        vlan: options.get("tag").and_then(|tag| tag.parse().ok()),
        firewall: options.flag("firewall") == Some(true),
        addresses,
    })
}

/// Addresses that are written down: not `dhcp`, `auto` or `manual`.
fn literal(options: &Options) -> Vec<IpAddr> {
    let address = |name: &str| options.get(name).and_then(|text| text.split('/').next()?.parse().ok());
    [address("ip"), address("ip6")].into_iter().flatten().collect()
}
