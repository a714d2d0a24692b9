//! `dns_records`: the names of an inventory among the host overrides of an OPNsense, one resource per inventory.
//!
//! Overrides of others are never touched, and one of the same name is refused with both. Unbound reads what was written
//! only when it is told to, and nothing in the API says whether it was: so the first override that is written says in
//! its description that it is not in force yet, until it is, and what is to go is switched off first and removed after.
//! Whatever a run that was killed left, the next plan sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::difference::{Fields, between, change};
use super::operations::{answer, call, call_until, check, step};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host, OpnSense};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Risk};
use crate::model::opnsense::{Override, OverrideAlias};
use crate::model::step::{Condition, Expect, Matcher, Op, Step, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::opnsense::requests::{self, line};
use crate::opnsense::{is_ours, marked, split, uuid, waiting};

struct DnsRecords<'a> {
    blueprint: &'a Blueprint,
    router: &'a OpnSense,
    /// Whose door the router is asked through, and whose lease is held.
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let (Some(router), Some(host)) = (&blueprint.dns.opnsense, blueprint.hosts.values().next()) else {
        return Vec::new();
    };
    vec![Box::new(DnsRecords { blueprint, router, host })]
}

/// What is written, in which order.
#[derive(Default)]
struct Draft<'s> {
    /// To be written, each with what is there under its id.
    set: Vec<(Override, Option<&'s Override>)>,
    /// To be removed.
    gone: Vec<&'s Override>,
}

