//! Taking steps back, the last one first.

use std::collections::BTreeSet;

use super::manual::{Manual, render};
use super::ops::{Hands, happened};
use super::step::{Left, carry_out_all};
use super::teller::Teller;
use crate::client::Doors;
use crate::event::Outcome;
use crate::model::step::{Step, StepId, Undo};

/// Takes one step back.
pub(super) async fn take_back(doors: &Doors, step: &Step, left: Left, teller: &Teller) -> Outcome {
    let ops = match &step.undo {
        Undo::Nothing { why } => return Outcome::Skipped { why: why.clone() },
        Undo::Irreversible { why } => {
            return Outcome::Failed { why: format!("it cannot be taken back: {why}"), hint: None };
        }
        Undo::Ops { ops } => ops,
    };
    if let (Left::Unknown(at), Some(session)) = (left, doors.session(&step.host)) {
        let shell = doors.shell_of(step);
        let hands = Hands::new(session, shell.as_deref(), doors.secrets());
        match happened(&hands, &step.ops, at, teller).await {
            Some(true) => {}
            Some(false) => return Outcome::Skipped { why: "it did not happen".to_owned() },
            // undoing what was never done may hit what somebody else made
            None => {
                let why = "nobody can tell whether it happened, so it was not touched".to_owned();
                return Outcome::Failed { why, hint: Some("look at it on the host first".to_owned()) };
            }
        }
    }
    carry_out_all(doors, step, ops, true, teller).await.outcome
}

/// What is left to be done by hand for a step that could not be taken back.
pub(super) fn manual(step: &Step, why: String) -> Manual {
    let commands = match &step.undo {
        Undo::Ops { ops } => render(ops, step.inside),
        Undo::Nothing { .. } | Undo::Irreversible { .. } => Vec::new(),
    };
    Manual { step: step.id.clone(), title: step.title.clone(), host: step.host.clone(), why, commands }
}

/// Everything that `step` needs, directly or not: what must stay while it stands.
pub(super) fn needs_of<'a>(steps: &'a [Step], step: &'a Step) -> BTreeSet<&'a StepId> {
    let mut all = BTreeSet::new();
    let mut open: Vec<&StepId> = step.needs.iter().collect();
    while let Some(id) = open.pop() {
        if all.insert(id) {
            open.extend(steps.iter().filter(|step| step.id == *id).flat_map(|step| &step.needs));
        }
    }
    all
}
