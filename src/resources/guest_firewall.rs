//! `guest_firewall`: a guest's own firewall: options, the set of its own addresses and its rules, set before the guest
//! first starts.
//!
//! Rules of ours are told by our mark in their comment, or by doing exactly what one of ours does. They come first:
//! what they leave open, rules of others may decide, which are kept and shown.

use super::difference::{Fields, between, change};
use super::flow_firewall::{guest_rules, own_set, own_set_name};
use super::guest::{endpoints, guest_addr, locate};
use super::ip_set::{self, Set};
use super::operations::{answer, call, call_until, check, equals, step};
use super::ownership::is_marked;
use super::rules::{Place, Rewrite, fields_among, identity, replace, show, verdict};
use super::way_in::Ways;
use super::{Changed, Context, Finding, Removal, Resource, firewall_group, way_in};
use crate::blueprint::{Blueprint, Guest, Host};
use crate::model::change::{Action, Risk};
use crate::model::observed::{FirewallRule, GuestFirewall, Observed};
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, EnvironmentName, GuestName, HostName, Kind};

struct Firewall<'a> {
    blueprint: &'a Blueprint,
    guest: &'a Guest,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let firewalls = blueprint
        .guests
        .values()
        .map(|guest| Box::new(Firewall { blueprint, guest, host: blueprint.host_of(guest) }) as Box<dyn Resource>);
    firewalls.collect()
}

/// The address of a guest's firewall.
pub fn addr(guest: &GuestName) -> Addr {
    Addr::new(Kind::GuestFirewall, guest)
}

/// The step that a guest's start has to wait for.
pub fn set_step(guest: &GuestName) -> StepId {
    StepId::new(&addr(guest), "set")
}

/// Options with what PVE means where they are not set.
const DEFAULTS: [(&str, &str); 8] = [
    ("enable", "0"),
    ("macfilter", "1"),
    ("ipfilter", "0"),
    ("dhcp", "1"),
    ("ndp", "1"),
    ("radv", "0"),
    ("policy_in", "DROP"),
    ("policy_out", "ACCEPT"),
];

fn options(guest: &Guest) -> [(&'static str, String); 8] {
    let firewall = &guest.firewall;
    let flag = |on: bool| i32::from(on).to_string();
    [
        ("enable", flag(firewall.enabled)),
        // Without these two a guest could speak with another's address.
        ("macfilter", flag(true)),
        ("ipfilter", flag(true)),
        // Every guest has a fixed address: with it, any guest could reach port 68 of any other.
        ("dhcp", flag(false)),
        // Without it there is no IPv6; with it, nobody needs a flow for it.
        ("ndp", flag(guest.interface.address().is_ipv6())),
        // Who announces routers draws the traffic of others to himself.
        ("radv", flag(false)),
        ("policy_in", verdict(firewall.inbound).to_owned()),
        ("policy_out", verdict(firewall.outbound).to_owned()),
    ]
}

/// A guest's firewall as it shall be, in the words of Proxmox's files.
#[must_use]
pub fn wanted(blueprint: &Blueprint, guest: &Guest) -> GuestFirewall {
    GuestFirewall {
        options: options(guest).into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        rules: guest_rules(blueprint, guest),
        ipsets: [(own_set_name().to_owned(), own_set(blueprint, guest))].into(),
        ..GuestFirewall::default()
    }
}

/// Whether a rule is ours: marked, or doing exactly what one of ours does.
fn is_ours(inventory: &EnvironmentName, wanted: &[FirewallRule], rule: &FirewallRule) -> bool {
    rule.0.get("comment").is_some_and(|comment| is_marked(inventory, comment))
        || wanted.iter().any(|wanted| identity(wanted) == identity(rule))
}

/// Rules of a guest's firewall that are not ours, as a person reads them.
#[must_use]
pub fn foreign_rules(blueprint: &Blueprint, guest: &Guest, observed: &Observed) -> Vec<String> {
    let site = observed.sites.get(&blueprint.host_of(guest).site);
    let there = site.and_then(|site| site.guest_firewalls.value()).and_then(|all| all.get(&guest.vmid));
    let wanted = guest_rules(blueprint, guest);
    let rules = there.into_iter().flat_map(|there| &there.rules);
    rules.filter(|rule| !is_ours(&blueprint.name, &wanted, rule)).map(show).collect()
}

impl Firewall<'_> {
    fn fields(&self, there: &GuestFirewall, wanted: &GuestFirewall) -> Fields {
        let ours = |rule: &FirewallRule| is_ours(&self.blueprint.name, &wanted.rules, rule);
        let mut fields = fields_among(&there.rules, &wanted.rules, ours);
        for (name, default) in DEFAULTS {
            let value = there.options.get(name).map_or(default, String::as_str);
            fields.insert(name.to_owned(), value.to_owned());
        }
        if let Some(set) = there.ipsets.get(own_set_name()) {
            let set = ip_set::fields(set).into_iter();
            fields.extend(set.map(|(path, value)| (format!("{}.{path}", own_set_name()), value)));
        }
        fields
    }
}

