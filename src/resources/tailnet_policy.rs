//! `tailnet_policy`: our section of the tailnet's policy, one per inventory.
//!
//! Everything outside our marks is kept byte for byte; what somebody changed between them is written over only when
//! the operator names it (`--take-over tailnet_policy.NAME`). A policy whose other rules let one guest of ours reach
//! another is refused with the rule: no section of ours could take that back, as policies have no rule that denies.

use super::difference::{Fields, between, change};
use super::operations::{answer, call, call_until, check, step};
use super::{Changed, Context, Finding, Removal, Resource, tailnet_device};
use crate::blueprint::{Blueprint, ControlPlane, Host, Tailnet};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk};
use crate::model::guard::{Guard, GuardAct};
use crate::model::step::{Condition, Expect, Matcher, Op, Step, Undo};
use crate::model::tailnet::TailnetDevice;
use crate::model::{Addr, HostName, Kind};
use crate::tailnet::{
    Conflict, LeakKind, Policy, Presence, Section, conflicts, edit, find, leaks, members, normalised,
};
use crate::tailnet::{Path, cuts, losses, paths, remove, requests, tag_of, wanted, was_written, without_default};

struct TailnetPolicy<'a> {
    blueprint: &'a Blueprint,
    tailnet: &'a Tailnet,
    /// Whose door the control plane is asked through, and whose lease is held.
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let (Some(tailnet), Some(host)) = (&blueprint.tailnet, blueprint.hosts.values().next()) else { return Vec::new() };
    vec![Box::new(TailnetPolicy { blueprint, tailnet, host })]
}

/// What would be written, and over what.
#[derive(Clone)]
struct Draft {
    /// The policy without our section.
    section: Section,
    text: String,
    /// Whether it is written only if nobody has ever written the policy.
    untouched: bool,
    notes: Vec<String>,
}

