//! The plan checked against itself, whoever made it: the last look before anything runs, and the
//! first at a plan that was read from a file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, order};
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::Vmid;
use crate::model::change::{Action, Risk};
use crate::model::guard::{Guard, GuardAct};
use crate::model::observed::Observed;
use crate::model::step::{Condition, Op, Step, StepId, Undo};
use crate::ports::{Method, Request};
use crate::resources::{FIREWALL_PREFIX, FirewallObject as Object, Ways, decides_who_gets_in};

/// Every contradiction of a plan with itself.
#[must_use]
pub fn lint(plan: &Plan) -> Diagnostics {
    let mut problems = Diagnostics::new();
    let mut fault = |what: String| {
        problems.push(
            Diagnostic::error("plan.contradiction", what).hint("make the plan anew; if it comes back, report it"),
        );
    };
    let mut seen: BTreeSet<&StepId> = BTreeSet::new();
    for step in &plan.steps {
        if !seen.insert(&step.id) {
            fault(format!("step {} is in it twice", step.id));
        }
        if let Some(need) = step.needs.iter().find(|need| !seen.contains(need)) {
            fault(format!("step {} comes before {need}, which it needs", step.id));
        }
        if step.ops.is_empty() {
            fault(format!("step {} does nothing", step.id));
        }
        if !plan.changes.iter().any(|change| change.addr == step.addr) {
            fault(format!("step {} belongs to {}, which does not change", step.id, step.addr));
        }
        if destroys(step) && step.risk != Risk::DataLoss {
            fault(format!("step {} removes a guest or dataset and does not say so", step.id));
        }
        for (ops, what) in [(step.ops.as_slice(), "does"), (undo_of(step), "takes back")] {
            if let Some(why) = unguarded(ops, &cuts) {
                fault(format!("step {} {what} something that can cut our own path: {why}", step.id));
            }
        }
        if let Some(request) = lying_look(step) {
            fault(format!("step {} looks with `{request}`, which changes something", step.id));
        }
    }
    for change in &plan.changes {
        if change.action != Action::None && !plan.steps.iter().any(|step| step.addr == change.addr) {
            fault(format!("{} changes without a step", change.addr));
        }
        if !plan.preconditions.contains_key(&change.addr) {
            fault(format!("{} changes without a precondition", change.addr));
        }
    }
    if let Err(cycle) = order(plan.steps.clone()) {
        fault(cycle.to_string());
    }
    problems
}

/// What a plan changes outside of a guard although it can cut us off here: firewalls of guests that we come through,
/// and whatever rules of theirs or of a host name. Which those are, only what was observed tells.
#[must_use]
pub fn lint_ways(plan: &Plan, blueprint: &Blueprint, observed: &Observed) -> Diagnostics {
    let ways = Ways::of(blueprint, observed);
    let mut known: BTreeMap<(String, Object), bool> = BTreeMap::new();
    let mut problems = Diagnostics::new();
    for step in &plan.steps {
        let Some(host) = blueprint.hosts.get(&step.host) else { continue };
        let site = host.site.as_str();
        let numbers = ways.numbers(blueprint, site);
        let there = |vmid: &Vmid| {
            let guests = observed.sites.get(site).and_then(|site| site.guests.value());
            guests.is_some_and(|guests| guests.contains_key(vmid))
        };
        let decided: BTreeSet<Object> = step.requests().filter_map(object).collect();
        for object in decided {
            let decides = || decides_who_gets_in(blueprint, observed, site, &object);
            known.entry((site.to_owned(), object.clone())).or_insert_with(decides);
        }
        let cuts = |request: &Request| {
            let decides = |object: Object| known.get(&(site.to_owned(), object)).copied().unwrap_or_default();
            let guest = of_guest(request).filter(|vmid| numbers.contains(vmid) && there(vmid));
            request.method != Method::Get && (guest.is_some() || object(request).is_some_and(decides))
        };
        if let Some(why) = unguarded(&step.ops, &cuts) {
            let what = format!("step {} does something that can cut our own way in: {why}", step.id);
            problems.push(
                Diagnostic::error("plan.contradiction", what).hint("make the plan anew; if it comes back, report it"),
            );
        }
    }
    problems
}

/// The guest whose firewall a request is about.
fn of_guest(request: &Request) -> Option<Vmid> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let ["nodes", _, "qemu" | "lxc", vmid, "firewall", ..] = parts[..] else { return None };
    vmid.parse::<u32>().ok()?.try_into().ok()
}

