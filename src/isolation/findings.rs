//! What contradicts the declaration: ways that are open and that nobody declared, flows that something does not let
//! through.

use std::net::IpAddr;

use super::decide::{Decision, Packet, Solver, decide, enforced};
use super::matrix::{Matrix, Opening, Side, guest_addresses, payload, same_scope};
use super::network::{End, Network};
use super::places::Places;
use super::protocol::Payload;
use super::reach::PortSet;
use super::tailnet::{Tailnet, TailnetOpening};
use crate::blueprint::{Audience, Blueprint, Flow, FlowOrigin, Party};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::observed::Observed;
use crate::model::{GuestName, HostName, PortName, ServiceName, Transport};

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
    let tailnet = Tailnet::desired(blueprint);
    if let Some(tailnet) = &tailnet {
        problems.extend(tailnet.undeclared(blueprint));
        problems.extend(tailnet.denied_flows(blueprint));
    }
    problems.extend(exposed(blueprint, &matrix, tailnet.as_ref()));
    problems
}

/// Ports that are not meant for whoever reaches them although a flow says so, as where a range that is exposed has a
/// database's port in it. What no flow says is undeclared already.
#[must_use]
pub fn exposed(blueprint: &Blueprint, matrix: &Matrix, tailnet: Option<&Tailnet>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for Opening { from, to, transport, ports, undeclared, .. } in &matrix.openings {
        if let (Side::Guest(to), false) = (to, matches!(from, Side::Host(_))) {
            problems.extend(exposed_one(blueprint, (from, to), *transport, &ports.without(undeclared)));
        }
    }
    for TailnetOpening { from, to, transport, ports, undeclared, .. } in
        tailnet.into_iter().flat_map(|tailnet| tailnet.openings(blueprint))
    {
        problems.extend(exposed_one(blueprint, (&from, &to), transport, &ports.without(&undeclared)));
    }
    problems
}

fn exposed_one(
    blueprint: &Blueprint,
    (from, to): (&Side, &GuestName),
    transport: Transport,
    open: &PortSet,
) -> Vec<Diagnostic> {
    let least = if matches!(from, Side::Guest(_)) { Audience::Guests } else { Audience::People };
    kept_for_less(blueprint, to, least, transport, open)
        .map(|(service, port, hit)| {
            let what = format!("`{from}` reaches `{service}` of `{to}` on {transport} {hit}");
            let guest = &blueprint.guests[to];
            let flow = blueprint.flows.iter().find(|flow| {
                flow.to == Party::Guest(to.clone())
                    && flow.transport == transport
                    && !PortSet::range(flow.ports).within(&hit).is_empty()
                    && matches!(flow.from, Party::Guest(_)) == matches!(from, Side::Guest(_))
            });
            Diagnostic::error("isolation.exposed", format!("{what}, which is not meant for it"))
                .cause(format!("a flow says so, and `{service}/{port}` must not be reached by it"))
                .at(flow.map_or(guest.span, |flow| flow.span), "")
                .hint("narrow the ports that are opened, or lead people to the gateway in front of it")
        })
        .collect()
}

/// Ports of a guest's services among those that are open, which fewer than `least` may be let in to. A port that
/// another service of the guest has for them cannot be told apart and is left out.
fn kept_for_less<'b>(
    blueprint: &'b Blueprint,
    guest: &'b GuestName,
    least: Audience,
    transport: Transport,
    open: &'b PortSet,
) -> impl Iterator<Item = (&'b ServiceName, &'b PortName, PortSet)> {
    let guest = &blueprint.guests[guest];
    let ports = blueprint.services_of(guest).flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    let ports: Vec<_> = ports.filter(|(_, (_, port))| port.transport == transport).collect();
    let meant = ports.iter().filter(|(_, (_, port))| port.audience >= least && port.ports.first() == port.ports.last());
    let meant = meant.fold(PortSet::default(), |all, (_, (_, port))| all.and(&PortSet::range(port.ports)));
    ports.into_iter().filter(move |(_, (_, port))| port.audience < least).filter_map(move |(service, (name, port))| {
        let hit = PortSet::range(port.ports).within(open).without(&meant);
        (!hit.is_empty()).then_some((&service.name, name, hit))
    })
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
    if let Side::Guest(guest) = to {
        let least = if matches!(from, Side::Guest(_)) { Audience::Guests } else { Audience::People };
        for (service, _, hit) in kept_for_less(blueprint, guest, least, transport, ports) {
            problem = problem.cause(format!("{transport} {hit} is `{service}`, which nobody of them may ever reach"));
        }
    }
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
            let what = match &flow.why {
                FlowOrigin::Route(site) => format!("the route of `{site}`, the flow"),
                _ => "the flow".to_owned(),
            };
            let summary = format!("{what} from `{from}` to `{to}` does not get through on {transport} {missing}");
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
