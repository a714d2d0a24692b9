//! The solver of `infra`, asked about a site: the only place where this suite meets what it tries.

use std::net::IpAddr;

use infra::blueprint;
use infra::isolation::{self, Decision, Mac, Network, Nic, Payload};
use infra::model::observed::GuestKind;
use infra::model::{GuestName, HostName, Vmid};
use infra::proxmox::firewall_file::{read_cluster, read_guest, read_host};

use super::site::{End, Guest, Load, Packet, Site, Verdict};
use super::world::{Ground, v6_of};

/// The hardware address of what pretends to be somebody else.
pub const ALIEN: Mac = Mac([0x02, 0, 0, 0, 0, 0x66]);

fn host() -> HostName {
    "host".parse().unwrap()
}

fn name(guest: &Guest) -> GuestName {
    format!("g{}", guest.vmid).parse().unwrap()
}

/// A site as the solver takes it, read by the parsers of `infra`.
pub fn network(site: &Site, ground: &Ground) -> Network {
    let file = |name: &str| site.files.get(name).map(String::as_str);
    let mut network = Network::default();
    network.sites.insert("site".into(), file("cluster.fw").map(read_cluster).unwrap_or_default());
    let local = site.local_network.parse().unwrap();
    let here = isolation::Host {
        site: "site".into(),
        firewall: file("host.fw").map(read_host).unwrap_or_default(),
        addresses: vec![ground.host.into(), v6_of(ground.host).into()],
        networks: vec![local, "fd00::/64".parse().unwrap()],
        local_network: Some(local),
        // What comes in from outside comes in on the bridge, whose port the uplink is.
        uplink: "vmbr0".into(),
    };
    network.hosts.insert(host(), here);
    for guest in &site.guests {
        let nics = guest.cards.iter().zip(0..).map(|(card, index)| {
            let v4 = card.named_v4.then_some(IpAddr::V4(card.v4));
            let v6 = card.named_v6.then_some(IpAddr::V6(card.v6));
            Nic {
                index,
                mac: Some(Mac(card.mac)),
                bridge: "vmbr0".into(),
                vlan: None,
                firewall: card.firewall,
                addresses: v4.into_iter().chain(v6).collect(),
            }
        });
        let made = isolation::Guest {
            host: host(),
            kind: if guest.vm { GuestKind::Qemu } else { GuestKind::Lxc },
            vmid: Vmid::try_from(guest.vmid).unwrap(),
            nics: nics.collect(),
            firewall: file(&format!("{}.fw", guest.vmid)).map(read_guest),
        };
        network.guests.insert(name(guest), made);
    }
    network
}

/// A packet as the solver takes it.
pub fn packet(site: &Site, packet: &Packet) -> isolation::Packet {
    let end = |end: End| match end {
        End::Host => isolation::End::Host(host()),
        End::Outside => isolation::End::Outside,
        End::Guest(guest, card) => {
            isolation::End::Guest { name: name(&site.guests[guest]), nic: u8::try_from(card).unwrap() }
        }
    };
    let payload = match packet.load {
        Load::Tcp { dport } => Payload::tcp(dport),
        Load::Udp { dport, sport } => Payload::Udp { from: sport.unwrap_or(Payload::CLIENT_PORT), to: dport },
        Load::Ping => Payload::ping(packet.dest),
    };
    isolation::Packet {
        from: end(packet.from),
        source: packet.source,
        mac: packet.foreign_mac.then_some(ALIEN),
        to: end(packet.to),
        dest: packet.dest,
        payload,
    }
}

/// The verdict in the words of this suite.
pub fn verdict(decision: &Decision) -> Verdict {
    match decision.verdict {
        blueprint::Verdict::Accept => Verdict::Accept,
        blueprint::Verdict::Drop => Verdict::Drop,
        blueprint::Verdict::Reject => Verdict::Reject,
    }
}
