//! `firewall_ipset`: a set of the datacenter: all guests, networks that are no internet, who may use a service.

use super::difference::{between, change};
use super::firewall_alias::{self, foreign};
use super::flow_firewall::site_firewall;
use super::ip_set::{DATACENTER, Deed, Set, fields};
use super::operations::{step, written_by};
use super::ownership::is_marked;
use super::references::Object;
use super::way_in::guard_if_it_decides;
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host};
use crate::diag::Diagnostics;
use crate::model::change::{Action, Risk};
use crate::model::observed::FirewallIpSet;
use crate::model::step::{StepId, Undo};
use crate::model::{Addr, HostName, Kind};

struct IpSet<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    name: String,
    wanted: FirewallIpSet,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let of_site = |(site, host)| {
        let sets = site_firewall(blueprint, site).ipsets;
        sets.into_iter()
            .map(move |(name, wanted)| Box::new(IpSet { blueprint, host, name, wanted }) as Box<dyn Resource>)
    };
    blueprint.sites().into_iter().flat_map(of_site).collect()
}

/// The address of a set of a site.
pub fn addr(site: &str, name: &str) -> Addr {
    Addr::placed(Kind::FirewallIpset, site, name)
}

/// The steps that what refers to it has to wait for.
pub fn steps(site: &str, name: &str) -> [StepId; 2] {
    written_by(&addr(site, name))
}

impl IpSet<'_> {
    fn set(&self) -> Set<'_> {
        Set { endpoints: &DATACENTER, at: &[], name: &self.name }
    }
}

impl Resource for IpSet<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.site, &self.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let (addr, name, site) = (self.addr(), self.name.as_str(), &self.host.site);
        let desired = fields(&self.wanted);
        let fact = &context.observed.sites[site].firewall;
        let Some(all) = fact.value().filter(|_| fact.is_complete()) else {
            return Finding::Gap { why: format!("firewall of `{site}`: {}", fact.why().unwrap_or("not known")) };
        };
        let there = all.ipsets.get(name);
        let current = there.map(fields).unwrap_or_default();
        let differences = between(&current, &desired);
        if let Some(there) = there {
            let marked = is_marked(&self.blueprint.name, &there.comment);
            if differences.iter().all(|difference| difference.path == "comment" && !marked) {
                // The very set that we want, made by somebody else: it may stay theirs.
                return Finding::Unchanged { desired };
            }
            // Our own create, cut off before the comment was there.
            let interrupted = there.comment.is_empty() && context.unfinished.contains(&StepId::new(&addr, "create"));
            if !marked && !interrupted {
                return Finding::Refused(foreign("set", name, &there.comment, self.host, &self.wanted.comment).into());
            }
        }
        let Deed { ops, undo } = self.set().turn_into(there, &self.wanted);
        let (what, verb, action) = match there {
            None => ("create", "create", Action::Create),
            Some(_) => ("update", "set members of", Action::Update),
        };
        let mut step = step(&addr, what, format!("{verb} set {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        let aliases = self.wanted.entries.keys().filter_map(|entry| entry.strip_prefix("dc/"));
        step.needs = aliases.flat_map(|alias| firewall_alias::steps(site, alias)).collect();
        step.exclusive = vec![format!("{site}/firewall")];
        if let Err(gap) = guard_if_it_decides(context, self.host, &Object::Set(self.name.clone()), &mut step) {
            return gap;
        }
        let mut change = change(addr, action, &differences, context.memory);
        change.via = step.via;
        if there.is_some() {
            (step.risk, change.risk) = (Risk::Reachability, Risk::Reachability);
        }
        let seen = if there.is_some() { format!("{current:?}") } else { "absent".to_owned() };
        Finding::Changed(Changed { change, steps: vec![step], desired, seen, notes: Vec::new() })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let all = context.observed.sites[&self.host.site].firewall.value()?;
        let there = all.ipsets.get(&self.name).filter(|there| is_marked(&self.blueprint.name, &there.comment))?;
        let addr = self.addr();
        let Deed { ops, undo } = self.set().gone(there);
        let mut step = step(&addr, "destroy", format!("remove set {}", self.name), &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: format!("{:?}", fields(there)),
            refused: Diagnostics::new(),
        })
    }
}
