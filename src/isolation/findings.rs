//! What contradicts the declaration: ways that are open and that nobody declared, flows that something does not let
//! through.

use std::net::IpAddr;

use super::decide::{Decision, Packet, Solver, decide, enforced};
use super::matrix::{Matrix, Opening, Side, guest_addresses, payload, same_scope};
use super::network::{End, Network};
use super::places::Places;
use super::protocol::Payload;
use super::reach::PortSet;
use crate::blueprint::{Blueprint, Flow, Party};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::observed::Observed;
use crate::model::{GuestName, HostName};

/// Everything that contradicts the flows of a blueprint if all were as it says.
#[must_use]
pub fn problems(blueprint: &Blueprint) -> Diagnostics {
    let network = Network::desired(blueprint);
    let solver = Solver::new(&network);
    let places = Places::new(&solver, blueprint);
    let matrix = Matrix::of(&solver, blueprint, &places);
    let mut problems = Diagnostics::new();
    problems.extend(undeclared(&network, blueprint, &matrix));
    problems.extend(denied_flows(&solver, blueprint, &places));
    problems
}

/// Ways that are open right now and that no flow declares, one line each, with what opens it. Guests whose site's
/// firewall is off are left out: of them the plan says so already, and everything is open.
#[must_use]
pub fn open_now(blueprint: &Blueprint, observed: &Observed) -> Vec<String> {
    let mut network = Network::observed(blueprint, observed);
    let guarded = |host: &HostName| network.hosts.get(host).is_some_and(|host| enforced(&network, host));
    let off: Vec<GuestName> =
        network.guests.iter().filter(|(_, guest)| !guarded(&guest.host)).map(|(name, _)| name.clone()).collect();
    network.guests.retain(|name, _| !off.contains(name));
    if network.guests.is_empty() {
        return Vec::new();
    }
    let solver = Solver::new(&network);
    let places = Places::new(&solver, blueprint);
    let matrix = Matrix::of(&solver, blueprint, &places);
    let line = |problem: Diagnostic| match problem.causes.last() {
        Some(cause) => format!("as it is now, {}: {cause}", problem.summary),
        None => format!("as it is now, {}", problem.summary),
    };
    undeclared(&network, blueprint, &matrix).into_iter().map(line).collect()
}

/// Ways into guests and out of them that are open and that no flow declares. What hosts themselves may do, and who may
/// manage them, is not declared by flows.
#[must_use]
pub fn undeclared(network: &Network, blueprint: &Blueprint, matrix: &Matrix) -> Vec<Diagnostic> {
    let of_guests = |opening: &&Opening| {
        !opening.undeclared.is_empty()
            && !matches!(opening.from, Side::Host(_))
            && (matches!(opening.from, Side::Guest(_)) || matches!(opening.to, Side::Guest(_)))
    };
    matrix.openings.iter().filter(of_guests).map(|opening| undeclared_one(network, blueprint, opening)).collect()
}

fn undeclared_one(network: &Network, blueprint: &Blueprint, opening: &Opening) -> Diagnostic {
    let (from, to, transport) = (&opening.from, &opening.to, opening.transport);
    let ports = &opening.undeclared;
    let summary = format!("`{from}` reaches `{to}` on {transport} {ports}, and no flow says so");
    let span = |side: &Side| match side {
        Side::Guest(guest) => blueprint.guests.get(guest).map(|guest| guest.span_of("firewall")),
        _ => None,
    };
    let mut problem = Diagnostic::error("isolation.undeclared", summary);
    if let Some(packet) = &opening.offender {
        problem = problem.cause(format!("a packet gets through: {}", said(packet)));
        problem = causes(problem, &decide(network, packet));
    }
    problem
        .at_maybe(span(to).or_else(|| span(from)), "")
        .hint("declare it with `uses`, `exposes` or `internet`, or take away the rule that opens it")
}

/// Flows that something on the way does not let through, whole or in part.
#[must_use]
pub fn denied_flows(solver: &Solver<'_>, blueprint: &Blueprint, places: &Places) -> Vec<Diagnostic> {
    blueprint.flows.iter().filter_map(|flow| denied(solver, places, flow)).collect()
}

fn denied(solver: &Solver<'_>, places: &Places, flow: &Flow) -> Option<Diagnostic> {
    let network = solver.network();
    let wanted = PortSet::range(flow.ports);
    let (sources, dests) = (parties(network, places, &flow.from), parties(network, places, &flow.to));
    for (from, source) in &sources {
        for (to, dest) in &dests {
            let same = source.is_ipv4() == dest.is_ipv4() && same_scope(*source, *dest);
            if !same || from == to {
                continue;
            }
            let payload = payload(flow.transport, Payload::CLIENT_PORT, flow.ports.first());
            let (from, to) = (from.clone(), to.clone());
            let mut packet = Packet { from, source: *source, mac: None, to, dest: *dest, payload };
            let missing = wanted.without(&solver.open_ports(&packet));
            let Some(port) = missing.first() else { continue };
            packet.payload = self::payload(flow.transport, Payload::CLIENT_PORT, port);
            let (from, to, transport) = (&flow.from, &flow.to, flow.transport);
            let summary = format!("the flow from `{from}` to `{to}` does not get through on {transport} {missing}");
            let problem = Diagnostic::error("isolation.flow-denied", summary)
                .cause(format!("a packet is stopped: {}", said(&packet)));
            let problem = causes(problem, &solver.decide(&packet)).at(flow.span, "declared here");
            return Some(problem.hint("take away the rule that stops it, or the flow"));
        }
    }
    None
}

/// Configured addresses of a party, one of each kind: link-local ones are nobody's declaration.
fn parties(network: &Network, places: &Places, party: &Party) -> Vec<(End, IpAddr)> {
    match party {
        Party::Guest(guest) => {
            let link = |address: &IpAddr| matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
            guest_addresses(network, guest).into_iter().filter(|(_, address)| !link(address)).collect()
        }
        Party::Host(host) => {
            let own = network.hosts.get(host).map(|host| host.addresses.as_slice()).unwrap_or_default();
            own.iter().map(|address| (End::Host(host.clone()), *address)).collect()
        }
        Party::Network(network) => {
            places.within(*network).into_iter().map(|address| (places.owner(address), address)).collect()
        }
        Party::Internet => {
            let all = places.outside().into_iter().filter(|(side, _)| *side == Side::Internet);
            all.map(|(_, address)| (End::Outside, address)).collect()
        }
        // Over its own network, which is judged by its own policy.
        Party::Tailnet(_) => Vec::new(),
    }
}

fn said(packet: &Packet) -> String {
    let (source, dest) = (packet.source, packet.dest);
    match packet.payload {
        Payload::Tcp { from, to } => format!("tcp {source} port {from} to {dest} port {to}"),
        Payload::Udp { from, to } => format!("udp {source} port {from} to {dest} port {to}"),
        _ => format!("{source} to {dest}"),
    }
}

fn causes(problem: Diagnostic, decision: &Decision) -> Diagnostic {
    decision.hops.iter().fold(problem, |problem, hop| problem.cause(hop.to_string()))
}
