//! Isolation against a real Linux kernel.
//!
//! A host of network namespaces is built as Proxmox connects its guests ([`world`]), `.fw` files are compiled as
//! Proxmox compiles them ([`compile`]), loaded with the real iptables and ipset, and real packets are sent between
//! everybody ([`probe`]). What the kernel does is compared with the verdicts that a real Proxmox VE 9.2 gave, and
//! with the solver of `infra`.
//!
//! Nothing here uses what it tries: parser, macros and compiler are written for this suite from Proxmox's sources,
//! and held against the chains that a real 9.2 compiled.

mod command;
mod compile;
mod dotfw;
mod macros;
mod masquerade_suite;
mod mutation_suite;
mod probe;
mod quirk_suite;
mod random;
mod random_suite;
mod recorded;
mod recorded_suite;
mod rendered_suite;
mod site;
mod solver;
mod standard;
mod wire;
mod world;

use std::net::IpAddr;
use std::time::Duration;

use site::{Packet, Verdict};
use world::{Ground, Variant, World};

/// Time for everything to settle; a packet that came too late for it is given a second chance with the longer one.
const PATIENCE: Duration = Duration::from_millis(25);
const MORE_PATIENCE: Duration = Duration::from_millis(400);

/// Whether worlds can be built here; if not, the reason is said.
fn possible(suite: &str) -> bool {
    let why = world::missing();
    if let Some(why) = &why {
        println!("not run: {suite}: {why}");
    }
    why.is_none()
}

/// A world for these guests on the usual ground, if one can be built.
fn world(suite: &str, guests: &[site::Guest], variant: Variant) -> Option<World> {
    possible(suite).then(|| World::build(Ground::default(), guests.to_vec(), variant).unwrap())
}

/// A packet that did not fare as it should.
#[derive(Debug)]
struct Difference {
    packet: Packet,
    wanted: Verdict,
    got: probe::Outcome,
}

/// Sends the packets and tells which of them fared otherwise than wanted. What is not there in time is asked for once
/// more; what is there and should not be needs no second look.
fn differences(world: &mut World, guests: &[site::Guest], wanted: &[(Packet, Verdict)]) -> Vec<Difference> {
    let mut left: Vec<(Packet, Verdict)> = wanted.to_vec();
    let mut found = Vec::new();
    for patience in [PATIENCE, MORE_PATIENCE] {
        let packets: Vec<Packet> = left.iter().map(|(packet, _)| packet.clone()).collect();
        let outcomes = probe::send(world, guests, &packets, patience);
        let mut late = Vec::new();
        for ((packet, wanted), got) in left.drain(..).zip(outcomes) {
            if holds(wanted, got, &packet) {
                continue;
            }
            let too_much = got.verdict == Verdict::Accept && wanted != Verdict::Accept;
            if too_much || patience == MORE_PATIENCE {
                found.push(Difference { packet, wanted, got });
            } else {
                late.push((packet, wanted));
            }
        }
        left = late;
        if left.is_empty() {
            break;
        }
    }
    found
}

/// Whether a packet fared as it should: it arrived and its answer came back, it vanished, or it was refused.
fn holds(wanted: Verdict, got: probe::Outcome, packet: &Packet) -> bool {
    // Nobody can be told that they were refused where Proxmox's own `PVEFW-reject` drops ICMP, and where the host has
    // no way back to the address, as to a link-local one beyond two bridges.
    let untold = packet.load == site::Load::Ping
        || matches!(packet.source, IpAddr::V6(source) if source.is_unicast_link_local());
    let silent = |verdict| if untold && verdict == Verdict::Reject { Verdict::Drop } else { verdict };
    let (wanted, got) = (silent(wanted), probe::Outcome { verdict: silent(got.verdict), ..got });
    got.verdict == wanted && (wanted != Verdict::Accept || got.answered != Some(false))
}
