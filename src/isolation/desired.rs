//! The network as it would be if all were as the inventory says.
//!
//! What is written is asked of the resources that write it. What an inventory leaves open is filled in so that nothing
//! seems closer guarded than it is promised, and said in [`Network::gaps`].

use super::mac::Mac;
use super::network::{Guest, Host, Network, Nic};
use crate::blueprint::{self, Blueprint, GuestShape};
use crate::model::Vmid;
use crate::model::entrance::HostFirewall;
use crate::model::observed::GuestKind;
use crate::resources::written;

impl Network {
    /// What would be enforced if all were as the inventory says.
    #[must_use]
    pub fn desired(blueprint: &Blueprint) -> Self {
        let mut network = Self::default();
        for site in blueprint.sites().keys() {
            let mut cluster = written::cluster(blueprint, site);
            if !cluster.options.contains_key("enable") {
                network.gaps.push(format!(
                    "no host of {site} declares its `firewall`, so nothing switches the datacenter's on; it is judged \
                     as if somebody had"
                ));
                cluster.options.insert("enable".into(), "1".into());
            }
            network.sites.insert((*site).to_owned(), cluster);
        }
        for (name, host) in &blueprint.hosts {
            // Whoever declares no firewall for a host is promised none.
            let off = || HostFirewall { options: [("enable".into(), "0".into())].into(), ..HostFirewall::default() };
            let firewall = written::host(blueprint, host).unwrap_or_else(off);
            let one = Host { firewall, ..placed(host) };
            if one.addresses.is_empty() {
                network
                    .gaps
                    .push(format!("host {name} has no address here but a name, so what reaches it is not judged"));
            }
            network.hosts.insert(name.clone(), one);
        }
        for (name, guest) in &blueprint.guests {
            let one = Guest {
                host: guest.host.clone(),
                kind: kind(guest),
                vmid: guest.vmid,
                nics: vec![card(blueprint, guest)],
                firewall: Some(written::guest(blueprint, guest)),
            };
            network.guests.insert(name.clone(), one);
        }
        network
    }
}

/// A host where the inventory places it, without a firewall.
pub(super) fn placed(host: &blueprint::Host) -> Host {
    let addresses = host.addresses();
    let subnet = host.network.subnet.trunc();
    // Of another network, nobody has said how large it is.
    let local_network = addresses.first().filter(|address| subnet.contains(*address)).map(|_| subnet);
    Host {
        site: host.site.clone(),
        firewall: HostFirewall::default(),
        addresses,
        networks: vec![subnet],
        local_network,
        uplink: host.network.bridge.to_string(),
    }
}

fn kind(guest: &blueprint::Guest) -> GuestKind {
    match guest.shape {
        GuestShape::Vm(_) => GuestKind::Qemu,
        GuestShape::Container(_) => GuestKind::Lxc,
    }
}

/// A guest's card before it has one.
fn card(blueprint: &Blueprint, guest: &blueprint::Guest) -> Nic {
    let network = &blueprint.host_of(guest).network;
    let mac = provisional(guest.vmid);
    Nic {
        index: 0,
        mac: Some(mac),
        bridge: network.bridge.to_string(),
        vlan: network.vlan,
        firewall: true,
        addresses: vec![guest.interface.address()],
    }
}

/// Proxmox makes up a hardware address of its own; which one decides nothing, as long as no two are the same.
fn provisional(vmid: Vmid) -> Mac {
    let [a, b, c, d] = u32::from(vmid).to_be_bytes();
    Mac([0x02, a, b, c, d, 0])
}
