//! The way back from an earlier run of `prepare`.
//!
//! Owns how the steps of such a run become a plan that takes them back ([`take_back`]), told from the run's own
//! plan and from what is there now. Everything else about a plan is [`super::build`]'s.

use super::build::{digest, finish};
use super::{Gap, Memory, Plan, Request};
use crate::diag::{Diagnostic, Diagnostics};
use crate::event::{Outcome, RunState};
use crate::model::Kind;
use crate::model::change::{Action, Change, FieldChange, Risk};
use crate::model::machine::ConfigFiles;
use crate::model::step::{Op, Step, StepId, Undo};
use crate::resources::host::{FileState, FileWrite, file_writes};

/// An earlier run: its plan, and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// What was carried out.
    pub plan: &'a Plan,
    /// How far.
    pub state: &'a RunState,
}

/// Plans what puts the files of an earlier run back as they were before it.
///
/// Only files that are still as that run left them are put back; those that are as they were already need
/// nothing, and one that somebody changed since refuses the whole.
///
/// # Errors
/// When a file was changed since, or cannot be seen.
pub fn take_back(request: &Request<'_>, earlier: &Earlier<'_>) -> Result<Plan, Diagnostics> {
    let mut plan = request.plan();
    let mut refused = Diagnostics::new();
    let mut later: Vec<StepId> = Vec::new();
    for step in earlier.plan.steps.iter().rev().filter(|step| stands(step, earlier.state)) {
        if !request.scope.covers(&step.addr, &step.host) {
            continue;
        }
        let Undo::Ops { ops } = &step.undo else {
            if let Undo::Nothing { why } | Undo::Irreversible { why } = &step.undo
                && !step.id.0.ends_with("/keep")
            {
                plan.notes.push(format!("{} is not taken back: {why}", step.addr));
            }
            continue;
        };
        let writes = file_writes(step);
        let seen = match state_of(request, step, &writes) {
            Ok(Standing::AsLeft(seen)) => seen,
            Ok(Standing::AsFound) => continue,
            Ok(Standing::Kept(why)) => {
                plan.notes.push(format!("{} is not taken back: {why}", step.addr));
                continue;
            }
            Err(Blocked::Unseen(why)) => {
                plan.gaps.push(Gap { addr: step.addr.clone(), why });
                continue;
            }
            Err(Blocked::Changed(path)) => {
                refused.push(changed_since(step, &path));
                continue;
            }
        };
        let change = earlier.plan.changes.iter().find(|change| change.addr == step.addr);
        plan.preconditions.insert(step.addr.clone(), digest(&seen));
        plan.changes.push(back(step, change));
        let id = StepId::new(&step.addr, "restore");
        plan.steps.push(Step {
            id: id.clone(),
            title: format!("take back: {}", step.title),
            ops: ops.clone(),
            undo: Undo::nothing("`infra prepare` does it again"),
            needs: later.clone(),
            ..step.clone()
        });
        later = vec![id];
    }
    plan.memory = Memory::new();
    if refused.has_errors() { Err(refused) } else { finish(request, plan) }
}

/// How what a step did is now.
enum Standing {
    /// As the step left it; what was seen, as text.
    AsLeft(String),
    /// As the step found it.
    AsFound,
    /// It stays, because.
    Kept(&'static str),
}

/// Why a step is not taken back.
enum Blocked {
    /// What it did cannot be seen.
    Unseen(String),
    /// This file was changed since.
    Changed(String),
}

fn state_of(request: &Request<'_>, step: &Step, writes: &[FileWrite]) -> Result<Standing, Blocked> {
    let machine = request.observed.hosts.get(&step.host).map(|host| &host.machine);
    let unseen = |why: Option<&str>| Blocked::Unseen(why.unwrap_or("it was not looked at").to_owned());
    if step.addr.kind == Kind::ArcLimit {
        // It has no file: the running module tells.
        let memory = machine.map(|machine| &machine.memory);
        let known = memory.and_then(|fact| fact.value()).ok_or_else(|| unseen(memory.and_then(|fact| fact.why())))?;
        let Some(arc) = known.arc else { return Ok(Standing::AsFound) };
        let set = format!("echo {} > /sys/module/zfs/parameters/zfs_arc_max", arc.parameter);
        let ours = step.ops.iter().any(|op| matches!(op, Op::Exec { argv } if argv.contains(&set)));
        return Ok(if ours { Standing::AsLeft(set) } else { Standing::AsFound });
    }
    if writes.is_empty() {
        return Ok(Standing::Kept(match step.addr.kind {
            Kind::Dataset => "it may hold data by now; `infra` destroys none by going back",
            Kind::HostFirewall | Kind::DatacenterFirewall => {
                "who may reach the host is changed in the inventory and by `infra prepare`, under guard"
            }
            _ => "it wrote no file",
        }));
    }
    let config = machine.map(|machine| &machine.config);
    let files = config
        .and_then(|fact| fact.value().filter(|_| fact.is_complete()))
        .ok_or_else(|| unseen(config.and_then(|fact| fact.why())))?;
    match standing(writes, files) {
        Ok(true) => {
            let states = writes.iter().map(|write| format!("{:?}", FileState::of(files.get(&write.path))));
            Ok(Standing::AsLeft(states.collect::<Vec<_>>().join(" ")))
        }
        Ok(false) => Ok(Standing::AsFound),
        Err(path) => Err(Blocked::Changed(path.to_owned())),
    }
}

/// Whether a step of a run was done, or perhaps was, and was not taken back by that run itself.
fn stands(step: &Step, state: &RunState) -> bool {
    state.steps.get(&step.id).is_some_and(|seen| {
        let begun = !matches!(seen.outcome, Some(Outcome::Skipped { .. }));
        let taken_back = matches!(seen.undo, Some(Some(Outcome::Done | Outcome::Warning { .. })));
        begun && !taken_back
    })
}

/// Whether any file is as the run left it.
///
/// # Errors
/// With the path of one that is neither as the run found it nor as it left it.
fn standing<'w>(writes: &'w [FileWrite], config: &ConfigFiles) -> Result<bool, &'w str> {
    let mut any = false;
    for write in writes {
        let now = FileState::of(config.get(&write.path));
        if now == write.after {
            any = true;
        } else if now != write.before {
            return Err(&write.path);
        }
    }
    Ok(any)
}

fn changed_since(step: &Step, path: &str) -> Diagnostic {
    Diagnostic::error("rollback.changed-since", format!("`{path}` of host `{}` was changed since that run", step.host))
        .cause("putting the original back would undo somebody else's change as well")
        .hint("take back the later run first; or compare the file with its original below /var/lib/infra/originals")
}

/// The change of a step the other way round.
fn back(step: &Step, change: Option<&Change>) -> Change {
    let reverse = |field: &FieldChange| FieldChange {
        path: field.path.clone(),
        from: field.to.clone(),
        to: field.from.clone(),
        drift: false,
        needs_restart: false,
    };
    Change {
        addr: step.addr.clone(),
        action: Action::Update,
        reason: "is put back as it was before that run".to_owned(),
        via: step.via,
        risk: Risk::None,
        drift: false,
        fields: change.map(|change| change.fields.iter().map(reverse).collect()).unwrap_or_default(),
    }
}