impl Resource for Firewall<'_> {
    fn addr(&self) -> Addr {
        addr(&self.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let wanted = wanted(self.blueprint, self.guest);
        let desired = self.fields(&wanted, &wanted);
        let site = &context.observed.sites[&self.host.site];
        let Some(all) = site.guest_firewalls.value().filter(|_| site.guest_firewalls.is_complete()) else {
            let why = site.guest_firewalls.why().unwrap_or("not known");
            return Finding::Gap { why: format!("firewall files of `{}`: {why}", self.host.site) };
        };
        let located = match locate(context, self.guest) {
            Ok(located) => located,
            // The guest itself says what is wrong; once is enough.
            Err(_) => return Finding::Gap { why: format!("{} cannot be planned", guest_addr(self.guest)) },
        };
        // A file may be there without a guest, and is read for the next guest with its number.
        let there = all.get(&self.guest.vmid).filter(|_| !located.goes_first(context, self.guest));
        let nothing = GuestFirewall::default();
        let old = there.unwrap_or(&nothing);
        let current = there.map(|there| self.fields(there, &wanted)).unwrap_or_default();
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let endpoints = endpoints(located.kind);
        let vmid = self.guest.vmid.to_string();
        let at = [located.node.as_str(), vmid.as_str()];
        let place = Place {
            create: endpoints.rule_create,
            read: endpoints.rule_read,
            update: endpoints.rule_update,
            delete: endpoints.rule_delete,
            at: &at,
        };
        let is_ours = |rule: &FirewallRule| is_ours(&self.blueprint.name, &wanted.rules, rule);
        let foreign = old.rules.iter().filter(|rule| !is_ours(rule)).cloned();
        let new: Vec<FirewallRule> = wanted.rules.iter().cloned().chain(foreign).collect();
        let rules = replace(place, &old.rules, &new, located.present, |rule| !is_ours(rule));
        let set = Set { endpoints: &endpoints.sets, at: &at, name: own_set_name() };
        let set = set.turn_into(old.ipsets.get(own_set_name()), &wanted.ipsets[own_set_name()]);
        let options = options(self.guest).into_iter();
        let changed: Vec<(&str, String)> = options.filter(|(name, value)| current.get(*name) != Some(value)).collect();
        let switched = changed.iter().any(|(name, _)| *name == "enable").then_some(self.guest.firewall.enabled);
        let mut set_options = Vec::new();
        if !changed.is_empty() {
            // What is as PVE has it by default is not written, and is not printed either.
            let expect = changed.iter().map(|(name, value)| equals(name, value)).collect();
            let is_set = answer(endpoints.options.at(&at), expect);
            let request = endpoints.options_set.at(&at).set_all(changed.iter().map(|(name, value)| (*name, value)));
            set_options.push(call_until(request, is_set.clone()));
            set_options.push(check(is_set, "the firewall options read back differently"));
        }
        let ops = in_turn(&set.ops, rules, &set_options, switched);
        let mut step = step(&addr, "set", format!("set firewall of {}", self.guest.name), &self.host.name, ops);
        step.undo = if located.present {
            // Everything comes back to where it was, whoever it is of.
            let rules = replace(place, &new, &old.rules, true, |_| false);
            let (set_back, unset): (Vec<&str>, Vec<&str>) =
                changed.iter().map(|(name, _)| *name).partition(|name| old.options.contains_key(*name));
            let mut options_back = Vec::new();
            if !set_back.is_empty() {
                let before = set_back.iter().map(|name| (*name, &old.options[*name]));
                options_back.push(call(endpoints.options_set.at(&at).set_all(before)));
            }
            if !unset.is_empty() {
                options_back.push(call(endpoints.options_set.at(&at).set("delete", unset.join(","))));
            }
            let mut ops = in_turn(&[], rules, &options_back, switched.map(|on| !on));
            ops.extend(set.undo);
            Undo::Ops { ops }
        } else {
            Undo::nothing("a new guest's firewall goes with it")
        };
        step.needs = vec![StepId::new(&guest_addr(self.guest), "create")];
        step.needs.extend(firewall_group::referred(&wanted.rules, &self.host.site));
        let groups = wanted.rules.iter().filter(|rule| rule.0["type"] == "group").map(|rule| &rule.0["action"]);
        step.needs.extend(groups.flat_map(|group| firewall_group::steps_of(self.blueprint, &self.host.site, group)));
        step.exclusive = vec![format!("{}/guest/{vmid}", self.host.site)];
        let action = if located.present && there.is_some() { Action::Update } else { Action::Create };
        let mut change = change(addr, action, &differences, context.memory);
        let mut notes = Vec::new();
        if located.present {
            step.risk = Risk::Reachability;
            change.risk = Risk::Reachability;
            if let Some(why) = Ways::of(self.blueprint, context.observed).why(&self.guest.name) {
                let path = format!("/etc/pve/firewall/{vmid}.fw");
                if let Err(gap) = way_in::guard(context, self.host, Some((path, there.is_some())), &mut step) {
                    return gap;
                }
                change.via = step.via;
                let name = &self.guest.name;
                notes.push(format!("the firewall of {name} is changed under guard, since we come through it: {why}"));
            }
        }
        let seen = format!("{current:?} {:?}", foreign_rules(self.blueprint, self.guest, context.observed));
        Finding::Changed(Changed { change, steps: vec![step], desired, seen, notes })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // Destroying a guest removes its firewall file (observed on 9.2.11).
        None
    }
}

/// What is done first and what last: a firewall that is switched on has its rules already, one that is switched off
/// keeps them until then, and a policy changes when the new rules are in force and the old ones are not gone yet.
fn in_turn(set: &[Op], rules: Rewrite, options: &[Op], switched: Option<bool>) -> Vec<Op> {
    let Rewrite { add, remove } = rules;
    let (options, set) = (options.to_vec(), set.to_vec());
    let parts = match switched {
        Some(true) => [set, add, remove, options],
        Some(false) => [options, set, add, remove],
        None => [set, add, options, remove],
    };
    parts.into_iter().flatten().collect()
}