/// What of the datacenter's firewall a request is about.
fn object(request: &Request) -> Option<Object> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let ["cluster", "firewall", what, rest @ ..] = &parts[..] else { return None };
    let key = if *what == "groups" { "group" } else { "name" };
    let given = request.params.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let name = rest.first().copied().or(given)?.to_ascii_lowercase();
    match *what {
        "aliases" => Some(Object::Alias(name)),
        "ipset" => Some(Object::Set(name)),
        "groups" => Some(Object::Group(name)),
        _ => None,
    }
}

/// Whether a step's own operations (not its undo) remove something that holds data.
fn destroys(step: &Step) -> bool {
    // The torso of an interrupted create has no data; it is removed right before its create.
    let recreates =
        step.ops.iter().any(|op| matches!(op, Op::Exec { argv } if argv.iter().any(|word| word == "unlock")))
            && !matches!(step.undo, Undo::Irreversible { .. });
    !recreates
        && step.ops.iter().any(|op| match op {
            Op::Task { request, .. } | Op::Call { request, .. } | Op::Obtain { request, .. } => {
                let parts: Vec<&str> = request.path.split('/').skip(1).collect();
                request.method == Method::Delete && matches!(parts[..], ["nodes", _, "qemu" | "lxc", _])
            }
            Op::Exec { argv } => matches!(&argv[..], [zfs, destroy, ..] if zfs == "zfs" && destroy == "destroy"),
            Op::PutFile { .. } | Op::Await { .. } | Op::Guard { .. } => false,
        })
}

fn undo_of(step: &Step) -> &[Op] {
    if let Undo::Ops { ops } = &step.undo { ops } else { &[] }
}

/// What is wrong with how a list guards what can cut our own path, if anything (safety rule 6).
fn unguarded(ops: &[Op], cuts: &dyn Fn(&Request) -> bool) -> Option<String> {
    let mut armed: Option<&Guard> = None;
    let mut reconnected = false;
    for op in ops {
        match (op, armed) {
            (Op::Guard { guard, act: GuardAct::Arm }, None) => (armed, reconnected) = (Some(guard), false),
            (Op::Guard { guard, act: GuardAct::Reconnect { hosts, .. } }, Some(held)) if guard == held => {
                reconnected = !hosts.is_empty();
            }
            (Op::Guard { guard, act: GuardAct::Disarm }, Some(held)) if guard == held && reconnected => armed = None,
            // A look whether a host still lets us in, with nothing of the host's armed: it changes nothing.
            (Op::Guard { guard, act: GuardAct::Reconnect { .. } }, None) if guard.seconds == 0 => {}
            (Op::Guard { .. }, _) => {
                return Some("its guard is not armed, tried by connecting anew and disarmed".into());
            }
            (Op::Call { request, .. } | Op::Task { request, .. } | Op::Obtain { request, .. }, held)
                if cuts(request) =>
            {
                if held.is_none() {
                    return Some(format!("{} {} stands outside of a guard", request.method, request.path));
                }
                // What was tried before it says nothing about it.
                reconnected = false;
            }
            _ => {}
        }
    }
    armed.map(|guard| format!("{} is never disarmed", guard.unit()))
}

/// Whether a request changes who gets in at a host. Aliases and sets that follow from flows are guests' alone: no rule
/// of a host names them.
fn cuts(request: &Request) -> bool {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let named = |name: &str| request.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let of_flows = |name: Option<&str>| {
        name.is_some_and(|name| name.starts_with(FIREWALL_PREFIX))
            && named("rename").is_none_or(|old| Some(old) == name)
    };
    request.method != Method::Get
        && match parts[..] {
            ["cluster", "firewall", "ipset" | "aliases"] => !of_flows(named("name")),
            ["cluster", "firewall", "ipset" | "aliases", name, ..] => !of_flows(Some(name)),
            ["cluster", "firewall", what, ..] => matches!(what, "options" | "rules"),
            ["nodes", _, "firewall" | "network", ..] => true,
            _ => false,
        }
}

