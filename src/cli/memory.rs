//! What is remembered of a run.
//!
//! Owns the one decision that drift rests on: which fields count as applied. Reads and writes them
//! through [`journal`]; has no part in the run itself. Entry: [`remember`].

use super::CommandError;
use super::context::Context;
use super::verb::Verb;
use crate::event::{Outcome, RunState};
use crate::exec::journal;
use crate::model::step::Step;
use crate::model::{Addr, Kind};
use crate::plan::{Memory, Plan};

/// Keeps what was applied, so that the next plan can tell drift from intent. Of a run that did not get
/// through, what got through; of what a last look found not to be so (`left`), nothing.
pub(super) fn remember(
    context: &Context,
    plan: &Plan,
    state: &RunState,
    verb: Verb,
    left: Option<&Plan>,
) -> Result<(), CommandError> {
    let before = journal::recall(&context.state, &context.blueprint.name)?;
    let after = applied_memory(&before, plan, state, verb, left);
    if after != before {
        journal::remember(&context.state, &context.blueprint.name, &after)?;
    }
    Ok(())
}

fn applied_memory(before: &Memory, plan: &Plan, state: &RunState, verb: Verb, left: Option<&Plan>) -> Memory {
    let mut memory = before.clone();
    let differs = |addr: &Addr| left.is_some_and(|left| left.changes.iter().any(|change| change.addr == *addr));
    let stands = |step: &Step| {
        state
            .steps
            .get(&step.id)
            .is_some_and(|s| matches!(s.outcome, Some(Outcome::Done | Outcome::Warning { .. })) && s.undo.is_none())
    };
    for (addr, fields) in plan.memory.iter().filter(|(addr, _)| !differs(addr)) {
        if plan.steps.iter().filter(|step| step.addr == *addr).all(stands) {
            memory.insert(addr.clone(), fields.clone());
        }
    }
    if matches!(verb, Verb::Destroy | Verb::Rollback) {
        for change in plan.changes.iter().filter(|change| !differs(&change.addr)) {
            if plan.steps.iter().filter(|step| step.addr == change.addr).all(stands) {
                memory.remove(&change.addr);
                if matches!(change.addr.kind, Kind::Vm | Kind::Container) {
                    // A guest's firewall and files go with it, without a step of their own.
                    memory.remove(&Addr::new(Kind::GuestFirewall, &change.addr.name));
                    memory.remove(&Addr::new(Kind::Routes, &change.addr.name));
                    memory.remove(&Addr::new(Kind::Zones, &change.addr.name));
                }
            }
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::{Event, StepState, What};
    use crate::model::change::{Action, Change, Risk, Via};
    use crate::model::step::{Op, StepId, Undo};

    fn step(addr: &str) -> Step {
        let addr: Addr = addr.parse().unwrap();
        Step {
            id: StepId::new(&addr, "do"),
            title: "do something".to_owned(),
            addr,
            host: "hq".parse().unwrap(),
            inside: None,
            via: Via::Api,
            ops: vec![Op::Exec { argv: vec!["true".to_owned()] }],
            undo: Undo::nothing("a test"),
            risk: Risk::None,
            needs: Vec::new(),
            exclusive: Vec::new(),
        }
    }

    fn change(addr: &str) -> Change {
        Change {
            addr: addr.parse().unwrap(),
            action: Action::Destroy,
            reason: String::new(),
            via: Via::Api,
            risk: Risk::None,
            drift: false,
            fields: Vec::new(),
        }
    }

    fn memory(addrs: &[&str]) -> Memory {
        addrs.iter().map(|addr| (addr.parse().unwrap(), [("memory".to_owned(), "4 GiB".to_owned())].into())).collect()
    }

    fn plan(steps: &[&str], destroyed: &[&str], remembered: &[&str]) -> Plan {
        Plan {
            format: Plan::FORMAT,
            infra: String::new(),
            inventory: "t".parse().unwrap(),
            scope: crate::plan::Scope::default(),
            changes: destroyed.iter().map(|addr| change(addr)).collect(),
            steps: steps.iter().map(|addr| step(addr)).collect(),
            preconditions: BTreeMap::new(),
            orphans: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            memory: memory(remembered),
        }
    }

    /// The state in which these steps are done, and no other began.
    fn done(addrs: &[&str]) -> RunState {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut state = RunState::default();
        for addr in addrs {
            let id = step(addr).id;
            for what in [
                What::StepStarted { step: id.clone() },
                What::StepFinished { step: id.clone(), outcome: Outcome::Done },
            ] {
                state.apply(&Event { at, what });
            }
        }
        state
    }

    #[test]
    fn only_what_got_through_is_remembered() {
        let plan = plan(&["ct.a", "ct.b"], &[], &["ct.a", "ct.b", "ct.unchanged"]);
        let after = applied_memory(&memory(&["ct.other"]), &plan, &done(&["ct.a"]), Verb::Apply, None);
        assert_eq!(after, memory(&["ct.a", "ct.other", "ct.unchanged"]));
    }

    #[test]
    fn what_a_last_look_still_lists_is_not_remembered_as_applied() {
        let applied = plan(&["ct.a", "ct.b"], &[], &["ct.a", "ct.b", "ct.moved-meanwhile"]);
        let left = plan(&[], &["ct.b", "ct.moved-meanwhile"], &[]);
        let done = done(&["ct.a", "ct.b"]);
        assert_eq!(applied_memory(&Memory::new(), &applied, &done, Verb::Apply, Some(&left)), memory(&["ct.a"]));
    }

    #[test]
    fn what_a_last_look_finds_not_destroyed_is_not_forgotten() {
        let plan = plan(&["ct.a"], &["ct.a"], &[]);
        let before = memory(&["ct.a"]);
        assert_eq!(applied_memory(&before, &plan, &done(&["ct.a"]), Verb::Destroy, Some(&plan)), before);
    }

    #[test]
    fn what_was_taken_back_is_not_remembered() {
        let plan = plan(&["ct.a"], &[], &["ct.a"]);
        let mut state = done(&["ct.a"]);
        let undone = |step: &mut StepState| step.undo = Some(Some(Outcome::Done));
        state.steps.values_mut().for_each(undone);
        assert_eq!(applied_memory(&Memory::new(), &plan, &state, Verb::Apply, None), Memory::new());
    }

    #[test]
    fn a_destroyed_guest_is_forgotten_with_its_firewall() {
        let plan = plan(&["ct.a"], &["ct.a", "ct.b"], &[]);
        let before = memory(&["ct.a", "guest_firewall.a", "snippet.b"]);
        assert_eq!(applied_memory(&before, &plan, &done(&["ct.a"]), Verb::Destroy, None), memory(&["snippet.b"]));
    }
}