impl TailnetPolicy<'_> {
    fn owner(&self) -> &str {
        self.blueprint.name.as_str()
    }

    fn problem(&self, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error("plan.tailnet-policy", summary).at(self.tailnet.span, "")
    }

    fn draft(&self, text: &str, ours: bool, there: &Presence, take_over: bool) -> Result<Draft, Diagnostics> {
        let unreadable = |error: &dyn std::fmt::Display| {
            let hint = "mend it in the admin console, or put an empty list of that name into it outside of all marks";
            Diagnostics::from(self.problem("the tailnet's policy cannot be edited").cause(error.to_string()).hint(hint))
        };
        let mut base = remove(text, self.owner()).map_err(|error| unreadable(&error))?;
        let mut untouched = false;
        let mut notes = Vec::new();
        if let Some(bare) = without_default(&base).filter(|_| !ours) {
            // Only Tailscale can tell whether a policy is the one that it was made with.
            untouched = self.tailnet.control == ControlPlane::Tailscale && !was_written(&base) && !take_over;
            if !untouched && !take_over {
                return Err(self.open_to_all().into());
            }
            base = bare;
            notes.push("the rule that lets everybody in the tailnet reach everything goes".to_owned());
        }
        let outside = Policy::read(&base).map_err(|error| unreadable(&error))?;
        let mut problems: Diagnostics =
            conflicts(self.blueprint, &outside).iter().map(|one| self.conflict(one)).collect();
        let section = wanted(self.blueprint, &outside, there);
        let text = edit(&base, self.owner(), &section).map_err(|error| unreadable(&error))?;
        let merged = Policy::read(&text).map_err(|error| unreadable(&error))?;
        for leak in leaks(self.blueprint, &merged, &section, there) {
            if leak.kind.is_refused() {
                let summary = format!(
                    "the tailnet lets `{}` reach {} `{}`, which no flow declares",
                    leak.from, leak.kind, leak.to
                );
                let narrow =
                    "narrow that rule in the admin console: a policy has no rule that takes back what another gives";
                let mut problem = self.problem(summary).cause(leak.by).hint(narrow);
                if leak.kind != LeakKind::BetweenGuests {
                    problem = problem.hint("`autogroup:member` as its source means all people and no guest");
                }
                problems.push(problem);
            } else {
                notes.push(format!(
                    "the tailnet lets `{}` reach {} `{}`, which no flow declares; none of our tests denies it: {}",
                    leak.from, leak.kind, leak.to, leak.by
                ));
            }
        }
        problems.extend(self.checked_tags(&section));
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(Draft { section, text, untouched, notes })
    }

    /// Everybody reaches everything, and it is not ours to take that away without a word.
    fn open_to_all(&self) -> Diagnostic {
        let addr = self.addr();
        let mut problem = self.problem("the tailnet lets everybody reach everything, guests one another included");
        problem = match self.tailnet.control {
            ControlPlane::Tailscale => problem.cause("somebody has written this policy, so its only rule may be meant"),
            ControlPlane::Headscale => {
                problem.cause("Headscale has no policy that it begins with, so its only rule may be meant")
            }
        };
        problem
            .hint("take that rule out in the admin console, or write rules for those who need one")
            .hint(format!("to take it out with this plan: `--take-over {addr}`"))
    }

    /// A name with two meanings, both shown.
    fn conflict(&self, conflict: &Conflict) -> Diagnostic {
        let said = |who: &[String]| format!("[{}]", who.join(", "));
        let Conflict { name, ours, theirs } = conflict;
        match ours {
            Some(ours) => self
                .problem(format!("`{name}` is one thing in the inventory and another one in the rest of the tailnet's policy"))
                .cause(format!("in the inventory: {}", said(ours)))
                .cause(format!("in the policy, outside of our section: {}", said(theirs)))
                .hint("make both say the same, take it out of one of them, or give it another name in the inventory"),
            None => self
                .problem(format!("`{name}` is the tag of a guest, and the rest of the tailnet's policy defines it, too"))
                .cause(format!("in the policy, outside of our section: {}", said(theirs)))
                .hint("take it out of `tagOwners` there; if another inventory has put it there, one of the two needs another name"),
        }
    }

    /// `check` asks people to log in anew, which a tagged device cannot (tailscale/tailscale#9660).
    fn checked_tags(&self, section: &Section) -> Option<Diagnostic> {
        let ssh = self.tailnet.ssh.as_ref().filter(|ssh| ssh.check)?;
        let terminals = section.blocks.iter().find(|block| block.key == "ssh")?;
        let tagged = terminals.entries.iter().find(|entry| entry.contains("\"src\": [\"tag:"))?;
        Some(
            Diagnostic::error("plan.tailnet-policy", "tagged devices cannot be asked to log in anew")
                .at(ssh.span, "")
                .cause(tagged.clone())
                .hint("write `action: accept`, or give `access` to people: a login, `group:…`, `autogroup:member`"),
        )
    }

    fn mark(&self, section: &Section) -> String {
        format!(">>> infra {} {}:", self.owner(), section.digest())
    }

    /// The ways to hosts that lead over the tailnet, or may; refused, if one that is open would not be any more.
    fn paths_kept(
        &self,
        context: &Context<'_>,
        text: &str,
        draft: &Draft,
        there: &Presence,
    ) -> Result<Vec<HostName>, Diagnostics> {
        let (Ok(old), Ok(new)) = (Policy::read(text), Policy::read(&draft.text)) else { return Ok(Vec::new()) };
        let seen = context.observed.hosts.iter();
        let operators =
            seen.filter_map(|(host, seen)| Some((host.clone(), *seen.entrance.operator.value()?))).collect();
        let paths = paths(self.blueprint, there, &operators);
        let mut problems = Diagnostics::new();
        for cut in cuts(self.blueprint, (&old, &new), there, &paths) {
            let Path { host, address, operator } = &cut.path;
            let mut problem = Diagnostic::error(
                "plan.locked-out",
                format!("this would cut the way to host `{}` over the tailnet", host.name),
            )
            .at(self.tailnet.span, "")
            .cause(format!("no rule would let {} reach {address} any more", cut.devices.join(", ")));
            problem = match operator {
                Some(_) => problem.cause("that is from where the host sees us come"),
                None => {
                    problem.cause("which of them we are is not known: the host does not see us come from the tailnet")
                }
            };
            problem = problem.hint(
                "under `tailnet`, write `operators: [autogroup:admin]`, or who else administers the hosts over it",
            );
            problems.push(match operator {
                Some(_) => problem.hint("or come another way"),
                None => problem.hint("if nobody administers them over it: `operators: []`"),
            });
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let hosts: std::collections::BTreeSet<HostName> = paths.iter().map(|path| path.host.name.clone()).collect();
        Ok(hosts.into_iter().collect())
    }

    /// What a change takes away that is no guest of ours.
    fn lost(&self, text: &str, draft: &Draft, there: &Presence) -> Vec<String> {
        match (Policy::read(text), Policy::read(&draft.text)) {
            (Ok(old), Ok(new)) => losses(self.blueprint, (&old, &new), there),
            _ => Vec::new(),
        }
    }

    fn write(&self, addr: &Addr, what: &str, title: &str, from: &str, draft: &Draft) -> Step {
        let mark = self.mark(&draft.section);
        let written = answer(requests::policy(), vec![Expect::new("policy", Matcher::Contains(mark))]);
        let mut step = step(
            addr,
            what,
            title,
            &self.host.name,
            vec![
                accepted(&draft.text),
                call_until(requests::set_policy(&draft.text, from, draft.untouched), written.clone()),
                check(written, "the policy was written and does not hold our section"),
            ],
        );
        step.undo = Undo::Ops { ops: vec![call(requests::set_policy(from, &draft.text, false))] };
        step.risk = Risk::Reachability;
        step.exclusive = vec!["tailnet/policy".to_owned()];
        step
    }
}

