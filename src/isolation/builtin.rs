//! Chains that Proxmox brings along: what it drops quietly, how it rejects, neighbour discovery, management.
//!
//! After `$pve_std_chains_conf` and `enable_host_firewall` of pve-firewall; a first packet of a connection is what is
//! asked about, so what looks at invalid states and at flags of TCP is left out.

use ipnet::IpNet;

use super::address::{Addresses, Cast, Version};
use super::chain::{Chain, Link, Then, When};
use super::origin::Origin;
use super::protocol::{self, ICMP, ICMPV6, Ports, TCP, UDP};
use super::rule::Direction;
use super::tables::{Names, Where};

/// The chains of one IP version.
#[derive(Debug)]
pub(super) struct Standard {
    /// `PVEFW-Drop`: before a policy drops.
    pub dropped: Chain,
    /// `PVEFW-Reject`: before a policy rejects.
    pub rejected: Chain,
    /// `PVEFW-reject`: what rejecting means.
    pub reject: Chain,
    /// `PVEFW-smurfs`: senders that cannot be.
    pub smurfs: Chain,
}

impl Standard {
    pub fn new(version: Version) -> Self {
        let reject = reject(version);
        Self {
            dropped: quiet(version, "PVEFW-Drop", &Then::Drop, &reject),
            rejected: quiet(version, "PVEFW-Reject", &Then::Jump(reject.clone()), &reject),
            reject,
            smurfs: smurfs(),
        }
    }
}

fn said(chain: &str, what: &str) -> Option<Origin> {
    Some(Origin::proxmox(format!("Proxmox's {chain}: {what}")))
}

fn network(text: &str) -> Option<Where> {
    Addresses::parse(text).ok().map(Where::Addresses)
}

fn ports(protocol: u8, sport: Ports, dport: Ports) -> When {
    When { protocol: Some(protocol), sport, dport, ..When::default() }
}

fn icmp(version: Version, kind: &str) -> When {
    let protocol = if version == Version::V4 { ICMP } else { ICMPV6 };
    // A name that is not in the table would match nothing, and a test holds every one of them.
    let kind = protocol::icmp_kind(kind, version);
    When { protocol: Some(protocol), never: kind.is_err(), icmp: kind.unwrap_or_default(), ..When::default() }
}

/// An ICMPv6 message.
pub(super) fn icmpv6(kind: &str) -> When {
    icmp(Version::V6, kind)
}

fn broadcasts(version: Version) -> Vec<When> {
    match version {
        Version::V4 => {
            let mut all: Vec<When> =
                [Cast::Broadcast, Cast::Multicast].map(|cast| When { dest_cast: Some(cast), ..When::default() }).into();
            all.push(When { dest: network("224.0.0.0/4"), ..When::default() });
            all
        }
        Version::V6 => vec![When { dest: network("ff00::/8"), ..When::default() }],
    }
}

fn reject(version: Version) -> Chain {
    let chain = "PVEFW-reject";
    let mut links = Vec::new();
    if version == Version::V4 {
        let when = When { dest_cast: Some(Cast::Broadcast), ..When::default() };
        links.push(Link::new(when, Then::Drop, said(chain, "a broadcast is dropped")));
        let when = When { source: network("224.0.0.0/4"), ..When::default() };
        links.push(Link::new(when, Then::Drop, said(chain, "a group that sends is dropped")));
    }
    let protocol = Some(if version == Version::V4 { ICMP } else { ICMPV6 });
    let when = When { protocol, ..When::default() };
    links.push(Link::new(when, Then::Drop, said(chain, "ICMP is dropped, not rejected")));
    links.push(Link::new(When::default(), Then::Reject, None));
    links.into()
}

