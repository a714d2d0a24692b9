//! What a guest has of its own: its rules in order, and the set of addresses that it may speak with.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::names;
use super::rule::{COMES, COMES_NOT, GOES, GOES_NOT, Ports, Way, alias_ref, rule, set_ref};
use super::site::users;
use crate::blueprint::{Blueprint, Flow, FlowOrigin, Guest, Party};
use crate::model::observed::{FirewallIpSet, FirewallRule, IpSetEntry};
use crate::model::{PortRange, Transport};
use crate::resources::ownership::marked;
use crate::resources::rules::{api_rule, group_rule};

/// Networks in one rule: Proxmox takes 512 characters for an end.
const MOST_NETWORKS: usize = 10;

/// Every rule of ours that a guest shall have, top rule first: what is written by hand, then what follows from flows.
#[must_use]
pub fn guest_rules(blueprint: &Blueprint, guest: &Guest) -> Vec<FirewallRule> {
    let own = &blueprint.name;
    let by_hand = guest.firewall.rules.iter().map(|rule| {
        let FirewallRule(mut fields) = api_rule(rule);
        fields.insert("comment".to_owned(), marked(own, &rule.comment));
        FirewallRule(fields)
    });
    let mut rules: Vec<FirewallRule> = by_hand.collect();
    rules.extend(guest.firewall.groups.iter().map(|group| group_rule(group.as_str(), &marked(own, ""))));
    let party = Party::Guest(guest.name.clone());
    let comes: Vec<&Flow> = blueprint.flows.iter().filter(|flow| flow.to == party && flow.from != party).collect();
    let goes: Vec<&Flow> = blueprint.flows.iter().filter(|flow| flow.from == party && flow.to != party).collect();
    between(blueprint, &comes, &goes, &mut rules);
    rules.push(group_rule(&names::apart(own), &marked(own, "guests apart")));
    networks(blueprint, COMES, &comes, |flow| &flow.from, &mut rules);
    networks(blueprint, GOES, &goes, |flow| &flow.to, &mut rules);
    let inside = set_ref(&names::inside(own));
    for flow in comes.iter().filter(|flow| flow.from == Party::Internet) {
        let ports = Ports::of(flow.transport, flow.ports);
        rules.push(rule(own, COMES_NOT, Some(&inside), ports, "what is private is no internet"));
        rules.push(rule(own, COMES, None, ports, &why(flow)));
    }
    if all_of_it(blueprint, guest) {
        rules.push(group_rule(&names::outside(own), &marked(own, "out to the internet")));
    } else if goes.iter().any(|flow| flow.to == Party::Internet) {
        rules.push(rule(own, GOES_NOT, Some(&inside), Ports::ANY, "what is private is no internet"));
        let outside = goes.iter().filter(|flow| flow.to == Party::Internet);
        rules.extend(outside.map(|flow| rule(own, GOES, None, Ports::of(flow.transport, flow.ports), &why(flow))));
    }
    rules
}

/// Whether a guest may reach all of the internet.
pub(super) fn all_of_it(blueprint: &Blueprint, guest: &Guest) -> bool {
    let party = Party::Guest(guest.name.clone());
    [Transport::Tcp, Transport::Udp].into_iter().all(|transport| {
        let all = |flow: &&Flow| flow.transport == transport && flow.ports == PortRange::ALL;
        let own = |flow: &&Flow| flow.from == party && flow.to == Party::Internet;
        blueprint.flows.iter().filter(own).any(|flow| all(&flow))
    })
}

/// Flows between guests: in by sets, out by aliases.
fn between(blueprint: &Blueprint, comes: &[&Flow], goes: &[&Flow], rules: &mut Vec<FirewallRule>) {
    let own = &blueprint.name;
    let mut seen = BTreeSet::new();
    for flow in comes {
        let Party::Guest(from) = &flow.from else { continue };
        let source = match users(blueprint, flow) {
            Some(set) => set_ref(&set),
            None => alias_ref(&names::alias(own, from)),
        };
        if seen.insert((true, source.clone(), flow.transport, flow.ports)) {
            rules.push(rule(own, COMES, Some(&source), Ports::of(flow.transport, flow.ports), &why(flow)));
        }
    }
    for flow in goes {
        let Party::Guest(to) = &flow.to else { continue };
        let dest = alias_ref(&names::alias(own, to));
        if seen.insert((false, dest.clone(), flow.transport, flow.ports)) {
            rules.push(rule(own, GOES, Some(&dest), Ports::of(flow.transport, flow.ports), &why(flow)));
        }
    }
}

