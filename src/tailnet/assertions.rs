//! The tests of our section, which the control plane itself runs before it takes a policy.
//!
//! Owns who is tested against what. A test counts as reachable only if *every* address of its source reaches the
//! destination (Headscale's `evalReachability`, held by it against recordings of the real one), so that one about a
//! group says nothing of a single member who gets through: people are tested one by one. Rules of others are part of
//! what is tested: what they open is left out, and told in the plan. What no test can see: a rule for one address of
//! several that a tag or a login has.

use std::collections::BTreeSet;

use serde_json::json;

use super::decide::Packet;
use super::policy::Policy;
use super::presence::Presence;
use super::wanted::{Way, member_tags, spaced};
use crate::blueprint::Blueprint;
use crate::model::Transport;

/// A port that nobody declares and nobody listens on (RFC 863, discard): stands for "anything else" in tests.
pub(super) const WITNESS: u16 = 9;
/// What a host is administered by.
pub(super) const HOST_PORTS: [u16; 2] = [22, 8006];

/// One test per source, since of several with the same source Tailscale has been seen to judge them together
/// (tailscale/tailscale#8250), and with single ports, since it refuses ranges in tests (recorded by Headscale's
/// `policytest-port-shape-range`).
pub(super) fn tests(blueprint: &Blueprint, ways: &BTreeSet<Way>, whole: &Policy, presence: &Presence) -> Vec<String> {
    let members = member_tags(blueprint);
    let people = |who: &String| match whole.groups.get(who) {
        Some(logins) => logins.clone(),
        None => vec![who.clone()],
    };
    let mut sources: BTreeSet<String> = ways.iter().flat_map(|way| people(&way.from)).collect();
    sources.extend(members.iter().cloned());
    let targets: Vec<&String> = members.iter().filter(|tag| presence.has(tag)).collect();
    // Recorded: an address is a destination of a test, whoever has it.
    let hosts: BTreeSet<String> = blueprint
        .hosts
        .values()
        .flat_map(crate::blueprint::Host::addresses)
        .filter(std::net::IpAddr::is_ipv4)
        .map(|address| address.to_string())
        .collect();
    let mut entries = Vec::new();
    for from in sources.iter().filter(|from| presence.has(from)) {
        let (mut accept, mut deny) = (BTreeSet::new(), BTreeSet::new());
        let reached = |to: &str, port: u16| {
            [Transport::Tcp, Transport::Udp]
                .iter()
                .any(|transport| whole.decide(&Packet { from, to, transport: *transport, port }).is_reachable())
        };
        for to in targets.iter().copied().filter(|to| *to != from) {
            let here = ways.iter().filter(|way| way.tag == *to);
            let mut ports: BTreeSet<u16> = here.clone().flat_map(|way| [way.ports.0, way.ports.1]).collect();
            let own = here.filter(|way| people(&way.from).contains(from));
            accept.extend(own.flat_map(|way| [(to.clone(), way.ports.0), (to.clone(), way.ports.1)]));
            ports.extend([22, WITNESS]);
            deny.extend(ports.into_iter().filter(|port| !reached(to, *port)).map(|port| (to.clone(), port)));
        }
        if members.contains(from) {
            let doors = hosts.iter().flat_map(|host| HOST_PORTS.map(|port| (host.clone(), port)));
            deny.extend(doors.filter(|(host, port)| !reached(host, *port)));
        }
        if accept.is_empty() && deny.is_empty() {
            continue;
        }
        let mut test = json!({"src": from});
        for (key, list) in [("accept", accept), ("deny", deny)] {
            if !list.is_empty() {
                test[key] = json!(list.into_iter().map(|(to, port)| format!("{to}:{port}")).collect::<Vec<_>>());
            }
        }
        entries.push(spaced(&test));
    }
    entries
}
