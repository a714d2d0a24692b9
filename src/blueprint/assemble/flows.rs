//! `uses`, `exposes`, `access` and `internet` into flows, each once, in the order of the guests.
//!
//! What is not allowed, a rule has refused; here it opens nothing.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{Audience, Flow, FlowOrigin, Party};
use crate::diag::{Span, Spanned};
use crate::inventory::{Destination, Internet, Outbound, Viewer};
use crate::model::{PortName, PortRange, ServiceName, Transport};

const DNS_PORT: u16 = 53;
const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// Every flow that is declared, but those of routes.
pub(super) fn flows(draft: &Draft<'_>) -> Vec<Flow> {
    let mut all: Vec<Flow> = Vec::new();
    for guest in &draft.guests {
        let uses = uses(draft, guest);
        let exposes = exposes(draft, guest);
        for flow in uses.into_iter().chain(exposes).chain(access(draft, guest)).chain(outbound(draft, guest)) {
            let way = |flow: &Flow| (flow.from.clone(), flow.to.clone(), flow.transport, flow.ports);
            if !all.iter().any(|known| way(known) == way(&flow)) {
                all.push(flow);
            }
        }
    }
    all
}

fn party(guest: &DraftGuest<'_>) -> Party {
    Party::Guest(guest.name.value.clone())
}

type Origin = fn(ServiceName, PortName) -> FlowOrigin;

/// One flow per port of a service.
fn to_service(
    draft: &Draft<'_>,
    (from, to): (Party, Party),
    (service, port): (&ServiceName, Option<&PortName>),
    (audience, why): (Audience, Origin),
    span: Span,
) -> Vec<Flow> {
    let ports = draft.ports(service, port, audience).into_iter().map(|(name, port)| Flow {
        from: from.clone(),
        to: to.clone(),
        transport: port.transport,
        ports: port.ports,
        why: why(service.clone(), name.clone()),
        span,
    });
    ports.collect()
}