/// New connections to hosts that are reached over the tailnet. No host can take back what a control plane was told, so
/// nothing is armed: if they fail, the step's undo puts the old policy back at once, past the hosts. A connection that stands is no
/// proof, as a tailnet's filter looks at the first packet alone.
fn reconnect(hosts: Vec<HostName>) -> Option<Op> {
    let guard = Guard { name: "tailnet".to_owned(), files: Vec::new(), then: Vec::new(), seconds: 0 };
    (!hosts.is_empty()).then_some(Op::Guard { guard, act: GuardAct::Reconnect { hosts, after_s: 10, within_s: 45 } })
}

/// The control plane itself judges the policy and runs its tests before it is written.
fn accepted(text: &str) -> Op {
    check(
        Condition::Answers { request: requests::check_policy(text) },
        "the tailnet's control plane refuses the policy",
    )
}

/// One field per key of the policy: its entries, one per line, however they are laid out.
fn fields(section: &Section) -> Fields {
    let plain = |entry: &String, object: bool| {
        let value = if object { format!("{{{entry}}}") } else { entry.clone() };
        normalised(&value).unwrap_or(value)
    };
    let lines = section.blocks.iter().map(|block| {
        let entries: Vec<String> = block.entries.iter().map(|entry| plain(entry, block.is_object())).collect();
        (block.key.clone(), entries.join("\n"))
    });
    lines.collect()
}