/// A look that would change something, if any.
fn lying_look(step: &Step) -> Option<String> {
    let harmless = |condition: &Condition| match condition {
        Condition::Answer { request, .. } => request.method == Method::Get,
        Condition::Answers { request } => {
            let looks = ["/agent/ping", "/tailnet/policy/check"];
            request.method == Method::Get || looks.iter().any(|path| request.path.ends_with(path))
        }
        Condition::Output { .. } => true,
    };
    let looks = step.ops.iter().filter_map(|op| match op {
        Op::Call { landed, .. } | Op::Task { landed, .. } => landed.as_ref(),
        Op::Await { condition, .. } => Some(condition),
        Op::Obtain { .. } | Op::Exec { .. } | Op::PutFile { .. } | Op::Guard { .. } => None,
    });
    looks.filter(|condition| !harmless(condition)).find_map(|condition| match condition {
        Condition::Answer { request, .. } | Condition::Answers { request } => {
            Some(format!("{} {}", request.method, request.path))
        }
        Condition::Output { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::step;
    use super::*;
    use crate::plan::Memory;
    use crate::proxmox::endpoints::CLUSTER_FIREWALL_OPTIONS_SET;

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            format: Plan::FORMAT,
            infra: String::new(),
            inventory: "t".parse().unwrap(),
            scope: crate::plan::Scope::default(),
            changes: Vec::new(),
            steps,
            preconditions: std::collections::BTreeMap::new(),
            orphans: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            memory: Memory::new(),
        }
    }

    fn said(plan: &Plan) -> String {
        lint(plan).iter().map(|problem| problem.summary.clone()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn removal_of_a_guest_says_that_data_goes() {
        let mut remove = step("a", &[]);
        remove.ops = vec![Op::Exec { argv: vec!["zfs".into(), "destroy".into(), "rpool/x".into()] }];
        assert!(said(&plan(vec![remove.clone()])).contains("does not say so"));
        remove.risk = Risk::DataLoss;
        assert!(!said(&plan(vec![remove])).contains("does not say so"));
    }

    #[test]
    fn what_can_cut_our_own_path_stands_in_a_guard_and_is_tried_before_it_is_disarmed() {
        let guard = Guard { name: "firewall".into(), files: Vec::new(), then: Vec::new(), seconds: 300 };
        let part = |act| Op::Guard { guard: guard.clone(), act };
        let change =
            || Op::Call { request: CLUSTER_FIREWALL_OPTIONS_SET.at(&[]).set("enable", 1).request(), landed: None };
        let again = || GuardAct::Reconnect { hosts: vec!["hq".parse().unwrap()], after_s: 0, within_s: 1 };
        let whole = vec![part(GuardAct::Arm), change(), part(again()), part(GuardAct::Disarm)];
        assert_eq!(unguarded(&whole, &cuts), None);
        for wrong in [
            vec![change()],
            vec![part(GuardAct::Arm), change(), part(GuardAct::Disarm)],
            vec![part(GuardAct::Arm), change(), part(again())],
            vec![part(GuardAct::Arm), part(again()), change(), part(GuardAct::Disarm)],
            vec![part(GuardAct::Arm), change(), part(again()), part(GuardAct::Disarm), change()],
        ] {
            assert!(unguarded(&wrong, &cuts).is_some(), "{wrong:?}");
            let mut step = step("a", &[]);
            step.undo = Undo::Ops { ops: wrong };
            assert!(said(&plan(vec![step])).contains("takes back something that can cut our own path"));
        }
    }

    #[test]
    fn sets_and_aliases_of_flows_cut_nobody_off_and_all_others_may() {
        use crate::proxmox::endpoints::{ALIAS_UPDATE, IPSET_CREATE, IPSET_ENTRY_CREATE};
        let entry = |set: &str| cuts(&IPSET_ENTRY_CREATE.at(&[set]).set("cidr", "10.0.0.1").request());
        assert!(!entry("infra_test_guests") && entry("management") && entry("blacklist"));
        assert!(!cuts(&IPSET_CREATE.at(&[]).set("name", "infra_test_guests").request()));
        let renamed = IPSET_CREATE.at(&[]).set("name", "infra_test_guests").set("rename", "management");
        assert!(cuts(&renamed.request()));
        assert!(cuts(&ALIAS_UPDATE.at(&["local_network"]).set("cidr", "10.0.0.0/8").request()));
    }

    #[test]
    fn order_and_repetition_are_looked_at() {
        let said = said(&plan(vec![step("b", &["a"]), step("a", &[]), step("a", &[])]));
        assert!(said.contains("ct.b/x comes before ct.a/x"), "{said}");
        assert!(said.contains("ct.a/x is in it twice"), "{said}");
        assert!(said.contains("ct.a/x does nothing"), "{said}");
    }
}
