//! From what should be and what is to what will be done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Gap, Memory, Orphan, Plan, cluster, lint, lint_ways, order, privileges, reality};
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::Change;
use crate::model::entrance::HostFirewall;
use crate::model::guard::GuardState;
use crate::model::observed::Observed;
use crate::model::step::{Step, StepId};
use crate::model::{Addr, HostName, Kind};
use crate::resources::{self, Allowed, Context, Finding, Part, Resource};

/// Which part of an inventory is planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Only these resources and what they are made of; all if empty.
    pub targets: BTreeSet<Addr>,
    /// Only what is on these hosts; all if empty.
    pub hosts: BTreeSet<HostName>,
    /// Guests, or the hosts themselves.
    #[serde(default)]
    pub part: Part,
}

impl Scope {
    /// Whether a resource is in it. What belongs to a guest (its snippet, firewall, routes and zones) goes with it.
    #[must_use]
    pub fn covers(&self, addr: &Addr, host: &HostName) -> bool {
        let placed = self.hosts.is_empty() || self.hosts.contains(host);
        let meant = |target: &Addr| {
            let of_guest = matches!(target.kind, Kind::Vm | Kind::Container)
                && matches!(
                    addr.kind,
                    Kind::Snippet | Kind::GuestFirewall | Kind::Routes | Kind::Zones | Kind::TailnetDevice
                )
                && addr.name == target.name;
            let in_guest =
                matches!(target.kind, Kind::Vm | Kind::Container) && resources::is_in_guest(addr, &target.name);
            target == addr || of_guest || in_guest
        };
        placed && (self.targets.is_empty() || self.targets.iter().any(meant))
    }

    /// Whether it is everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.hosts.is_empty()
    }
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What should be.
    pub blueprint: &'a Blueprint,
    /// What is.
    pub observed: &'a Observed,
    /// What was applied last.
    pub memory: &'a Memory,
    /// Which part is planned.
    pub scope: &'a Scope,
    /// What may be lost, by name.
    pub allowed: &'a Allowed,
    /// Steps that an earlier run began and of whose end nothing is known.
    pub unfinished: &'a BTreeSet<StepId>,
}

impl<'a> Request<'a> {
    fn context(&self) -> Context<'a> {
        Context {
            blueprint: self.blueprint,
            observed: self.observed,
            memory: self.memory,
            allowed: self.allowed,
            unfinished: self.unfinished,
            together: self.scope.is_everything() && self.has_guests(),
            part: self.scope.part,
        }
    }

    /// Whether guests themselves are planned.
    fn has_guests(&self) -> bool {
        matches!(self.scope.part, Part::Guests | Part::Everything)
    }

    fn resources(&self) -> Vec<Box<dyn Resource + 'a>> {
        let all = resources::of(self.scope.part, self.blueprint);
        all.into_iter().filter(|resource| self.scope.covers(&resource.addr(), resource.host())).collect()
    }

    /// What was found about everything in scope, and about what that needs and is not there yet.
    fn findings(&self, context: &Context<'_>) -> Vec<(Addr, Finding)> {
        let mut found: Vec<(bool, Addr, Finding)> = resources::of(self.scope.part, self.blueprint)
            .iter()
            .map(|resource| {
                let addr = resource.addr();
                (self.scope.covers(&addr, resource.host()), addr, resource.find(context))
            })
            .collect();
        loop {
            let needed: BTreeSet<Addr> = found
                .iter()
                .filter(|(taken, ..)| *taken)
                .filter_map(
                    |(_, _, finding)| if let Finding::Changed(changed) = finding { Some(changed) } else { None },
                )
                .flat_map(|changed| changed.steps.iter().flat_map(|step| &step.needs))
                .filter_map(StepId::addr)
                .collect();
            let mut grew = false;
            for (taken, addr, finding) in &mut found {
                // Who deploys one service means that one, and what it cannot be without.
                let own = self.scope.part == Part::Services && matches!(addr.kind, Kind::Service | Kind::Model);
                if !*taken && !own && needed.contains(addr) && !matches!(finding, Finding::Unchanged { .. }) {
                    (*taken, grew) = (true, true);
                }
            }
            if !grew {
                return found
                    .into_iter()
                    .filter(|(taken, ..)| *taken)
                    .map(|(_, addr, finding)| (addr, finding))
                    .collect();
            }
        }
    }

    fn unknown_targets(&self) -> Diagnostics {
        let mut known: BTreeSet<Addr> =
            resources::of(self.scope.part, self.blueprint).iter().map(|resource| resource.addr()).collect();
        known.extend(resources::orphans(self.blueprint, self.observed).into_iter().map(|orphan| orphan.addr));
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        self.scope
            .targets
            .difference(&known)
            .map(|target| {
                let text = target.to_string();
                Diagnostic::error("plan.unknown-target", format!("there is no `{text}` in this inventory"))
                    .hint_maybe(crate::diag::did_you_mean(&text, names.iter().map(String::as_str)))
            })
            .collect()
    }

    pub(super) fn plan(&self) -> Plan {
        Plan {
            format: Plan::FORMAT,
            infra: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: self.blueprint.name.clone(),
            scope: self.scope.clone(),
            changes: Vec::new(),
            steps: Vec::new(),
            preconditions: BTreeMap::new(),
            orphans: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            memory: Memory::new(),
        }
    }
}