impl DnsRecords<'_> {
    fn owner(&self) -> &str {
        self.blueprint.name.as_str()
    }

    /// Every override that there shall be, by name and kind, under the id that it would be made with.
    fn wanted(&self) -> BTreeMap<(String, &'static str), Override> {
        let all = self.router.zones.iter().flat_map(|(zone, records)| records.iter().map(move |record| (zone, record)));
        let all = all.map(|(zone, (label, address))| {
            let kind = if matches!(address, IpAddr::V4(_)) { "A" } else { "AAAA" };
            let (hostname, domain) = split(label, zone);
            let mut wanted = Override {
                enabled: true,
                hostname,
                domain,
                kind: kind.to_owned(),
                address: address.to_string(),
                description: marked(self.owner()),
                ..Override::default()
            };
            wanted.uuid = uuid(self.owner(), &wanted.name(), kind);
            ((wanted.name(), kind), wanted)
        });
        all.collect()
    }

    /// Overrides and aliases of others that answer for a name of ours, in force or not in force.
    fn collisions<'s>(
        &self,
        wanted: &BTreeMap<(String, &'static str), Override>,
        overrides: &'s [Override],
        aliases: &'s [OverrideAlias],
    ) -> Vec<(&'s str, String, String)> {
        let names: BTreeSet<&str> = wanted.keys().map(|(name, _)| name.as_str()).collect();
        let foreign = overrides.iter().filter(|there| there.enabled && !is_ours(self.owner(), there));
        let foreign = foreign.filter(|there| matches!(there.kind.as_str(), "A" | "AAAA")).map(|there| {
            (there.description.as_str(), there.name(), format!("{} {} {}", there.name(), there.kind, there.address))
        });
        let aliases = aliases.iter().filter(|there| there.enabled);
        let aliases = aliases.map(|there| {
            (there.description.as_str(), there.name(), format!("{}, an alias of {}", there.name(), there.of))
        });
        foreign.chain(aliases).filter(|(_, name, _)| names.contains(name.as_str())).collect()
    }

    fn problem(&self, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error("plan.dns-records", summary).at(self.router.span, "")
    }

    /// What stands in the way of writing, if anything does.
    fn refusal(
        &self,
        wanted: &BTreeMap<(String, &'static str), Override>,
        draft: &Draft<'_>,
        overrides: &[Override],
        aliases: &[OverrideAlias],
    ) -> Option<Diagnostic> {
        let collisions = self.collisions(wanted, overrides, aliases);
        if let Some((_, name, _)) = collisions.first() {
            let mut problem =
                self.problem(format!("the OPNsense has an override for `{name}` that is not of this inventory"));
            for (description, name, there) in &collisions {
                let ours = wanted.iter().filter(|((own, _), _)| own == name);
                let ours: Vec<String> = ours.map(|(_, own)| format!("{} {}", own.kind, own.address)).collect();
                let described = if description.is_empty() { String::new() } else { format!(" (`{description}`)") };
                problem = problem.cause(format!("there: {there}{described}; here: {}", ours.join(", ")));
            }
            return Some(
                problem
                    .hint("remove it there under Services, Unbound DNS, Overrides; or leave the name to it and take it out of the zone"),
            );
        }
        let hangs = |there: &Override| {
            let found =
                aliases.iter().find(|alias| alias.of == there.uuid || alias.of.eq_ignore_ascii_case(&there.name()));
            found.map(|alias| (there.name(), alias.name()))
        };
        let (name, alias) = draft.gone.iter().find_map(|there| hangs(there))?;
        Some(
            self.problem(format!("`{name}` is to go, and somebody has made `{alias}` an alias of it there"))
                .cause("an OPNsense removes the aliases of an override with it")
                .hint(format!("remove the alias `{alias}` there, or keep `{name}`")),
        )
    }

    fn draft<'s>(&self, wanted: &BTreeMap<(String, &'static str), Override>, overrides: &'s [Override]) -> Draft<'s> {
        let ours: Vec<&Override> = overrides.iter().filter(|there| is_ours(self.owner(), there)).collect();
        let mut draft = Draft::default();
        let mut kept: BTreeSet<&str> = BTreeSet::new();
        for ((name, kind), own) in wanted {
            let same = || ours.iter().filter(|there| there.name() == *name && there.kind == *kind);
            let there = same().find(|there| there.uuid == own.uuid).or_else(|| same().next()).copied();
            // Under an id of ours may stand what somebody made something else of.
            let there = there.or_else(|| overrides.iter().find(|there| there.uuid == own.uuid));
            let own =
                Override { uuid: there.map_or_else(|| own.uuid.clone(), |there| there.uuid.clone()), ..own.clone() };
            kept.extend(there.map(|there| there.uuid.as_str()));
            if there.is_none_or(|there| line(there) != line(&own)) {
                draft.set.push((own, there));
            }
        }
        draft.gone = ours.into_iter().filter(|there| !kept.contains(there.uuid.as_str())).collect();
        draft
    }

    /// What is there of ours, field by field.
    fn fields<'s>(&self, there: impl Iterator<Item = &'s Override>) -> Fields {
        let mut fields = Fields::from([("in_force".to_owned(), "yes".to_owned())]);
        for own in there {
            let mut value = own.address.clone();
            if !own.enabled {
                value.push_str(", switched off");
            }
            if own.description == waiting(self.owner()) {
                fields.insert("in_force".to_owned(), "not yet".to_owned());
            } else if own.description != marked(self.owner()) {
                value.push_str(", without our mark");
            }
            let mut path = format!("{} {}", own.name(), own.kind);
            while fields.contains_key(&path) {
                path.push_str(" again");
            }
            fields.insert(path, value);
        }
        fields
    }

    fn write(&self, addr: &Addr, title: String, draft: &Draft<'_>) -> Step {
        let mut ops = Vec::new();
        let mut undo = Vec::new();
        for (index, (own, there)) in draft.set.iter().enumerate() {
            let mut first = own.clone();
            if index == 0 {
                first.description = waiting(self.owner());
            }
            ops.push(set(&first));
            undo.push(match there {
                Some(there) => set(there),
                None => remove(&own.uuid),
            });
        }
        for there in &draft.gone {
            ops.push(set(&Override { enabled: false, ..(*there).clone() }));
            undo.push(set(there));
        }
        ops.push(call(requests::reconfigure()));
        undo.push(call(requests::reconfigure()));
        ops.extend(draft.gone.iter().map(|there| remove(&there.uuid)));
        ops.extend(draft.set.first().map(|(own, _)| set(own)));
        if !draft.set.is_empty() || !draft.gone.is_empty() {
            let written = draft.set.iter().map(|(own, _)| Expect::new("", is(own)));
            let gone = draft.gone.iter().map(|there| Expect::new("", lacks(&there.uuid)));
            let all = answer(requests::overrides(), written.chain(gone).collect());
            ops.push(check(all, "the OPNsense does not hold what was written"));
        }
        let mut step = step(addr, "write", title, &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        step.risk = Risk::Reachability;
        step.exclusive = vec!["opnsense/unbound".to_owned()];
        step
    }
}

