//! `firewall_alias`: a name of the datacenter for a guest's address, which rules and sets of other guests refer to.

use super::difference::{Fields, between, change};
use super::flow_firewall::site_firewall;
use super::operations::{answer, call, call_until, check, equals, step, written_by};
use super::ownership::is_marked;
use super::references::Object;
use super::way_in::guard_if_it_decides;
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk};
use crate::model::observed::{ClusterFirewall, FirewallAlias};
use crate::model::step::{Condition, Expect, Matcher, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::ports::Request;
use crate::proxmox::endpoints::{ALIAS, ALIAS_CREATE, ALIAS_DELETE, ALIAS_UPDATE, ALIASES};

struct Alias<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    name: String,
    wanted: FirewallAlias,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let of_site = |(site, host)| {
        let aliases = site_firewall(blueprint, site).aliases;
        aliases
            .into_iter()
            .map(move |(name, wanted)| Box::new(Alias { blueprint, host, name, wanted }) as Box<dyn Resource>)
    };
    blueprint.sites().into_iter().flat_map(of_site).collect()
}

/// The address of an alias of a site.
pub fn addr(site: &str, name: &str) -> Addr {
    Addr::placed(Kind::FirewallAlias, site, name)
}

/// The steps that what refers to it has to wait for.
pub fn steps(site: &str, name: &str) -> [StepId; 2] {
    written_by(&addr(site, name))
}

fn fields(alias: &FirewallAlias) -> Fields {
    let plain = alias.cidr.strip_suffix("/32").or_else(|| alias.cidr.strip_suffix("/128")).unwrap_or(&alias.cidr);
    Fields::from([("address".to_owned(), plain.to_owned()), ("comment".to_owned(), alias.comment.clone())])
}

/// Whether it is listed, or not any more.
pub fn listed(name: &str, matcher: fn(String, String) -> Matcher) -> Condition {
    answer(ALIASES.at(&[]), vec![Expect::new("", matcher("name".to_owned(), name.to_owned()))])
}

fn make(name: &str, alias: &FirewallAlias) -> Request {
    let call = ALIAS_CREATE.at(&[]).set("name", name).set("cidr", &alias.cidr);
    call.set_maybe("comment", Some(&alias.comment).filter(|text| !text.is_empty())).into()
}

fn set(name: &str, alias: &FirewallAlias) -> Request {
    let call = ALIAS_UPDATE.at(&[name]).set("cidr", &alias.cidr);
    call.set_maybe("comment", Some(&alias.comment).filter(|text| !text.is_empty())).into()
}

impl Alias<'_> {
    fn there<'o>(&self, firewall: &'o ClusterFirewall) -> Option<&'o FirewallAlias> {
        firewall.aliases.get(&self.name)
    }
}

impl Resource for Alias<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.site, &self.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let (addr, name) = (self.addr(), self.name.as_str());
        let desired = fields(&self.wanted);
        let fact = &context.observed.sites[&self.host.site].firewall;
        let Some(all) = fact.value().filter(|_| fact.is_complete()) else {
            return Finding::Gap {
                why: format!("firewall of `{}`: {}", self.host.site, fact.why().unwrap_or("not known")),
            };
        };
        let Some(there) = self.there(all) else {
            let listed = listed(name, Matcher::HasItem);
            let ops = vec![
                call_until(make(name, &self.wanted), listed.clone()),
                check(listed, "the alias was made and is not listed"),
            ];
            let mut step = step(&addr, "create", format!("create alias {name}"), &self.host.name, ops);
            step.undo = Undo::Ops { ops: vec![call(ALIAS_DELETE.at(&[name]))] };
            step.exclusive = vec![format!("{}/firewall", self.host.site)];
            if let Err(gap) = guard_if_it_decides(context, self.host, &Object::Alias(self.name.clone()), &mut step) {
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
        let current = fields(there);
        let differences = between(&current, &desired);
        let marked = is_marked(&self.blueprint.name, &there.comment);
        if differences.iter().all(|difference| difference.path == "comment" && !marked) {
            // The very address that we want, named by somebody else: it may stay theirs.
            return Finding::Unchanged { desired };
        }
        if !marked {
            return Finding::Refused(foreign("alias", name, &there.comment, self.host, &self.wanted.comment).into());
        }
        let is = |alias: &FirewallAlias| answer(ALIAS.at(&[name]), vec![equals("cidr", &alias.cidr)]);
        let ops = vec![
            call_until(set(name, &self.wanted), is(&self.wanted)),
            check(is(&self.wanted), "the alias reads back differently"),
        ];
        let mut step = step(&addr, "update", format!("set alias {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: vec![call_until(set(name, there), is(there))] };
        step.risk = Risk::Reachability;
        step.exclusive = vec![format!("{}/firewall", self.host.site)];
        if let Err(gap) = guard_if_it_decides(context, self.host, &Object::Alias(self.name.clone()), &mut step) {
            return gap;
        }
        let mut change = change(addr, Action::Update, &differences, context.memory);
        (change.risk, change.via) = (Risk::Reachability, step.via);
        let seen = format!("{current:?}");
        Finding::Changed(Changed { change, steps: vec![step], desired, seen, notes: Vec::new() })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let all = context.observed.sites[&self.host.site].firewall.value()?;
        let there = self.there(all).filter(|there| is_marked(&self.blueprint.name, &there.comment))?;
        let (addr, name) = (self.addr(), self.name.as_str());
        let gone = listed(name, Matcher::LacksItem);
        let ops = vec![call_until(ALIAS_DELETE.at(&[name]), gone.clone()), check(gone, "the alias is still listed")];
        let mut step = step(&addr, "destroy", format!("remove alias {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: vec![call(make(name, there))] };
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

/// Something of the datacenter's firewall that has our name and is not ours.
pub fn foreign(what: &str, name: &str, comment: &str, host: &Host, ours: &str) -> Diagnostic {
    Diagnostic::error(
        "plan.foreign-firewall-object",
        format!(
            "the {what} `{name}` of the datacenter's firewall is there already, is not ours, and says something else"
        ),
    )
    .at(host.span, "wanted for the guests of this host's site")
    .cause(if comment.is_empty() {
        "its comment does not name us".into()
    } else {
        format!("its comment is `{comment}`")
    })
    .hint(format!("remove it, or adopt it: end its comment with `{ours}`"))
}