/// Plans what makes the hosts be what the blueprint says.
///
/// # Errors
/// With every reason to refuse: foreign objects, replacements that nobody allowed, devices that are
/// not there. Then nothing at all is planned.
pub fn build(request: &Request<'_>) -> Result<Plan, Diagnostics> {
    let context = request.context();
    let mut plan = request.plan();
    let mut refused = request.unknown_targets();
    for (addr, finding) in request.findings(&context) {
        match finding {
            Finding::Unchanged { desired } => {
                plan.memory.insert(addr, desired);
            }
            Finding::Changed(changed) => {
                plan.preconditions.insert(addr.clone(), digest(&changed.seen));
                plan.memory.insert(addr, changed.desired);
                plan.changes.push(changed.change);
                plan.steps.extend(changed.steps);
                plan.notes.extend(changed.notes);
            }
            Finding::Gap { why } => plan.gaps.push(Gap { addr, why }),
            Finding::Refused(problems) => refused.extend(problems),
        }
    }
    if refused.has_errors() {
        return Err(with_the_rest(refused, &plan));
    }
    drop_what_hangs_on_gaps(&mut plan);
    if request.scope.is_everything() && request.has_guests() {
        let orphans = resources::orphans(request.blueprint, request.observed).into_iter();
        plan.orphans = orphans
            .map(|orphan| Orphan { addr: orphan.addr, host: orphan.host, description: orphan.description })
            .collect();
    }
    if request.has_guests() {
        plan.notes.extend(firewall_notes(request));
        plan.notes.extend(cluster::misplaced(request));
        plan.notes.extend(resources::tailnet_strangers(request.blueprint, request.observed));
    }
    let contradictions = lint_ways(&plan, request.blueprint, request.observed);
    if contradictions.has_errors() {
        return Err(contradictions);
    }
    finish(request, plan)
}

