//! Events folded into the state of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Event, Outcome, RunId, RunOutcome, StepOutline, What};
use crate::model::Upid;
use crate::model::step::StepId;

/// What is known of a run after some of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// Which run; absent before its first event.
    pub run: Option<RunId>,
    /// Of which inventory.
    pub inventory: String,
    /// `apply` or `destroy`.
    pub verb: String,
    /// Who ran it.
    pub operator: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When the last event happened.
    pub last: Option<Timestamp>,
    /// Its steps in the plan's order.
    pub outline: Vec<StepOutline>,
    /// Steps that began.
    pub steps: BTreeMap<StepId, StepState>,
    /// How it ended; absent while it runs, or when it was killed.
    pub outcome: Option<RunOutcome>,
}

/// What is known of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The operation that was begun last, with its title, and whether it is known to have ended.
    pub op: Option<(usize, String, bool)>,
    /// The last task that it started.
    pub task: Option<Upid>,
    /// The last thing that the host said about it.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How its undo ended; `Some(None)` while it runs.
    pub undo: Option<Option<Outcome>>,
}

impl StepState {
    fn new(started: Timestamp) -> Self {
        Self { started, finished: None, op: None, task: None, note: None, outcome: None, undo: None }
    }
}

impl RunState {
    /// Takes one more event in.
    pub fn apply(&mut self, event: &Event) {
        self.last = Some(event.at);
        match &event.what {
            What::RunStarted { run, inventory, verb, operator, steps, .. } => {
                self.run = Some(run.clone());
                self.inventory.clone_from(inventory);
                self.verb.clone_from(verb);
                self.operator.clone_from(operator);
                self.started = Some(event.at);
                self.outline.clone_from(steps);
            }
            What::StepStarted { step } => {
                self.steps.insert(step.clone(), StepState::new(event.at));
            }
            What::OpStarted { step, op, title } => self.with(step, |s| s.op = Some((*op, title.clone(), false))),
            What::TaskStarted { step, upid } => self.with(step, |s| s.task = Some(upid.clone())),
            What::TaskLog { step, lines } => self.with(step, |s| s.note = lines.last().cloned().or(s.note.take())),
            What::Waiting { step, why } => self.with(step, |s| s.note = Some(why.clone())),
            What::OpFinished { step, .. } => self.with(step, |s| {
                if let Some(op) = &mut s.op {
                    op.2 = true;
                }
                s.note = None;
            }),
            What::StepFinished { step, outcome } => {
                // a step that was skipped never began
                let state = self.steps.entry(step.clone()).or_insert_with(|| StepState::new(event.at));
                state.outcome = Some(outcome.clone());
                state.finished = Some(event.at);
            }
            What::UndoStarted { step } => self.with(step, |s| s.undo = Some(None)),
            What::UndoFinished { step, outcome } => self.with(step, |s| s.undo = Some(Some(outcome.clone()))),
            What::Note { .. } => {}
            What::RunFinished { outcome } => self.outcome = Some(*outcome),
        }
    }

    fn with(&mut self, step: &StepId, change: impl FnOnce(&mut StepState)) {
        if let Some(state) = self.steps.get_mut(step) {
            change(state);
        }
    }

    /// Steps that began and did not end, in the plan's order.
    pub fn running(&self) -> impl Iterator<Item = (&StepOutline, &StepState)> {
        self.outline.iter().filter_map(|outline| {
            let state = self.steps.get(&outline.id)?;
            state.outcome.is_none().then_some((outline, state))
        })
    }

    /// How many steps ended well.
    #[must_use]
    pub fn done(&self) -> usize {
        self.steps.values().filter(|s| matches!(s.outcome, Some(Outcome::Done | Outcome::Warning { .. }))).count()
    }
}

/// The state after all of `events`.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> RunState {
    let mut state = RunState::default();
    for event in events {
        state.apply(event);
    }
    state
}
