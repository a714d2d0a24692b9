//! `firewall_group`: a security group of the datacenter that guests share, written by hand or derived from flows.

use super::difference::{Fields, between, change};
use super::flow_firewall::site_firewall;
use super::operations::{answer, call, call_until, check, step, written_by};
use super::ownership::is_marked;
use super::references::Object;
use super::rules::{Place, fields, fields_among, replace, rewrite};
use super::way_in::guard_if_it_decides;
use super::{Changed, Context, Finding, Removal, Resource, firewall_alias, firewall_ipset};
use crate::blueprint::{Blueprint, GuestShape, Host, SecurityGroup};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk};
use crate::model::observed::{FirewallGroup, FirewallRule};
use crate::model::step::{Expect, Matcher, Op, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::proxmox::endpoints::{
    GROUP_CREATE, GROUP_DELETE, GROUP_RULE, GROUP_RULE_CREATE, GROUP_RULE_DELETE, GROUP_RULE_UPDATE, GROUPS,
};
use crate::proxmox::firewall_file;

struct Group<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    /// As PVE keeps it, in lower case.
    name: String,
    wanted: FirewallGroup,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let of_site = |(site, host)| {
        let groups = site_firewall(blueprint, site).groups;
        groups
            .into_iter()
            .map(move |(name, wanted)| Box::new(Group { blueprint, host, name, wanted }) as Box<dyn Resource>)
    };
    blueprint.sites().into_iter().flat_map(of_site).collect()
}

/// The address of a group of a site: by the name that the inventory gave it.
pub fn addr(site: &str, group: &str) -> Addr {
    Addr::placed(Kind::FirewallGroup, site, group)
}

/// Where a group's rules are.
pub fn place<'a>(at: &'a [&'a str]) -> Place<'a> {
    Place { create: &GROUP_RULE_CREATE, read: &GROUP_RULE, update: &GROUP_RULE_UPDATE, delete: &GROUP_RULE_DELETE, at }
}

/// The steps that a guest's firewall has to wait for, by the group's name as a rule has it.
pub fn steps_of(blueprint: &Blueprint, site: &str, group: &str) -> [StepId; 2] {
    let written = blueprint.groups.keys().find(|name| name.as_str().eq_ignore_ascii_case(group));
    written_by(&addr(site, written.map_or(group, |name| name.as_str())))
}

impl Group<'_> {
    /// The name in the inventory, where it was written by hand.
    fn written(&self) -> Option<&SecurityGroup> {
        self.blueprint.groups.values().find(|group| group.name.as_str().eq_ignore_ascii_case(&self.name))
    }

    /// Steps of sets that its rules refer to.
    fn needs(&self) -> Vec<StepId> {
        referred(&self.wanted.rules, &self.host.site)
    }
}

/// Steps of aliases and sets that rules refer to.
pub fn referred(rules: &[FirewallRule], site: &str) -> Vec<StepId> {
    let ends = rules.iter().flat_map(|rule| ["source", "dest"].into_iter().filter_map(|end| rule.0.get(end)));
    let mut needs = Vec::new();
    for end in ends.flat_map(|end| end.split(',')) {
        let steps = match (end.strip_prefix("+dc/"), end.strip_prefix("dc/")) {
            (Some(set), _) => firewall_ipset::steps(site, set),
            (None, Some(alias)) => firewall_alias::steps(site, alias),
            (None, None) => continue,
        };
        if !needs.contains(&steps[0]) {
            needs.extend(steps);
        }
    }
    needs
}

fn all_fields(comment: &str, rules: &[FirewallRule]) -> Fields {
    let mut all = fields(rules);
    all.insert("comment".to_owned(), comment.to_owned());
    all
}

