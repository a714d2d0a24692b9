//! `host_firewall`: a host's own firewall, its switch and the rules of ours in it.
//!
//! Rules are told apart by our mark in their comment and not by their place: whatever else is in the list stays as
//! it is and is shown. Ours go on top, since the first rule that matches decides.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::difference::{Fields, between, change};
use super::guarded::FirewallGuard;
use super::lockout::lockout;
use super::operations::{answer, call, call_until, check, equals, step};
use super::ownership::{is_marked, marked};
use super::rules::{Place, api_rule, fields_among, replace, show};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host, HostFirewall, NameService, Rule, Verdict};
use crate::model::change::{Action, Risk};
use crate::model::entrance;
use crate::model::observed::FirewallRule;
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::proxmox::endpoints::{
    NODE_FIREWALL_OPTIONS, NODE_FIREWALL_OPTIONS_SET, NODE_FIREWALL_RULE, NODE_FIREWALL_RULE_CREATE,
    NODE_FIREWALL_RULE_DELETE, NODE_FIREWALL_RULE_UPDATE,
};

/// Networks in one rule: PVE takes 512 characters for a source.
const MOST_NETWORKS: usize = 10;

struct Own<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    firewall: &'a HostFirewall,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let hosts = blueprint.hosts.values().filter_map(|host| Some((host, host.firewall.as_ref()?)));
    hosts.map(|(host, firewall)| Box::new(Own { blueprint, host, firewall }) as Box<dyn Resource>).collect()
}

/// The step that the datacenter's switch has to wait for.
pub fn set_step(host: &HostName) -> StepId {
    StepId::new(&Addr::new(Kind::HostFirewall, host), "set")
}

/// Whether rules are in force on the hosts of a site.
pub fn in_force(context: &Context<'_>, site: &str) -> bool {
    let firewall = context.observed.sites.get(site).and_then(|site| site.firewall.value());
    firewall.is_some_and(|firewall| firewall.options.get("enable").is_some_and(|enable| enable != "0"))
}

/// Where PVE keeps a host's firewall.
pub fn file(host: &Host) -> String {
    format!("/etc/pve/nodes/{}/host.fw", host.node)
}

/// The file that a host's own firewall becomes, if it is declared.
pub fn file_of(blueprint: &Blueprint, host: &Host) -> Option<entrance::HostFirewall> {
    let own = Own { blueprint, host, firewall: host.firewall.as_ref()? };
    let options = [("enable".to_owned(), "1".to_owned())].into();
    Some(entrance::HostFirewall { present: true, options, rules: own.rules() })
}

impl Own<'_> {
    /// Rules in the words of the API, all with our mark.
    fn rules(&self) -> Vec<FirewallRule> {
        let (four, six): (Vec<IpNet>, Vec<IpNet>) =
            self.firewall.allow_from.iter().partition(|network| network.addr().is_ipv4());
        let ports = self.firewall.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let operator = |source: &[IpNet]| Rule {
            inbound: true,
            verdict: Verdict::Accept,
            source: source.to_vec(),
            dest: Vec::new(),
            protocol: Some("tcp".to_owned()),
            ports: Some(ports.clone()),
            comment: "for the operator".to_owned(),
        };
        let operators = four.chunks(MOST_NETWORKS).chain(six.chunks(MOST_NETWORKS)).map(operator);
        let names = self.blueprint.name_services(self.host);
        let names = names.into_iter().flat_map(|asked| ["tcp", "udp"].map(|protocol| answers_names(asked, protocol)));
        let all = operators.chain(self.firewall.rules.iter().cloned()).chain(names);
        all.map(|rule| self.marked(&rule)).collect()
    }

    fn marked(&self, rule: &Rule) -> FirewallRule {
        let FirewallRule(mut fields) = api_rule(rule);
        fields.insert("comment".to_owned(), marked(&self.blueprint.name, &rule.comment));
        FirewallRule(fields)
    }

    fn is_ours(&self, rule: &FirewallRule) -> bool {
        rule.0.get("comment").is_some_and(|comment| is_marked(&self.blueprint.name, comment))
    }

    fn place<'p>(at: &'p [&'p str]) -> Place<'p> {
        Place {
            create: &NODE_FIREWALL_RULE_CREATE,
            read: &NODE_FIREWALL_RULE,
            update: &NODE_FIREWALL_RULE_UPDATE,
            delete: &NODE_FIREWALL_RULE_DELETE,
            at,
        }
    }

    /// What makes `there` have `new` on top, with nothing else of ours in it. Rules may be in force: no packet meets
    /// meanwhile what neither the old nor the new ones say.
    fn replace(&self, there: &[FirewallRule], new: &[FirewallRule]) -> Vec<Op> {
        let at = [self.host.node.as_str()];
        let foreign = there.iter().filter(|rule| !self.is_ours(rule)).cloned();
        let after: Vec<FirewallRule> = new.iter().cloned().chain(foreign).collect();
        let place = Self::place(&at);
        let mut ops = replace(place, there, &after, true, |rule| !self.is_ours(rule)).ops();
        let read_back = new.iter().enumerate();
        ops.extend(
            read_back.map(|(position, rule)| check(place.is(position, rule), "the rules read back differently")),
        );
        ops
    }

    fn notes(&self, there: &entrance::HostFirewall) -> Vec<String> {
        let foreign: Vec<String> = there.rules.iter().filter(|rule| !self.is_ours(rule)).map(show).collect();
        if foreign.is_empty() {
            return Vec::new();
        }
        let name = &self.host.name;
        vec![format!("rules of {name}'s own firewall that are not ours stay as they are: {}", foreign.join("; "))]
    }
}