fn is(own: &Override) -> Matcher {
    Matcher::HasItem("line".to_owned(), line(own))
}

fn lacks(uuid: &str) -> Matcher {
    Matcher::LacksItem("uuid".to_owned(), uuid.to_owned())
}

fn landed(matcher: Matcher) -> Condition {
    answer(requests::overrides(), vec![Expect::new("", matcher)])
}

fn set(own: &Override) -> Op {
    call_until(requests::set(own), landed(is(own)))
}

fn remove(uuid: &str) -> Op {
    call_until(requests::remove(uuid), landed(lacks(uuid)))
}

impl Resource for DnsRecords<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::DnsRecords, &self.blueprint.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let seen = &context.observed.opnsense;
        let (overrides, aliases) = match (&seen.overrides, &seen.aliases) {
            (overrides, aliases) if overrides.is_complete() && aliases.is_complete() => {
                (overrides.value(), aliases.value())
            }
            (overrides, aliases) => {
                let why = overrides.why().or(aliases.why()).unwrap_or("it is not known");
                return Finding::Gap { why: format!("the OPNsense: {why}") };
            }
        };
        let (Some(overrides), Some(aliases)) = (overrides, aliases) else {
            return Finding::Gap { why: "the OPNsense is not known".to_owned() };
        };
        let wanted = self.wanted();
        let draft = self.draft(&wanted, overrides);
        if let Some(problem) = self.refusal(&wanted, &draft, overrides, aliases) {
            return Finding::Refused(problem.into());
        }
        let desired = self.fields(wanted.values());
        if draft.set.is_empty() && draft.gone.is_empty() {
            return Finding::Unchanged { desired };
        }
        let ours: Vec<&Override> = overrides.iter().filter(|there| is_ours(self.owner(), there)).collect();
        let current = if ours.is_empty() { Fields::new() } else { self.fields(ours.iter().copied()) };
        let (action, title) = if ours.is_empty() {
            (Action::Create, format!("write the names of {} into the OPNsense", self.owner()))
        } else {
            (Action::Update, format!("change names of {} in the OPNsense", self.owner()))
        };
        let mut change = change(addr.clone(), action, &between(&current, &desired), context.memory);
        change.risk = Risk::Reachability;
        Finding::Changed(Changed {
            change,
            steps: vec![self.write(&addr, title, &draft)],
            desired,
            seen: ours.iter().map(|there| line(there)).collect::<Vec<_>>().join("\n"),
            notes: vec!["the OPNsense restarts Unbound for it: for some seconds it answers for no name".to_owned()],
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let addr = self.addr();
        let overrides = context.observed.opnsense.overrides.value()?;
        let aliases = context.observed.opnsense.aliases.value()?;
        let none = BTreeMap::new();
        let draft = self.draft(&none, overrides);
        if draft.gone.is_empty() {
            return None;
        }
        Some(Removal {
            change: change(addr.clone(), Action::Destroy, &[], context.memory),
            steps: vec![self.write(&addr, format!("remove names of {} from the OPNsense", self.owner()), &draft)],
            holds_data: false,
            seen: draft.gone.iter().map(|there| line(there)).collect::<Vec<_>>().join("\n"),
            refused: self.refusal(&none, &draft, overrides, aliases).into_iter().collect(),
        })
    }
}