impl Resource for Group<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.site, self.written().map_or(self.name.as_str(), |group| group.name.as_str()))
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let (addr, name) = (self.addr(), self.name.clone());
        let new = self.wanted.rules.clone();
        let desired = all_fields(&self.wanted.comment, &new);
        let firewall = &context.observed.sites[&self.host.site].firewall;
        let Some(all) = firewall.value().filter(|_| firewall.is_complete()) else {
            return Finding::Gap {
                why: format!("firewall of `{}`: {}", self.host.site, firewall.why().unwrap_or("not known")),
            };
        };
        let listed = answer(GROUPS.at(&[]), vec![Expect::new("", Matcher::HasItem("group".into(), name.clone()))]);
        let Some(there) = firewall_file::group(all, &name) else {
            let request = GROUP_CREATE.at(&[]).set("group", &name).set("comment", &self.wanted.comment);
            let mut ops = vec![call_until(request, listed.clone())];
            ops.extend(rewrite(place(&[&name]), &[], &new));
            ops.push(check(listed, "the group was created and is not listed"));
            let mut step = step(&addr, "create", format!("create firewall group {name}"), &self.host.name, ops);
            let mut undo = rewrite(place(&[&name]), &new, &[]);
            undo.push(call(GROUP_DELETE.at(&[&name])));
            step.undo = Undo::Ops { ops: undo };
            step.needs = self.needs();
            step.exclusive = vec![format!("{}/firewall", self.host.site)];
            if let Err(gap) = guard_if_it_decides(context, self.host, &Object::Group(name), &mut step) {
                return gap;
            }
            return Finding::Changed(Changed {
                change: change(addr, Action::Create, &between(&Fields::new(), &desired), context.memory),
                steps: vec![step],
                desired,
                seen: "absent".into(),
                notes: Vec::new(),
            });
        };
        let mut current = all_fields(&there.comment, &there.rules);
        current.extend(fields_among(&there.rules, &new, |_| true));
        let differences = between(&current, &desired);
        if differences
            .iter()
            .all(|difference| difference.path == "comment" && !is_marked(&self.blueprint.name, &there.comment))
        {
            // The very rules that we want, made by somebody else: they may stay theirs.
            return Finding::Unchanged { desired };
        }
        if !is_marked(&self.blueprint.name, &there.comment) && !interrupted(context, &addr, &there.comment) {
            return Finding::Refused(foreign(self, &there.comment).into());
        }
        let mut ops: Vec<Op> = Vec::new();
        let mut undo: Vec<Op> = Vec::new();
        if there.comment != self.wanted.comment {
            let rename =
                |comment: &str| GROUP_CREATE.at(&[]).set("group", &name).set("rename", &name).set("comment", comment);
            ops.push(call(rename(&self.wanted.comment)));
            undo.push(call(rename(&there.comment)));
        }
        // Guests use it: what is in force meanwhile is the old rules or the new ones, and nothing else.
        ops.extend(replace(place(&[&name]), &there.rules, &new, true, |_| false).ops());
        undo.extend(replace(place(&[&name]), &new, &there.rules, true, |_| false).ops());
        ops.push(check(listed, "the group is not listed any more"));
        let mut step = step(&addr, "update", format!("rewrite firewall group {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        step.risk = Risk::Reachability;
        step.needs = self.needs();
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        if let Err(gap) = guard_if_it_decides(context, self.host, &Object::Group(name), &mut step) {
            return gap;
        }
        let mut change = change(addr, Action::Update, &differences, context.memory);
        (change.risk, change.via) = (Risk::Reachability, step.via);
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let name = self.name.clone();
        let all = context.observed.sites[&self.host.site].firewall.value()?;
        let there = firewall_file::group(all, &name).filter(|there| is_marked(&self.blueprint.name, &there.comment))?;
        let addr = self.addr();
        // PVE refuses to remove a group that still has rules.
        let mut ops = rewrite(place(&[&name]), &there.rules, &[]);
        let gone = answer(GROUPS.at(&[]), vec![Expect::new("", Matcher::LacksItem("group".into(), name.clone()))]);
        ops.push(call_until(GROUP_DELETE.at(&[&name]), gone.clone()));
        ops.push(check(gone, "the group is still listed"));
        let mut step = step(&addr, "destroy", format!("remove firewall group {name}"), &self.host.name, ops);
        let mut undo = vec![call(GROUP_CREATE.at(&[]).set("group", &name).set("comment", &there.comment))];
        undo.extend(rewrite(place(&[&name]), &[], &there.rules));
        step.undo = Undo::Ops { ops: undo };
        // Guests go first: a rule of a guest that names a group which is gone would stop its firewall from compiling.
        let guests =
            self.blueprint.guests.values().filter(|guest| self.blueprint.host_of(guest).site == self.host.site);
        step.needs = guests
            .map(|guest| {
                let kind = if matches!(guest.shape, GuestShape::Vm(_)) { Kind::Vm } else { Kind::Container };
                StepId::new(&Addr::new(kind, &guest.name), "destroy")
            })
            .collect();
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: format!("{:?}", all_fields(&there.comment, &there.rules)),
            refused: Diagnostics::new(),
        })
    }
}

/// Whether our own create was cut off before the comment was there.
fn interrupted(context: &Context<'_>, addr: &Addr, comment: &str) -> bool {
    comment.is_empty() && context.unfinished.contains(&StepId::new(addr, "create"))
}

fn foreign(group: &Group<'_>, comment: &str) -> Diagnostic {
    let span = group.written().map_or(group.host.span, |written| written.span);
    Diagnostic::error(
        "plan.foreign-firewall-group",
        format!("firewall group `{}` exists, is not ours, and has other rules", group.name),
    )
    .at(span, "wanted here")
    .cause(if comment.is_empty() {
        "its comment does not name us".into()
    } else {
        format!("its comment is `{comment}`")
    })
    .hint(format!("use another name, or adopt it: end its comment with `{}`", group.wanted.comment))
}