/// Plans the removal of everything of ours that is in scope.
///
/// # Errors
/// When something that holds data was not named, or something must not be removed.
pub fn teardown(request: &Request<'_>) -> Result<Plan, Diagnostics> {
    let context = request.context();
    let mut plan = request.plan();
    let mut refused = request.unknown_targets();
    let explicit = |addr: &Addr| request.scope.targets.contains(addr);
    let mut removals = Vec::new();
    let mut unnamed: Vec<Addr> = Vec::new();
    for resource in request.resources() {
        let addr = resource.addr();
        // Images are shared and quickly had again; only who names one removes it.
        if addr.kind == Kind::Image && !explicit(&addr) {
            continue;
        }
        if let Finding::Gap { why } = resource.find(&context) {
            plan.gaps.push(Gap { addr, why });
            continue;
        }
        let Some(removal) = resource.removal(&context) else { continue };
        if removal.holds_data && !request.allowed.destroy.contains(&addr) {
            unnamed.push(addr.clone());
        }
        refused.extend(removal.refused.clone());
        removals.push((addr, removal));
    }
    for orphan in resources::orphans(request.blueprint, request.observed) {
        if !explicit(&orphan.addr) {
            continue;
        }
        if orphan.removal.holds_data && !request.allowed.destroy.contains(&orphan.addr) {
            unnamed.push(orphan.addr.clone());
        }
        refused.extend(orphan.removal.refused.clone());
        removals.push((orphan.addr, orphan.removal));
    }
    refused.extend(not_named(&unnamed));
    // What is named by something that stays, stays; what was asked for by name is refused.
    loop {
        let going: BTreeSet<Addr> = removals.iter().map(|(addr, _)| addr.clone()).collect();
        let named = resources::still_named(request.blueprint, request.observed, &going);
        let (asked, found): (Vec<_>, Vec<_>) = named.into_iter().partition(|(addr, _)| explicit(addr));
        if found.is_empty() {
            refused.extend(asked.into_iter().map(|(_, problem)| problem));
            break;
        }
        for (addr, problem) in found {
            removals.retain(|(going, _)| *going != addr);
            plan.gaps.push(Gap { addr, why: problem.summary });
        }
    }
    if refused.has_errors() {
        return Err(refused);
    }
    // What was made last goes first: each removal waits for those of the kinds that build on it.
    removals.reverse();
    let mut before: Vec<(Kind, StepId)> = Vec::new();
    for (addr, mut removal) in removals {
        for step in &mut removal.steps {
            step.needs.extend(before.iter().filter(|(kind, _)| *kind > addr.kind).map(|(_, id)| id.clone()));
            if addr.kind == Kind::Dataset {
                let below = format!("{}/", addr.name);
                step.needs.extend(
                    before
                        .iter()
                        .filter(|(_, id)| id.0.starts_with(&format!("dataset.{below}")))
                        .map(|(_, id)| id.clone()),
                );
            }
        }
        before.extend(removal.steps.iter().map(|step| (addr.kind, step.id.clone())));
        plan.preconditions.insert(addr, digest(&removal.seen));
        plan.changes.push(removal.change);
        plan.steps.extend(removal.steps);
    }
    finish(request, plan)
}

/// One problem for all that would be lost, with the very words that allow it.
fn not_named(unnamed: &[Addr]) -> Option<Diagnostic> {
    let (first, rest) = unnamed.split_first()?;
    let summary = match rest.len() {
        0 => format!("{first} holds data and was not named"),
        more => format!("{first} and {more} more hold data and were not named"),
    };
    let flags: Vec<String> = unnamed.iter().map(|addr| format!("--allow-destroy {addr}")).collect();
    Some(
        Diagnostic::error("plan.destroy-not-allowed", summary)
            .cause("what is in them would be gone for good, and `--yes` does not cover that")
            .hint(format!("name what may be lost: `{}`", flags.join(" ")))
            .hint("or narrow it down with `--target`"),
    )
}

pub(super) fn finish(request: &Request<'_>, mut plan: Plan) -> Result<Plan, Diagnostics> {
    plan.notes.extend(guards(request.observed));
    plan.notes.dedup();
    plan.steps = order(std::mem::take(&mut plan.steps)).map_err(|cycle| {
        Diagnostic::error("plan.cycle", cycle.to_string()).hint("this is a fault of infra: please report it")
    })?;
    let mut problems = lint(&plan);
    problems.extend(cluster::without_quorum(request, &plan));
    problems.extend(privileges::missing(&plan, request.blueprint, request.observed));
    let reality::Findings { problems: impossible, notes } = reality::check(&plan, request.blueprint, request.observed);
    problems.extend(impossible);
    plan.notes.extend(notes);
    if problems.has_errors() { Err(problems) } else { Ok(plan) }
}