/// What a policy drops or rejects without a word in the log, and the messages without which TCP does not work.
fn quiet(version: Version, chain: &str, noise: &Then, reject: &Chain) -> Chain {
    let mut links = Vec::new();
    if version == Version::V6 {
        let when = ports(TCP, Vec::new(), vec![(43, 43)]);
        links.push(Link::new(when, Then::Jump(reject.clone()), said(chain, "port 43 is rejected")));
    }
    links.extend(
        broadcasts(version)
            .into_iter()
            .map(|when| Link::new(when, Then::Drop, said(chain, "what is for many is dropped"))),
    );
    let needed: &[&str] = match version {
        Version::V4 => &["fragmentation-needed", "time-exceeded"],
        Version::V6 => &["destination-unreachable", "time-exceeded", "packet-too-big"],
    };
    for kind in needed {
        let what = format!("ICMP {kind} passes");
        links.push(Link::new(icmp(version, kind), Then::Accept, said(chain, &what)));
    }
    let noises = [
        (ports(UDP, Vec::new(), vec![(135, 135), (445, 445)]), noise),
        (ports(UDP, Vec::new(), vec![(137, 139)]), noise),
        (ports(UDP, vec![(137, 137)], vec![(1024, 65535)]), noise),
        (ports(TCP, Vec::new(), vec![(135, 135), (139, 139), (445, 445)]), noise),
        (ports(UDP, Vec::new(), vec![(1900, 1900)]), &Then::Drop),
        (ports(UDP, vec![(53, 53)], Vec::new()), &Then::Drop),
    ];
    let noises = noises.into_iter().map(|(when, then)| Link::new(when, then.clone(), said(chain, "known noise")));
    links.extend(noises);
    links.into()
}

fn smurfs() -> Chain {
    let links = [
        Link::new(When { source: network("0.0.0.0"), ..When::default() }, Then::Return, None),
        Link::new(
            When { source_cast: Some(Cast::Broadcast), ..When::default() },
            Then::Drop,
            said("PVEFW-smurfs", "a broadcast address sends nothing"),
        ),
        Link::new(
            When { source: network("224.0.0.0/4"), ..When::default() },
            Then::Drop,
            said("PVEFW-smurfs", "a group sends nothing"),
        ),
    ];
    links.into()
}

/// What IPv6 cannot do without. Advertising a router is for those who may.
pub(super) fn discovery(direction: Direction, radv: bool, accept: &Then, origin: Option<Origin>) -> Vec<Link> {
    let mut kinds = vec!["router-solicitation"];
    if direction == Direction::In || radv {
        kinds.push("router-advertisement");
    }
    kinds.extend(["neighbor-solicitation", "neighbor-advertisement"]);
    kinds.into_iter().map(|kind| Link::new(icmpv6(kind), accept.clone(), origin.clone())).collect()
}

/// Who may always manage a host, and what a host may always reach on its own network.
pub(super) fn management(direction: Direction, names: &Names, local: Option<IpNet>, version: Version) -> Vec<Link> {
    // API, consoles, SPICE, SSH; inwards also what live migration needs.
    let open: &[(u16, u16)] = match direction {
        Direction::In => &[(8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60000, 60050)],
        Direction::Out => &[(8006, 8006), (22, 22), (5900, 5999), (3128, 3128)],
    };
    let (place, what) = match direction {
        Direction::In => (
            names.sets.get("management").cloned().map(Where::Set),
            "Proxmox lets the set `management` (with `local_network` in it) manage its hosts",
        ),
        Direction::Out => {
            let of_version = |network: &IpNet| Version::of(network.addr()) == version;
            let local = local.filter(of_version).map(Addresses::of_network).map(Where::Addresses);
            (local, "Proxmox lets a host manage those of `local_network`")
        }
    };
    let Some(place) = place else { return Vec::new() };
    let link = |range: &(u16, u16)| {
        let mut when = ports(TCP, Vec::new(), vec![*range]);
        match direction {
            Direction::In => when.source = Some(place.clone()),
            Direction::Out => when.dest = Some(place.clone()),
        }
        Link::new(when, Then::Return, Some(Origin::proxmox(what)))
    };
    open.iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_is_named_here_is_one() {
        for version in Version::ALL {
            let standard = Standard::new(version);
            for chain in [standard.dropped, standard.rejected, standard.reject] {
                assert!(chain.iter().all(|link| !link.when.never), "{version:?}");
            }
        }
        for direction in [Direction::In, Direction::Out] {
            assert!(discovery(direction, true, &Then::Accept, None).iter().all(|link| !link.when.never));
        }
    }
}