fn uses(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Vec<Flow> {
    let wanted = guest.shape.uses.iter().flatten().filter_map(|wanted| {
        let other = draft.guest(&wanted.guest).filter(|other| other.name != guest.name)?;
        draft.has(other, &wanted.service).then_some((other, wanted))
    });
    let flows = wanted.flat_map(|(other, wanted)| {
        let what = (&wanted.service, wanted.port.as_ref());
        to_service(draft, (party(guest), party(other)), what, (Audience::Guests, FlowOrigin::Uses), wanted.span)
    });
    flows.collect()
}

fn exposes(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Vec<Flow> {
    let mut flows = Vec::new();
    for (what, viewers) in guest.shape.exposes.iter().flatten().filter(|(what, _)| draft.has(guest, &what.service)) {
        for viewer in viewers {
            let from = match &viewer.value {
                Viewer::Internet => Party::Internet,
                Viewer::Net(network) => Party::Network(*network),
                Viewer::Guest(name) if draft.guest(name).is_some() && *name != guest.name.value => {
                    Party::Guest(name.clone())
                }
                Viewer::Guest(_) => continue,
            };
            let why = (Audience::People, FlowOrigin::Exposes as Origin);
            let what = (&what.service, what.port.as_ref());
            flows.extend(to_service(draft, (from, party(guest)), what, why, viewer.span));
        }
    }
    flows
}

fn access(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Vec<Flow> {
    let mut flows = Vec::new();
    for access in guest.shape.access.iter().flatten() {
        let Some(from) = &access.from else { continue };
        let mut to = |service: &ServiceName, port: Option<&PortName>, span| {
            let ends = (Party::Tailnet(from.value.clone()), party(guest));
            let why = (Audience::People, FlowOrigin::Access as Origin);
            flows.extend(to_service(draft, ends, (service, port), why, span));
        };
        match &access.to {
            None => draft.services_of(guest).for_each(|service| to(&service.name, None, from.span)),
            Some(named) => named
                .iter()
                .filter(|what| draft.has(guest, &what.service))
                .for_each(|what| to(&what.service, what.port.as_ref(), what.span)),
        }
    }
    flows
}

fn outbound(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Vec<Flow> {
    let flow = |to: Party, transport, ports, why, span| Flow { from: party(guest), to, transport, ports, why, span };
    let declared = guest.shape.internet.as_ref();
    let span = declared.map_or(guest.name.span, |internet| internet.span);
    let mut flows: Vec<Flow> = match declared.map(|internet| &internet.value) {
        Some(Internet::None) => return Vec::new(),
        None | Some(Internet::All) => {
            let all = |transport| flow(Party::Internet, transport, PortRange::ALL, FlowOrigin::Internet, span);
            BOTH.into_iter().map(all).collect()
        }
        Some(Internet::Only(list)) => list.iter().flat_map(|one| only(one, &flow)).collect(),
    };
    let port = PortRange::one(DNS_PORT).expect("53 is a port");
    for server in name_servers(draft, guest) {
        let whose = draft.guests.iter().find(|other| other.own.address.as_ref().is_some_and(|a| a.value.0 == server));
        let to = match whose {
            Some(other) if other.name == guest.name => continue,
            Some(other) => party(other),
            None => Party::Network(IpNet::from(server)),
        };
        flows.extend(BOTH.into_iter().map(|transport| flow(to.clone(), transport, port, FlowOrigin::Names, span)));
    }
    flows
}

fn only(one: &Spanned<Outbound>, flow: &dyn Fn(Party, Transport, PortRange, FlowOrigin, Span) -> Flow) -> Vec<Flow> {
    let Some(to) = &one.to else { return Vec::new() };
    let to = match to.value {
        Destination::Internet => Party::Internet,
        Destination::Net(network) => Party::Network(network),
    };
    let protocols = BOTH.into_iter().filter(|transport| one.protocol.is_none_or(|p| p.as_str() == transport.as_str()));
    let ports = one.ports.as_ref().map_or_else(|| vec![PortRange::ALL], |ports| ports.ranges());
    let each = protocols.flat_map(|transport| ports.iter().map(move |range| (transport, *range)));
    each.map(|(transport, range)| flow(to.clone(), transport, range, FlowOrigin::Internet, one.span)).collect()
}

/// Whom a guest asks for names: its host's `network.dns`, else the gateway.
fn name_servers(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Vec<IpAddr> {
    let network = draft.host_of(guest).and_then(|(_, host)| host.network.as_ref());
    let Some(network) = network else { return Vec::new() };
    match &network.dns {
        Some(dns) if !dns.is_empty() => dns.iter().map(|server| server.value.0).collect(),
        _ => network.gateway.iter().map(|gateway| gateway.value.0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, good, with};
    use crate::blueprint::{Blueprint, FlowOrigin, Party};

    /// Flows between guests and to them, as text.
    fn said(blueprint: &Blueprint) -> Vec<String> {
        let declared =
            blueprint.flows.iter().filter(|flow| !matches!(flow.why, FlowOrigin::Internet | FlowOrigin::Names));
        declared.map(|flow| format!("{} > {} {} {}", flow.from, flow.to, flow.transport, flow.ports)).collect()
    }

    #[test]
    fn uses_opens_the_ports_that_guests_may_use_and_no_other() {
        let over = |uses: &str| {
            with(&format!("guests: {{ plan-hq: {{ services: [nats, litellm] }}, proj-x: {{ uses: [{uses}] }} }}"))
        };
        assert_eq!(said(&over("plan-hq/nats")), ["proj-x > plan-hq tcp 4222"], "monitoring has to be named");
        assert_eq!(said(&over("plan-hq/nats/monitoring")), ["proj-x > plan-hq tcp 8222"]);
        assert_eq!(said(&over("plan-hq/litellm, plan-hq/litellm/api")), ["proj-x > plan-hq tcp 4000"], "once");
        assert_eq!(said(&over("plan-hq/ssh")), ["proj-x > plan-hq tcp 22"], "every guest has ssh");
    }

    #[test]
    fn what_is_exposed_is_exposed_to_those_who_are_named() {
        let blueprint = with(
            "guests: { plan-hq: { services: [open-webui, caddy], exposes: { open-webui: [192.168.10.0/24, proj-x], \
             caddy/https: [internet] } } }",
        );
        let expected =
            ["internet > plan-hq tcp 443", "192.168.10.0/24 > plan-hq tcp 3000", "proj-x > plan-hq tcp 3000"];
        assert_eq!(said(&blueprint), expected);
    }

    #[test]
    fn access_without_services_is_all_that_people_may_use_and_ssh() {
        let blueprint = with(
            "guests: { plan-hq: { services: [ollama, open-webui], access: [tag:phone, { from: group:x, to: [ssh] }] } }",
        );
        let expected = ["tag:phone > plan-hq tcp 3000", "tag:phone > plan-hq tcp 22", "group:x > plan-hq tcp 22"];
        assert_eq!(said(&blueprint), expected);
    }

    #[test]
    fn everybody_reaches_the_internet_and_a_name_server_unless_said_otherwise() {
        let of = |blueprint: &Blueprint, guest: &str| -> Vec<String> {
            let own = blueprint.flows.iter().filter(|flow| flow.from == Party::Guest(guest.parse().unwrap()));
            own.map(|flow| format!("{} {} {}", flow.to, flow.transport, flow.ports)).collect()
        };
        let all = ["internet tcp 1:65535", "internet udp 1:65535", "10.0.0.1 tcp 53", "10.0.0.1 udp 53"];
        assert_eq!(of(&good(), "proj-x"), all);
        assert_eq!(of(&with("guests: { proj-x: { internet: false } }"), "proj-x"), [""; 0]);
        let only =
            "guests: { proj-x: { internet: [203.0.113.0/24, { to: internet, protocol: tcp, ports: [80, 443] }] } }";
        let expected = [
            "203.0.113.0/24 tcp 1:65535",
            "203.0.113.0/24 udp 1:65535",
            "internet tcp 80",
            "internet tcp 443",
            "10.0.0.1 tcp 53",
            "10.0.0.1 udp 53",
        ];
        assert_eq!(of(&with(only), "proj-x"), expected);
        let dns = format!(
            "hosts: {{ hq: {{ network: {{ dns: [10.0.0.124] }} }} }}\n\
             guests: {{ dns: {{ {CONTAINER}, vmid: 105, address: 10.0.0.124 }} }}"
        );
        assert_eq!(of(&with(&dns), "proj-x")[2], "dns tcp 53", "a guest that is the name server is named");
        assert_eq!(of(&with(&dns), "dns").len(), 2);
    }

    #[test]
    fn private_networks_are_no_internet() {
        let inside = good().inside();
        let holds = |address: &str| {
            inside.iter().any(|network| network.contains(&address.parse::<std::net::IpAddr>().unwrap()))
        };
        assert!(holds("10.0.0.5") && holds("192.168.10.2") && holds("fe80::1") && holds("100.100.1.1"));
        assert!(!holds("1.1.1.1") && !holds("2606:4700::1"));
    }

    #[test]
    fn the_internet_is_neither_a_public_host_nor_whoever_is_on_the_same_bridge() {
        let blueprint = with("hosts: { hq: { address: 203.0.113.2 } }");
        let inside = blueprint.inside();
        let holds = |address: &str| {
            inside.iter().any(|network| network.contains(&address.parse::<std::net::IpAddr>().unwrap()))
        };
        assert!(holds("203.0.113.2") && !holds("203.0.113.3"), "the host, and not its neighbours: {inside:?}");
        assert!(holds("224.0.0.251") && holds("239.255.255.250") && holds("255.255.255.255") && holds("ff02::fb"));
        let mut tunnelled = blueprint.clone();
        tunnelled.hosts.values_mut().for_each(|host| host.access.api.host = "127.0.0.1".into());
        assert_eq!(tunnelled.inside(), inside, "how a host is reached from here is no matter");
    }
}