/// The digest of what was observed of a resource.
pub(super) fn digest(seen: &str) -> String {
    let mut hex = String::with_capacity(16);
    for byte in Sha256::digest(seen.as_bytes()).iter().take(8) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A refusal holds all of it back: what was meant together is not done by halves unless somebody says so. The rest is
/// named, with the words that ask for it alone.
fn with_the_rest(mut refused: Diagnostics, plan: &Plan) -> Diagnostics {
    let others: BTreeSet<String> = plan.changes.iter().map(|change| change.addr.to_string()).collect();
    if others.is_empty() {
        return refused;
    }
    const SHOWN: usize = 6;
    let targets: Vec<String> = others.iter().take(SHOWN).map(|addr| format!("--target {addr}")).collect();
    let more = if others.len() > SHOWN { ", …" } else { "" };
    refused.push(
        Diagnostic::warning(
            "plan.held-back",
            format!("{} of what was asked for could be done, and is held back with it", others.len()),
        )
        .hint(format!("without what is refused: `{}`{more}", targets.join(" "))),
    );
    refused
}

/// A guest cannot be made while what it is made of is unknown; what is there already may still change.
fn drop_what_hangs_on_gaps(plan: &mut Plan) {
    loop {
        let unknown: BTreeSet<Addr> = plan.gaps.iter().map(|gap| gap.addr.clone()).collect();
        let hangs = |step: &Step| {
            step.needs
                .iter()
                .find_map(|need| unknown.iter().find(|addr| need.0.starts_with(&format!("{addr}/"))))
                .cloned()
        };
        let Some((addr, on)) = plan.steps.iter().find_map(|step| Some((step.addr.clone(), hangs(step)?))) else {
            return;
        };
        plan.steps.retain(|step| step.addr != addr);
        plan.changes.retain(|change: &Change| change.addr != addr);
        plan.preconditions.remove(&addr);
        plan.memory.remove(&addr);
        plan.gaps.push(Gap { addr, why: format!("it needs {on}, of which nothing is known") });
    }
}

/// Changes that nobody confirmed: what is seen now is not what will be, or not what the last run left.
fn guards(observed: &Observed) -> Vec<String> {
    let guards = observed.hosts.iter().filter_map(|(host, there)| Some((host, there.entrance.guards.value()?)));
    let said = guards.flat_map(|(host, guards)| guards.iter().map(move |(name, state)| (host, name, state)));
    said.filter_map(|(host, name, state)| match state {
        GuardState::Armed | GuardState::Reverting => Some(format!(
            "{host} is about to take back a change that nobody confirmed ({name}): nothing is planned over it"
        )),
        GuardState::Reverted => {
            Some(format!("{host} has taken back a change of an earlier run that nobody confirmed ({name})"))
        }
        GuardState::Confirmed | GuardState::Unfinished => None,
    })
    .collect()
}

/// What is set and not enforced, and what is not ours and counts.
fn firewall_notes(request: &Request<'_>) -> Vec<String> {
    let guests = || request.blueprint.guests.values().filter(|guest| guest.firewall.enabled);
    let off = request.blueprint.sites().into_keys().filter(|site| {
        let firewall = request.observed.sites.get(*site).and_then(|site| site.firewall.value());
        guests().any(|guest| request.blueprint.host_of(guest).site == *site)
            && firewall.is_some_and(|firewall| firewall.options.get("enable").map(String::as_str) != Some("1"))
    });
    let off = off.map(|site| {
        let declared = request.blueprint.hosts.values().any(|host| host.site == site && host.firewall.is_some());
        let how = if declared { "`infra prepare` switches it on" } else { "declare `firewall` for its hosts, and `infra prepare` switches it on" };
        format!(
            "NOT ENFORCED: the datacenter firewall of {site} is off: the guests' rules are stored and not enforced, and \
             every guest reaches every other and the host ({how})"
        )
    });
    let foreign = guests().filter_map(|guest| {
        let rules = resources::foreign_rules(request.blueprint, guest, request.observed);
        let opens = rules.iter().any(|rule| rule.contains("ACCEPT"));
        let counts = if opens { "; they may open what nobody declared" } else { "" };
        (!rules.is_empty()).then(|| {
            format!(
                "rules of {}'s firewall that are not ours are kept, below ours{counts}: {}",
                guest.name,
                rules.join("; ")
            )
        })
    });
    let nftables = request.blueprint.hosts.values().filter(|host| {
        let there = request.observed.hosts.get(&host.name).and_then(|there| there.entrance.firewall.value());
        there.is_some_and(HostFirewall::is_nftables)
    });
    let nftables = nftables.map(|host| {
        format!(
            "{} has `nftables: 1`: `proxmox-firewall` enforces the rules there, and not `pve-firewall`, which they are \
             judged and tested against",
            host.name
        )
    });
    off.chain(nftables).chain(foreign).collect()
}
