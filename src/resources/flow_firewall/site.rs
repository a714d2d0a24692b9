//! What all guests of a site share: an alias each, sets of who may use what, the two groups.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::names;
use super::rule::{COMES_NOT, GOES, GOES_NOT, Ports, alias_ref, rule, set_ref};
use crate::blueprint::{Blueprint, Flow, FlowOrigin, Guest, Party};
use crate::model::GuestName;
use crate::model::observed::{ClusterFirewall, FirewallAlias, FirewallGroup, FirewallIpSet, IpSetEntry};
use crate::resources::ownership::marked;
use crate::resources::rules;

/// The shortest prefix that all of Proxmox's formats for networks take.
const SHORTEST: u8 = 8;

/// Aliases, sets and groups of ours that the datacenter firewall of a site shall have, groups that are written by hand
/// among them. Names are as Proxmox keeps them, in lower case.
#[must_use]
pub fn site_firewall(blueprint: &Blueprint, site: &str) -> ClusterFirewall {
    let own = &blueprint.name;
    let here = || blueprint.guests.values().filter(|guest| blueprint.host_of(guest).site == site);
    let mut firewall = ClusterFirewall { groups: by_hand(blueprint, site), ..ClusterFirewall::default() };
    if here().next().is_none() {
        return firewall;
    }
    for guest in blueprint.guests.values() {
        let cidr = guest.interface.address().to_string();
        let comment = marked(own, guest.name.as_str());
        firewall.aliases.insert(names::alias(own, &guest.name), FirewallAlias { cidr, comment });
    }
    let set = |comment: &str, entries: BTreeSet<String>| FirewallIpSet {
        comment: marked(own, comment),
        entries: entries.into_iter().map(|entry| (entry, IpSetEntry::default())).collect(),
    };
    let aliases = |guests: BTreeSet<&GuestName>| -> BTreeSet<String> {
        guests.into_iter().map(|guest| alias_ref(&names::alias(own, guest))).collect()
    };
    firewall.ipsets.insert(names::guests(own), set("all guests", aliases(blueprint.guests.keys().collect())));
    for (name, comment, members) in here().flat_map(|guest| users_of(blueprint, guest)) {
        firewall.ipsets.insert(name, set(&comment, aliases(members)));
    }
    let apart = set_ref(&names::guests(own));
    let group = |comment: &str, rules| FirewallGroup { comment: marked(own, comment), rules };
    let between = "no guest reaches another but for what is declared";
    firewall.groups.insert(
        names::apart(own),
        group(
            "guests apart",
            vec![
                rule(own, COMES_NOT, Some(&apart), Ports::ANY, between),
                rule(own, GOES_NOT, Some(&apart), Ports::ANY, between),
            ],
        ),
    );
    // pve-firewall takes any prefix that Net::IP does, Proxmox's other formats none shorter than /8: what both take.
    let parts = |network: IpNet| -> Vec<IpNet> {
        network.subnets(network.prefix_len().max(SHORTEST)).map(Iterator::collect).unwrap_or_else(|_| vec![network])
    };
    let inside = || blueprint.inside().into_iter().flat_map(parts).map(|network| rules::network(&network)).collect();
    let connected = |guest: &Guest| blueprint.flows.iter().any(|flow| is_internet(flow, &guest.name));
    if here().any(connected) {
        firewall.ipsets.insert(names::inside(own), set("no internet", inside()));
        let refused = set_ref(&names::inside(own));
        let rules = vec![
            rule(own, GOES_NOT, Some(&refused), Ports::ANY, "what is private is no internet"),
            rule(own, GOES, None, Ports::ANY, "the internet"),
        ];
        if here().any(|guest| super::guest::all_of_it(blueprint, guest)) {
            firewall.groups.insert(names::outside(own), group("out to the internet", rules));
        }
    }
    firewall
}

fn is_internet(flow: &Flow, guest: &GuestName) -> bool {
    let own = Party::Guest(guest.clone());
    (flow.from == own && flow.to == Party::Internet) || (flow.to == own && flow.from == Party::Internet)
}

/// Groups that guests of the site name.
fn by_hand(blueprint: &Blueprint, site: &str) -> BTreeMap<String, FirewallGroup> {
    let guests = || blueprint.guests.values().filter(|guest| blueprint.host_of(guest).site == site);
    let used = |name| guests().any(|guest| guest.firewall.groups.contains(name));
    let groups = blueprint.groups.values().filter(|group| used(&group.name)).map(|group| {
        let comment = marked(&blueprint.name, &group.comment);
        let rules = group.rules.iter().map(rules::api_rule).collect();
        (group.name.as_str().to_lowercase(), FirewallGroup { comment, rules })
    });
    groups.collect()
}

/// The set of guests that a flow between guests comes from, if it has one: those of services, and those who ask for
/// names. What leads from one guest alone (a route) needs none.
#[must_use]
pub fn users(blueprint: &Blueprint, flow: &Flow) -> Option<String> {
    let (Party::Guest(_), Party::Guest(to)) = (&flow.from, &flow.to) else { return None };
    match &flow.why {
        FlowOrigin::Uses(service, port) | FlowOrigin::Exposes(service, port) => {
            Some(names::users(&blueprint.name, to, service, port))
        }
        FlowOrigin::Names => Some(names::askers(&blueprint.name, to)),
        _ => None,
    }
}

/// Every set of those who may use something of a guest: name, comment, members.
fn users_of<'a>(blueprint: &'a Blueprint, guest: &Guest) -> Vec<(String, String, BTreeSet<&'a GuestName>)> {
    let mut sets: BTreeMap<String, (String, BTreeSet<&GuestName>)> = BTreeMap::new();
    for flow in &blueprint.flows {
        let (Party::Guest(from), Party::Guest(to)) = (&flow.from, &flow.to) else { continue };
        if *to != guest.name {
            continue;
        }
        let Some(name) = users(blueprint, flow) else { continue };
        let comment = match &flow.why {
            FlowOrigin::Uses(service, port) | FlowOrigin::Exposes(service, port) => {
                format!("may use {service}/{port} of {to}")
            }
            _ => format!("ask {to} for names"),
        };
        sets.entry(name).or_insert((comment, BTreeSet::new())).1.insert(from);
    }
    sets.into_iter().map(|(name, (comment, members))| (name, comment, members)).collect()
}