/// Guests look up names here. The address is part of it: on a host that does not have it the rule is about nothing.
fn answers_names(asked: NameService, protocol: &str) -> Rule {
    Rule {
        inbound: true,
        verdict: Verdict::Accept,
        source: vec![asked.from],
        dest: vec![IpNet::from(asked.to)],
        protocol: Some(protocol.to_owned()),
        ports: Some("53".to_owned()),
        comment: "names".to_owned(),
    }
}

fn enabled(there: &entrance::HostFirewall) -> &str {
    // PVE takes it for on unless it says 0.
    there.options.get("enable").map_or("1", String::as_str)
}

impl Resource for Own<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::HostFirewall, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let fact = &context.observed.hosts[&self.host.name].entrance.firewall;
        let Some(there) = fact.value().filter(|_| fact.is_complete()) else {
            return Finding::Gap {
                why: format!("own firewall of `{}`: {}", self.host.name, fact.why().unwrap_or("not known")),
            };
        };
        let new = self.rules();
        let ours: Vec<FirewallRule> = there.rules.iter().filter(|rule| self.is_ours(rule)).cloned().collect();
        let with = |rules: &[FirewallRule], enable: &str| {
            let mut all: Fields = fields_among(rules, &new, |_| true);
            all.insert("enable".to_owned(), enable.to_owned());
            all
        };
        let (current, desired) = (with(&ours, enabled(there)), with(&new, "1"));
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        if let Some(finding) = lockout(context.observed, self.host, self.firewall) {
            return finding;
        }
        let node = self.host.node.as_str();
        let (mut ops, mut undo) = (Vec::new(), Vec::new());
        let foreign: Vec<FirewallRule> = there.rules.iter().filter(|rule| !self.is_ours(rule)).cloned().collect();
        if ours != new {
            ops.extend(self.replace(&there.rules, &new));
            let after: Vec<FirewallRule> = new.iter().chain(&foreign).cloned().collect();
            undo.extend(replace(Self::place(&[node]), &after, &there.rules, true, |_| false).ops());
        }
        if enabled(there) == "0" {
            let set = answer(NODE_FIREWALL_OPTIONS.at(&[node]), vec![equals("enable", 1)]);
            ops.push(call_until(NODE_FIREWALL_OPTIONS_SET.at(&[node]).set("enable", 1), set.clone()));
            ops.push(check(set, "the firewall options read back differently"));
            undo.push(call(NODE_FIREWALL_OPTIONS_SET.at(&[node]).set("enable", 0)));
        }
        let guard = |present| FirewallGuard {
            files: vec![(file(self.host), present)],
            in_force: in_force(context, &self.host.site),
            hosts: vec![self.host.name.clone()],
        };
        let ops = guard(there.present).around(ops);
        let title = format!("set the own firewall of {}", self.host.name);
        let mut step = step(&addr, "set", title, &self.host.name, ops);
        step.undo = Undo::Ops { ops: guard(true).around(undo) };
        step.risk = Risk::Reachability;
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        let action = if ours.is_empty() { Action::Create } else { Action::Update };
        let mut change = change(addr, action, &differences, context.memory);
        (change.risk, change.via) = (Risk::Reachability, step.via);
        let seen = format!("{current:?} {}", show_all(&foreign));
        Finding::Changed(Changed { change, steps: vec![step], desired, seen, notes: self.notes(there) })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // A host outlives its inventory, and is not to be opened by its end.
        None
    }
}

fn show_all(rules: &[FirewallRule]) -> String {
    rules.iter().map(show).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ")
}