impl Resource for TailnetPolicy<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::TailnetPolicy, &self.blueprint.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let seen = &context.observed.tailnet;
        let (text, devices) = match (&seen.policy, &seen.devices) {
            (policy, devices) if policy.is_complete() && devices.is_complete() => (policy.value(), devices.value()),
            (policy, devices) => {
                let why = policy.why().or(devices.why()).unwrap_or("it is not known");
                return Finding::Gap { why: format!("the tailnet: {why}") };
            }
        };
        let (Some(text), Some(devices)) = (text, devices) else {
            return Finding::Gap { why: "the tailnet is not known".to_owned() };
        };
        let found = match find(text, self.owner()) {
            Ok(found) => found,
            Err(error) => {
                let problem = self.problem("our section of the tailnet's policy cannot be told from the rest");
                let hint = "mend it in the admin console: a mark stands at each end of our section";
                return Finding::Refused(problem.cause(error.to_string()).hint(hint).into());
            }
        };
        // Who joins first can only do so once its tag has an owner, and can only be tested once it has joined.
        let joining = if context.together { tailnet_device::joining(context) } else { Vec::new() };
        let take_over = context.allowed.take_over.contains(&addr);
        let mut there = Presence::of(devices);
        let now = self.draft(text, found.is_some(), &there, take_over);
        for (guest, _) in &joining {
            let tag = tag_of(&self.blueprint.name, guest);
            there.tags.insert(tag.clone());
            there.devices.retain(|device| !device.tags.contains(&tag));
            there.devices.push(TailnetDevice { hostname: guest.to_string(), tags: vec![tag], ..Default::default() });
        }
        let (now, then) = match (now, self.draft(text, found.is_some(), &there, take_over)) {
            (Ok(now), Ok(then)) => (now, then),
            (Err(problems), _) | (_, Err(problems)) => return Finding::Refused(problems),
        };
        let desired = fields(&then.section);
        let current = found.as_ref().map(|found| fields(&found.section)).unwrap_or_default();
        let is = |draft: &Draft| {
            let same = found.as_ref().is_some_and(|found| found.untouched && found.written == draft.section.digest());
            same || (found.is_none() && draft.section.blocks.is_empty())
        };
        if is(&then) {
            return Finding::Unchanged { desired };
        }
        let differences = between(&current, &desired);
        if let Some(found) = found.as_ref().filter(|found| !found.untouched && !differences.is_empty())
            && !take_over
        {
            return Finding::Refused(self.edited(&addr, &found.section, &then.section).into());
        }
        let known = Presence::of(devices);
        let reached = match self.paths_kept(context, text, &then, &known) {
            Ok(reached) => reached,
            Err(problems) => return Finding::Refused(problems),
        };
        let action = if found.is_some() { Action::Update } else { Action::Create };
        let mut steps = Vec::new();
        let mut written = text.as_str();
        if !is(&now) {
            let title = match action {
                Action::Create => format!("put the section of {} into the tailnet's policy", self.owner()),
                _ => format!("write the section of {} in the tailnet's policy", self.owner()),
            };
            let mut step = self.write(&addr, "write", &title, text, &now);
            step.ops.extend(reconnect(reached));
            steps.push(step);
            written = &now.text;
        }
        if then.text != written {
            let title = "write the tests of who has joined into the tailnet's policy";
            let untouched = then.untouched && steps.is_empty();
            let mut step = self.write(&addr, "tests", title, written, &Draft { untouched, ..then.clone() });
            step.needs = steps.iter().map(|step| step.id.clone()).collect();
            step.needs.extend(joining.iter().map(|(_, join)| join.clone()));
            steps.push(step);
        }
        let mut change = change(addr.clone(), action, &differences, context.memory);
        change.risk = Risk::Reachability;
        if differences.is_empty() {
            change.reason = "its mark is not that of what it holds".to_owned();
        }
        let mut notes = then.notes.clone();
        notes.extend(self.lost(text, &then, &known));
        notes.extend(self.absent(&there));
        if self.tailnet.control == ControlPlane::Headscale {
            notes.push(
                "Headscale takes a policy over its API only with `policy.mode: database`, and cannot be asked which it has: \
                 with `file` the step fails and nothing is changed"
                    .to_owned(),
            );
        }
        Finding::Changed(Changed { change, steps, desired, seen: text.clone(), notes })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let addr = self.addr();
        let text = context.observed.tailnet.policy.value()?;
        find(text, self.owner()).ok()??;
        let bare = remove(text, self.owner()).ok()?;
        let mut refused = Diagnostics::new();
        if Policy::read(&bare).is_ok_and(|policy| policy.rules.is_none()) {
            refused.push(
                self.problem(
                    "without our section the tailnet's policy has no list of rules, and everybody reaches everything",
                )
                .hint("put `\"grants\": [],` into the policy outside of our marks first"),
            );
        }
        let mut look = None;
        let gone = Section::default();
        let draft = Draft { section: gone, text: bare, untouched: false, notes: Vec::new() };
        let devices = context.observed.tailnet.devices.value().map_or(&[][..], Vec::as_slice);
        let there = Presence::of(devices);
        match self.paths_kept(context, text, &draft, &there) {
            Ok(reached) => look = reconnect(reached),
            Err(problems) => refused.extend(problems),
        }
        let title = format!("take the section of {} out of the tailnet's policy", self.owner());
        let mut step = self.write(&addr, "write", &title, text, &draft);
        let taken = answer(
            requests::policy(),
            vec![Expect::new("policy", Matcher::Equals(draft.text.trim_end_matches('\n').to_owned()))],
        );
        step.ops = vec![
            accepted(&draft.text),
            call_until(requests::set_policy(&draft.text, text, false), taken.clone()),
            check(taken, "the policy still holds our section"),
        ];
        step.ops.extend(look);
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: text.clone(),
            refused,
        })
    }
}

impl TailnetPolicy<'_> {
    /// Somebody changed what is between our marks: what would be lost, and how to allow it.
    fn edited(&self, addr: &Addr, there: &Section, wanted: &Section) -> Diagnostic {
        let lines = |section: &Section| -> Vec<String> {
            let lines = fields(section).into_iter();
            lines
                .flat_map(|(key, text)| text.lines().map(|line| format!("{key}: {line}")).collect::<Vec<_>>())
                .collect()
        };
        let (there, wanted) = (lines(there), lines(wanted));
        let mut problem = self.problem("somebody has changed our section of the tailnet's policy");
        for line in there.iter().filter(|line| !wanted.contains(line)) {
            problem = problem.cause(format!("- {line}"));
        }
        for line in wanted.iter().filter(|line| !there.contains(line)) {
            problem = problem.cause(format!("+ {line}"));
        }
        problem
            .hint("what is to stay has to stand outside of our marks, or in the inventory")
            .hint(format!("to write over it: `--take-over {addr}`"))
    }

    /// Members that no device bears the tag of, and that do not join now: nothing is tested of them, and nobody reaches
    /// them.
    fn absent(&self, there: &Presence) -> Option<String> {
        let members = members(self.blueprint).into_iter().map(|guest| (tag_of(&self.blueprint.name, &guest), guest));
        let absent: Vec<String> = members
            .filter(|(tag, _)| !there.tags.contains(tag))
            .map(|(tag, guest)| format!("{guest} (`{tag}`)"))
            .collect();
        (!absent.is_empty())
            .then(|| format!("not in the tailnet yet, and not tested by its policy: {}", absent.join(", ")))
    }
}
