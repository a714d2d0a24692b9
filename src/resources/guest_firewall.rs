//! `guest_firewall`: a guest's own firewall, options and rules, set before the guest first starts.

use super::difference::{Fields, between, change};
use super::guest::{endpoints, guest_addr, locate};
use super::operations::{answer, call, call_until, check, equals, step};
use super::rules::{Place, api_rule, fields, group_rule, rewrite, verdict};
use super::{Changed, Context, Finding, Removal, Resource, firewall_group};
use crate::blueprint::{Blueprint, Guest, Host};
use crate::model::change::{Action, Risk};
use crate::model::observed::{FirewallRule, GuestFirewall};
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, GuestName, HostName, Kind};

struct Firewall<'a> {
    guest: &'a Guest,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    blueprint
        .guests
        .values()
        .map(|guest| Box::new(Firewall { guest, host: blueprint.host_of(guest) }) as Box<dyn Resource>)
        .collect()
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
const DEFAULTS: [(&str, &str); 4] =
    [("enable", "0"), ("macfilter", "1"), ("policy_in", "DROP"), ("policy_out", "ACCEPT")];

impl Firewall<'_> {
    fn options(&self) -> [(&'static str, String); 4] {
        let firewall = &self.guest.firewall;
        [
            ("enable", i32::from(firewall.enabled).to_string()),
            // Without it a guest could speak with another's address.
            ("macfilter", "1".to_owned()),
            ("policy_in", verdict(firewall.inbound).to_owned()),
            ("policy_out", verdict(firewall.outbound).to_owned()),
        ]
    }

    fn rules(&self) -> Vec<FirewallRule> {
        let firewall = &self.guest.firewall;
        let own = firewall.rules.iter().map(api_rule);
        own.chain(firewall.groups.iter().map(|group| group_rule(group.as_str()))).collect()
    }

    fn wanted(&self) -> Fields {
        let mut wanted = fields(&self.rules());
        wanted.extend(self.options().map(|(name, value)| (name.to_owned(), value)));
        wanted
    }
}

fn read(there: &GuestFirewall) -> Fields {
    let mut current = fields(&there.rules);
    for (name, default) in DEFAULTS {
        let value = there.options.get(name).map_or(default, String::as_str);
        current.insert(name.to_owned(), value.to_owned());
    }
    current
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
        let desired = self.wanted();
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
        let current = there.map(read).unwrap_or_default();
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let endpoints = endpoints(located.kind);
        let vmid = self.guest.vmid.to_string();
        let at = [located.node.as_str(), vmid.as_str()];
        let place =
            Place { create: endpoints.rule_create, read: endpoints.rule_read, delete: endpoints.rule_delete, at: &at };
        let new = self.rules();
        let old = there.map(|there| there.rules.clone()).unwrap_or_default();
        let option_changes: Vec<(&str, String)> =
            self.options().into_iter().filter(|(name, value)| current.get(*name) != Some(value)).collect();
        // Rules first, then options: a firewall that is switched on has its rules already.
        let mut ops: Vec<Op> = rewrite(place, &old, &new);
        if !option_changes.is_empty() {
            // What is as PVE has it by default is not written, and is not printed either.
            let expect = option_changes.iter().map(|(name, value)| equals(name, value)).collect();
            let set = answer(endpoints.options.at(&at), expect);
            let request = endpoints.options_set.at(&at).set_all(option_changes.iter().map(|(k, v)| (*k, v)));
            ops.push(call_until(request, set.clone()));
            ops.push(check(set, "the firewall options read back differently"));
        }
        let mut step = step(&addr, "set", format!("set firewall of {}", self.guest.name), &self.host.name, ops);
        step.undo = if located.present {
            let mut undo = rewrite(place, &new, &old);
            let before = there.map(|there| there.options.clone()).unwrap_or_default();
            let (set, unset): (Vec<&str>, Vec<&str>) =
                option_changes.iter().map(|(name, _)| *name).partition(|name| before.contains_key(*name));
            if !set.is_empty() {
                undo.push(call(endpoints.options_set.at(&at).set_all(set.iter().map(|name| (*name, &before[*name])))));
            }
            if !unset.is_empty() {
                undo.push(call(endpoints.options_set.at(&at).set("delete", unset.join(","))));
            }
            Undo::Ops { ops: undo }
        } else {
            Undo::nothing("a new guest's firewall goes with it")
        };
        step.needs = vec![StepId::new(&guest_addr(self.guest), "create")];
        step.needs
            .extend(self.guest.firewall.groups.iter().flat_map(|group| firewall_group::steps(&self.host.site, group)));
        step.exclusive = vec![format!("{}/guest/{vmid}", self.host.site)];
        let action = if located.present && there.is_some() { Action::Update } else { Action::Create };
        let mut change = change(addr, action, &differences, context.memory);
        if located.present {
            step.risk = Risk::Reachability;
            change.risk = Risk::Reachability;
        }
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // Destroying a guest removes its firewall file (observed on 9.2.11).
        None
    }
}
