//! `datacenter_firewall`: the switch of a site's firewall, its policy, and the set of those who may manage its hosts.
//!
//! PVE opens 8006, SSH, consoles and SPICE to the set `management` by itself, and to the host's own network
//! (`local_network`). The switch is one for all hosts and guests of the site: it goes last, under guard.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::difference::{Fields, between, change};
use super::guarded::FirewallGuard;
use super::host_firewall::{in_force, set_step};
use super::lockout::{kept_out, lockout};
use super::operations::{answer, call_until, check, equals, step};
use super::ownership::{is_marked, mark};
use super::rules::show;
use super::switched_on::{consequences, stale_policy};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host, HostFirewall};
use crate::model::change::{Action, Risk};
use crate::model::observed::{ClusterFirewall, FirewallIpSet, IpSetEntry};
use crate::model::step::{Expect, Matcher, Op, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::ports::Request;
use crate::proxmox::endpoints::{
    CLUSTER_FIREWALL_OPTIONS, CLUSTER_FIREWALL_OPTIONS_SET, IPSET, IPSET_CREATE, IPSET_DELETE, IPSET_ENTRY_CREATE,
    IPSET_ENTRY_DELETE, IPSETS,
};

/// PVE's own set of those who may manage hosts.
const SET: &str = "management";
/// Where PVE keeps the datacenter's firewall.
const FILE: &str = "/etc/pve/firewall/cluster.fw";

struct Datacenter<'a> {
    blueprint: &'a Blueprint,
    /// The first host of the site whose firewall is declared: it keeps the revert.
    host: &'a Host,
    firewall: &'a HostFirewall,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut sites: BTreeMap<&str, Datacenter<'_>> = BTreeMap::new();
    for host in blueprint.hosts.values() {
        if let Some(firewall) = &host.firewall {
            sites.entry(&host.site).or_insert(Datacenter { blueprint, host, firewall });
        }
    }
    sites.into_values().map(|one| Box::new(one) as Box<dyn Resource>).collect()
}

/// Options and sets of a site's firewall file, if any of its hosts declares a firewall.
pub fn file(blueprint: &Blueprint, site: &str) -> Option<ClusterFirewall> {
    let mut hosts = blueprint.hosts.values().filter(|host| host.site == site);
    let firewall = hosts.find_map(|host| host.firewall.as_ref())?;
    let mut file = ClusterFirewall { present: true, ..ClusterFirewall::default() };
    file.options = [("enable", "1"), ("policy_in", "DROP")].map(|(name, value)| (name.into(), value.into())).into();
    let entry = |network: &IpNet| (written(*network), IpSetEntry { comment: mark(&blueprint.name), nomatch: false });
    let entries = firewall.allow_from.iter().map(entry).collect();
    file.ipsets.insert(SET.to_owned(), FirewallIpSet { comment: String::new(), entries });
    Some(file)
}

/// One change of an option or of the set, and how to take it back.
struct Deed {
    ops: Vec<Op>,
    undo: Vec<Op>,
}