/// Flows from and to networks: one rule per ports, as long as Proxmox takes it.
fn networks<'f>(
    blueprint: &Blueprint,
    way: Way,
    flows: &[&'f Flow],
    other: fn(&'f Flow) -> &'f Party,
    rules: &mut Vec<FirewallRule>,
) {
    let mut wanted: Vec<(Ports, String, Vec<IpNet>)> = Vec::new();
    for flow in flows {
        let Party::Network(network) = other(flow) else { continue };
        let both = flow.ports == PortRange::ALL
            && flows
                .iter()
                .any(|one| other(one) == other(flow) && one.transport != flow.transport && one.ports == flow.ports);
        let ports = match (both, flow.transport) {
            (true, Transport::Tcp) => Ports::ANY,
            // Said by the one before.
            (true, Transport::Udp) => continue,
            (false, transport) => Ports::of(transport, flow.ports),
        };
        match wanted.iter_mut().find(|(known, reason, _)| *known == ports && *reason == why(flow)) {
            Some((.., networks)) => networks.push(*network),
            None => wanted.push((ports, why(flow), vec![*network])),
        }
    }
    for (ports, reason, networks) in wanted {
        let (four, six): (Vec<IpNet>, Vec<IpNet>) = networks.into_iter().partition(|network| network.addr().is_ipv4());
        for chunk in four.chunks(MOST_NETWORKS).chain(six.chunks(MOST_NETWORKS)) {
            let list: Vec<String> = chunk.iter().map(crate::resources::rules::network).collect();
            rules.push(rule(&blueprint.name, way, Some(&list.join(",")), ports, &reason));
        }
    }
}

/// What a rule is for.
fn why(flow: &Flow) -> String {
    match &flow.why {
        FlowOrigin::Uses(service, port) | FlowOrigin::Exposes(service, port) | FlowOrigin::Access(service, port) => {
            format!("{service}/{port}")
        }
        FlowOrigin::Route(site) => format!("site {site}"),
        FlowOrigin::Ingress => "sites".to_owned(),
        FlowOrigin::Internet => "outside".to_owned(),
        FlowOrigin::Names => "names".to_owned(),
    }
}

/// What a guest may speak with on its first interface. Proxmox adds the link-local address of its MAC by itself, and
/// the configured address for containers, but not for VMs.
#[must_use]
pub fn own_set(blueprint: &Blueprint, guest: &Guest) -> FirewallIpSet {
    let entry = (guest.interface.address().to_string(), IpSetEntry::default());
    FirewallIpSet { comment: marked(&blueprint.name, "its own address"), entries: [entry].into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;
    use crate::resources::rules::show;

    fn of(blueprint: &Blueprint, guest: &str) -> Vec<String> {
        let rules = guest_rules(blueprint, &blueprint.guests[&guest.parse().unwrap()]);
        rules.iter().map(|rule| show(rule).replace(" (infra: test)", "")).collect()
    }

    #[test]
    fn flows_come_before_what_sets_guests_apart_and_that_before_networks_and_the_internet() {
        let blueprint = with(
            "guests: { plan-hq: { services: [litellm, open-webui], exposes: { ssh: [192.168.10.0/24, 192.168.11.5], \
             open-webui: [internet] } }, proj-x: { uses: [plan-hq/litellm] } }",
        );
        let expected = [
            "in ACCEPT from +dc/infra_test_plan-hq_litellm_api by tcp port 4000 # litellm/api",
            "group infra_test_ew # guests apart",
            "in ACCEPT from 192.168.10.0/24,192.168.11.5 by tcp port 22 # ssh/ssh",
            "out ACCEPT to 10.0.0.1 by tcp port 53 # names",
            "out ACCEPT to 10.0.0.1 by udp port 53 # names",
            "in DROP from +dc/infra_test_inside by tcp port 3000 # what is private is no internet",
            "in ACCEPT by tcp port 3000 # open-webui/http",
            "group infra_test_net # out to the internet",
        ];
        assert_eq!(of(&blueprint, "plan-hq"), expected);
        let expected = [
            "out ACCEPT to dc/infra_test_plan-hq by tcp port 4000 # litellm/api",
            "group infra_test_ew # guests apart",
            "out ACCEPT to 10.0.0.1 by tcp port 53 # names",
            "out ACCEPT to 10.0.0.1 by udp port 53 # names",
            "group infra_test_net # out to the internet",
        ];
        assert_eq!(of(&blueprint, "proj-x"), expected);
    }

    #[test]
    fn outbound_is_what_is_declared() {
        assert_eq!(
            of(&with("guests: { proj-x: { internet: false } }"), "proj-x"),
            ["group infra_test_ew # guests apart"]
        );
        let only = "guests: { proj-x: { internet: [203.0.113.0/24, { to: internet, protocol: tcp, ports: 443 }] } }";
        let expected = [
            "group infra_test_ew # guests apart",
            "out ACCEPT to 203.0.113.0/24 # outside",
            "out ACCEPT to 10.0.0.1 by tcp port 53 # names",
            "out ACCEPT to 10.0.0.1 by udp port 53 # names",
            "out DROP to +dc/infra_test_inside # what is private is no internet",
            "out ACCEPT by tcp port 443 # outside",
        ];
        assert_eq!(of(&with(only), "proj-x"), expected);
    }

    #[test]
    fn what_is_written_by_hand_comes_first() {
        let blueprint = with(
            "guests: { proj-x: { internet: false, firewall: { groups: [project-ct], \
             rules: [{ action: accept, source: 10.9.0.1, protocol: tcp, ports: 80, comment: by hand }] } } }",
        );
        let expected = [
            "in ACCEPT from 10.9.0.1 by tcp port 80 # by hand",
            "group project-ct #",
            "group infra_test_ew # guests apart",
        ];
        let rules: Vec<String> = of(&blueprint, "proj-x");
        assert_eq!(rules.iter().map(|rule| rule.replace("# (infra: test)", "#")).collect::<Vec<_>>(), expected);
    }
}
