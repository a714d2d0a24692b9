//! `firewall_group`: a security group of the datacenter that guests share.

use super::difference::{Fields, between, change};
use super::operations::{answer, call, call_until, check, step};
use super::ownership::{is_marked, marked};
use super::rules::{Place, api_rule, fields, rewrite};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, GuestShape, Host, SecurityGroup};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk};
use crate::model::observed::FirewallRule;
use crate::model::step::{Expect, Matcher, Op, StepId, Undo};
use crate::model::{Addr, GroupName, HostName, Kind};
use crate::proxmox::endpoints::{GROUP_CREATE, GROUP_DELETE, GROUP_RULE, GROUP_RULE_CREATE, GROUP_RULE_DELETE, GROUPS};
use crate::proxmox::firewall_file;

struct Group<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    group: &'a SecurityGroup,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut groups: Vec<Box<dyn Resource + '_>> = Vec::new();
    for (site, host) in blueprint.sites() {
        for group in blueprint.groups.values() {
            let used = blueprint
                .guests
                .values()
                .any(|guest| blueprint.host_of(guest).site == site && guest.firewall.groups.contains(&group.name));
            if used {
                groups.push(Box::new(Group { blueprint, host, group }));
            }
        }
    }
    groups
}

/// The address of a group of a site.
pub fn addr(site: &str, group: &GroupName) -> Addr {
    Addr::placed(Kind::FirewallGroup, site, group)
}

/// Where a group's rules are.
pub fn place<'a>(at: &'a [&'a str]) -> Place<'a> {
    Place { create: &GROUP_RULE_CREATE, read: &GROUP_RULE, delete: &GROUP_RULE_DELETE, at }
}

/// The steps that a guest's firewall has to wait for.
pub fn steps(site: &str, group: &GroupName) -> [StepId; 2] {
    let addr = addr(site, group);
    [StepId::new(&addr, "create"), StepId::new(&addr, "update")]
}

impl Group<'_> {
    /// PVE keeps and compares group names in lower case.
    fn name(&self) -> String {
        self.group.name.as_str().to_lowercase()
    }

    fn comment(&self) -> String {
        marked(&self.blueprint.name, &self.group.comment)
    }

    fn rules(&self) -> Vec<FirewallRule> {
        self.group.rules.iter().map(api_rule).collect()
    }
}

fn all_fields(comment: &str, rules: &[FirewallRule]) -> Fields {
    let mut all = fields(rules);
    all.insert("comment".to_owned(), comment.to_owned());
    all
}

impl Resource for Group<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.site, &self.group.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let (addr, name) = (self.addr(), self.name());
        let new = self.rules();
        let desired = all_fields(&self.comment(), &new);
        let firewall = &context.observed.sites[&self.host.site].firewall;
        let Some(all) = firewall.value().filter(|_| firewall.is_complete()) else {
            return Finding::Gap {
                why: format!("firewall of `{}`: {}", self.host.site, firewall.why().unwrap_or("not known")),
            };
        };
        let listed = answer(GROUPS.at(&[]), vec![Expect::new("", Matcher::HasItem("group".into(), name.clone()))]);
        let Some(there) = firewall_file::group(all, &name) else {
            let request = GROUP_CREATE.at(&[]).set("group", &name).set("comment", self.comment());
            let mut ops = vec![call_until(request, listed.clone())];
            ops.extend(rewrite(place(&[&name]), &[], &new));
            ops.push(check(listed, "the group was created and is not listed"));
            let mut step = step(&addr, "create", format!("create firewall group {name}"), &self.host.name, ops);
            let mut undo = rewrite(place(&[&name]), &new, &[]);
            undo.push(call(GROUP_DELETE.at(&[&name])));
            step.undo = Undo::Ops { ops: undo };
            step.exclusive = vec![format!("{}/firewall", self.host.site)];
            return Finding::Changed(Changed {
                change: change(addr, Action::Create, &between(&Fields::new(), &desired), context.memory),
                steps: vec![step],
                desired,
                seen: "absent".into(),
                notes: Vec::new(),
            });
        };
        let current = all_fields(&there.comment, &there.rules);
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
        if there.comment != self.comment() {
            let rename =
                |comment: &str| GROUP_CREATE.at(&[]).set("group", &name).set("rename", &name).set("comment", comment);
            ops.push(call(rename(&self.comment())));
            undo.push(call(rename(&there.comment)));
        }
        ops.extend(rewrite(place(&[&name]), &there.rules, &new));
        undo.extend(rewrite(place(&[&name]), &new, &there.rules));
        ops.push(check(listed, "the group is not listed any more"));
        let mut step = step(&addr, "update", format!("rewrite firewall group {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        step.risk = Risk::Reachability;
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        let mut change = change(addr, Action::Update, &differences, context.memory);
        change.risk = Risk::Reachability;
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let name = self.name();
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
        step.needs = self
            .blueprint
            .guests
            .values()
            .filter(|guest| guest.firewall.groups.contains(&self.group.name))
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
    Diagnostic::error(
        "plan.foreign-firewall-group",
        format!("firewall group `{}` exists, is not ours, and has other rules", group.name()),
    )
    .at(group.group.span, "wanted here")
    .cause(if comment.is_empty() {
        "its comment does not name us".into()
    } else {
        format!("its comment is `{comment}`")
    })
    .hint(format!("use another name, or adopt it: end its comment with `{}`", group.comment()))
}