/// An entry as it may be written: a single address has no prefix length.
fn written(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

fn read(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn has(cidr: &str) -> Expect {
    Expect::new("", Matcher::HasItem("cidr".to_owned(), cidr.to_owned()))
}

fn lacks(cidr: &str) -> Expect {
    Expect::new("", Matcher::LacksItem("cidr".to_owned(), cidr.to_owned()))
}

impl Datacenter<'_> {
    fn site(&self) -> &str {
        &self.host.site
    }

    fn is_ours(&self, comment: &str) -> bool {
        is_marked(&self.blueprint.name, comment)
    }

    /// What is meant to be, of what is there and ours or needed: others' entries are none of it.
    fn current(&self, there: &ClusterFirewall) -> Fields {
        let option = |name: &str, default: &str| there.options.get(name).cloned().unwrap_or_else(|| default.to_owned());
        // The switch may hold the moment until which it is on.
        let enable = if option("enable", "0") == "0" { "0" } else { "1" };
        let mut fields = Fields::from([
            ("enable".to_owned(), enable.to_owned()),
            ("policy_in".to_owned(), option("policy_in", "DROP")),
        ]);
        for (text, entry) in there.ipsets.get(SET).into_iter().flat_map(|set| &set.entries) {
            let Some(network) = read(text).filter(|_| !entry.nomatch) else { continue };
            if self.is_ours(&entry.comment) || self.firewall.allow_from.contains(&network) {
                fields.insert(format!("{SET} {}", written(network)), "may manage".to_owned());
            }
        }
        fields
    }

    fn wanted(&self) -> Fields {
        let mut fields =
            Fields::from([("enable".to_owned(), "1".to_owned()), ("policy_in".to_owned(), "DROP".to_owned())]);
        let networks = self.firewall.allow_from.iter().map(|network| format!("{SET} {}", written(*network)));
        fields.extend(networks.map(|network| (network, "may manage".to_owned())));
        fields
    }

    /// Brings the set to what it should be: whoever is to be let in comes before anybody goes.
    fn set(&self, set: Option<&FirewallIpSet>) -> Deed {
        let mut deed = Deed { ops: Vec::new(), undo: Vec::new() };
        let look = |expect| answer(IPSET.at(&[SET]), vec![expect]);
        let comment = mark(&self.blueprint.name);
        let add = |cidr: &str, comment: &str| -> Request {
            let call = IPSET_ENTRY_CREATE.at(&[SET]).set("cidr", cidr);
            call.set_maybe("comment", Some(comment).filter(|text| !text.is_empty())).request()
        };
        let remove = |cidr: &str| -> Request { IPSET_ENTRY_DELETE.at(&[SET, cidr]).request() };
        if set.is_none() {
            let named = |matcher| answer(IPSETS.at(&[]), vec![Expect::new("", matcher)]);
            let there = named(Matcher::HasItem("name".to_owned(), SET.to_owned()));
            deed.ops.push(call_until(IPSET_CREATE.at(&[]).set("name", SET), there.clone()));
            deed.ops.push(check(there, "the set was made and is not listed"));
            let gone = named(Matcher::LacksItem("name".to_owned(), SET.to_owned()));
            deed.undo.insert(0, call_until(IPSET_DELETE.at(&[SET]), gone));
        }
        let entries: Vec<(&String, IpNet, &str, bool)> = set
            .into_iter()
            .flat_map(|set| &set.entries)
            .filter_map(|(text, entry)| Some((text, read(text)?, entry.comment.as_str(), entry.nomatch)))
            .collect();
        for network in &self.firewall.allow_from {
            if entries.iter().any(|(_, known, _, nomatch)| known == network && !nomatch) {
                continue;
            }
            let cidr = written(*network);
            deed.ops.push(call_until(add(&cidr, &comment), look(has(&cidr))));
            deed.ops.push(check(look(has(&cidr)), format!("{cidr} was added to `{SET}` and is not in it")));
            deed.undo.insert(0, call_until(remove(&cidr), look(lacks(&cidr))));
        }
        for (text, network, comment, _) in entries {
            if self.is_ours(comment) && !self.firewall.allow_from.contains(&network) {
                deed.ops.push(call_until(remove(text), look(lacks(text))));
                deed.undo.insert(0, call_until(add(text, comment), look(has(text))));
            }
        }
        deed
    }

    /// Policy and switch in one call, the last of all.
    fn options(there: &ClusterFirewall, current: &Fields, wanted: &Fields) -> Deed {
        let names = ["enable", "policy_in"].into_iter().filter(|name| current.get(*name) != wanted.get(*name));
        let names: Vec<&str> = names.collect();
        let mut deed = Deed { ops: Vec::new(), undo: Vec::new() };
        if names.is_empty() {
            return deed;
        }
        let expect = names.iter().map(|name| equals(name, &wanted[*name])).collect();
        let set = answer(CLUSTER_FIREWALL_OPTIONS.at(&[]), expect);
        let values = names.iter().map(|name| (*name, &wanted[*name]));
        deed.ops.push(call_until(CLUSTER_FIREWALL_OPTIONS_SET.at(&[]).set_all(values), set.clone()));
        deed.ops.push(check(set, "the firewall options read back differently"));
        let (was, was_not): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| there.options.contains_key(*name));
        let mut back =
            CLUSTER_FIREWALL_OPTIONS_SET.at(&[]).set_all(was.iter().map(|name| (*name, &there.options[*name])));
        if !was_not.is_empty() {
            back = back.set("delete", was_not.join(","));
        }
        let absent = was_not.iter().map(|name| Expect::new(*name, Matcher::Absent));
        let present = was.iter().map(|name| equals(name, &there.options[*name]));
        let undone = answer(CLUSTER_FIREWALL_OPTIONS.at(&[]), absent.chain(present).collect());
        deed.undo.push(call_until(back, undone));
        deed
    }

    fn notes(&self, context: &Context<'_>, there: &ClusterFirewall) -> Vec<String> {
        let site = self.site();
        let mut notes = Vec::new();
        if !in_force(context, site) {
            let nodes = context.observed.sites[site].nodes.value();
            let nodes = nodes.map(|nodes| nodes.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "));
            notes.push(format!(
                "the datacenter firewall of {site} is switched on: from then on every node of it ({}) drops what nobody \
                 allowed, the rules of all guests whose firewall is on are enforced, and the hosts' own network \
                 (`local_network`) may manage them, which is Proxmox's own rule",
                nodes.as_deref().unwrap_or("they were not read"),
            ));
            notes.extend(consequences(self.blueprint, site, context.observed));
        }
        let others = there.ipsets.get(SET).into_iter().flat_map(|set| &set.entries);
        let others: Vec<&str> = others
            .filter(|(text, entry)| {
                let wanted = read(text).is_some_and(|network| self.firewall.allow_from.contains(&network));
                !wanted && !self.is_ours(&entry.comment)
            })
            .map(|(text, _)| text.as_str())
            .collect();
        if !others.is_empty() {
            notes.push(format!(
                "entries of `{SET}` of {site} that are not ours stay as they are: {}",
                others.join(", ")
            ));
        }
        if !there.rules.is_empty() {
            let rules: Vec<String> = there.rules.iter().map(show).collect();
            notes.push(format!(
                "rules of the datacenter of {site}, none of them ours, count before `{SET}`: {}",
                rules.join("; ")
            ));
        }
        notes
    }

    /// Hosts that must be reached anew: all of the site that answer now.
    fn reached(&self, context: &Context<'_>) -> Vec<HostName> {
        let hosts = self.blueprint.hosts.values().filter(|host| host.site == self.host.site);
        let up = hosts.filter(|host| {
            context.observed.hosts.get(&host.name).is_some_and(|there| there.online.value() == Some(&true))
        });
        up.map(|host| host.name.clone()).collect()
    }

    /// Why any host of the site would be lost; that of one is enough.
    fn lost(&self, context: &Context<'_>, there: &ClusterFirewall) -> Option<Finding> {
        let declared = self.blueprint.hosts.values().filter(|host| host.site == self.host.site);
        declared.filter_map(|host| Some((host, host.firewall.as_ref()?))).find_map(|(host, firewall)| {
            let operator = context.observed.hosts.get(&host.name)?.entrance.operator.value().copied();
            lockout(context.observed, host, firewall).or_else(|| kept_out(there, operator?, host, firewall))
        })
    }
}

impl Resource for Datacenter<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::DatacenterFirewall, self.site())
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let fact = &context.observed.sites[self.site()].firewall;
        let Some(there) = fact.value().filter(|_| fact.is_complete()) else {
            return Finding::Gap {
                why: format!("firewall of `{}`: {}", self.site(), fact.why().unwrap_or("not known")),
            };
        };
        let (current, desired) = (self.current(there), self.wanted());
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        if let Some(finding) = self.lost(context, there) {
            return finding;
        }
        if let Some(problem) = stale_policy(there, self.host).filter(|_| !in_force(context, self.site())) {
            return Finding::Refused(problem.into());
        }
        let set = self.set(there.ipsets.get(SET));
        let options = Self::options(there, &current, &desired);
        let guard = |present, in_force| FirewallGuard {
            files: vec![(FILE.to_owned(), present)],
            in_force,
            hosts: self.reached(context),
        };
        let ops: Vec<Op> = set.ops.into_iter().chain(options.ops).collect();
        // What it was last is taken back first.
        let undo: Vec<Op> = options.undo.into_iter().chain(set.undo).collect();
        let ops = guard(there.present, true).around(ops);
        let title = format!("set the datacenter firewall of {}", self.site());
        let mut step = step(&addr, "set", title, &self.host.name, ops);
        step.undo = Undo::Ops { ops: guard(true, true).around(undo) };
        step.risk = Risk::Reachability;
        let hosts = self.blueprint.hosts.values().filter(|host| host.site == self.host.site);
        step.needs = hosts.map(|host| set_step(&host.name)).collect();
        step.exclusive = vec![format!("{}/firewall", self.site())];
        let mut change = change(addr, Action::Update, &differences, context.memory);
        (change.risk, change.via) = (Risk::Reachability, step.via);
        let seen = format!("{there:?}");
        Finding::Changed(Changed { change, steps: vec![step], desired, seen, notes: self.notes(context, there) })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // A site outlives its inventory, and is not to be opened by its end.
        None
    }
}
