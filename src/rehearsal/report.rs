//! What a rehearsal found.

use std::time::Duration;

use crate::event::{Outcome, RunState, StepOutline};
use crate::lab::twin::{Tempo, Untwinned};
use crate::plan::Plan;

/// What a rehearsal found.
#[derive(Debug, Clone)]
pub struct Report {
    /// On hosts that are quick; what is said of success and failure is said of this one.
    pub quick: Pass,
    /// On hosts that are slow; only for how long it takes, and for what then runs out of time.
    pub slow: Pass,
    /// What the twins have not, or have otherwise than the hosts.
    pub untwinned: Vec<Untwinned>,
    /// What was seen otherwise in the twins than on the hosts, before anything was done.
    pub unlike: Vec<String>,
}

/// The plan, carried out once.
#[derive(Debug, Clone)]
pub struct Pass {
    /// How fast the hosts were taken to be.
    pub tempo: Tempo,
    /// How long all of it took, by the twins' clock.
    pub took: Duration,
    /// Every step, with its times by the twins' clock.
    pub state: RunState,
    /// What the twins planned otherwise than was planned for the hosts, before anything was done: on these the
    /// rehearsal says nothing.
    pub strange: Vec<String>,
    /// Why nothing could be carried out, or no second plan be made; in the words of whoever refused.
    pub refused: Vec<String>,
    /// What a second plan still found to be done or could not see; absent if there was none, or it was empty.
    pub left: Option<Box<Plan>>,
    /// Requests to the API.
    pub calls: u64,
    /// Commands over SSH.
    pub commands: u64,
}

/// What is to be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every step was done, and a second plan is empty.
    Clean,
    /// A step failed.
    Failed,
    /// Every step was done, and something is still to be done.
    Unconverged,
    /// The twins are too unlike the hosts for what would be changed.
    Unlike,
}

impl Report {
    /// What is to be made of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.quick.verdict()
    }
}

impl Pass {
    /// What is to be made of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.failures().next().is_some() {
            Verdict::Failed
        } else if !self.strange.is_empty() {
            Verdict::Unlike
        } else if self.left.is_some() || !self.refused.is_empty() || self.state.done() < self.state.outline.len() {
            Verdict::Unconverged
        } else {
            Verdict::Clean
        }
    }

    /// Steps that failed, with the host's own words.
    pub fn failures(&self) -> impl Iterator<Item = (&StepOutline, &str)> {
        self.state.outline.iter().filter_map(|outline| match self.state.steps.get(&outline.id)?.outcome.as_ref()? {
            Outcome::Failed { why, .. } => Some((outline, why.as_str())),
            _ => None,
        })
    }

    /// Steps that were not begun, as they hang on one that failed, or as no step begins after one did.
    pub fn skipped(&self) -> impl Iterator<Item = (&StepOutline, &str)> {
        self.state.outline.iter().filter_map(|outline| match self.state.steps.get(&outline.id) {
            None => Some((outline, "")),
            Some(state) => match state.outcome.as_ref()? {
                Outcome::Skipped { why } => Some((outline, why.as_str())),
                _ => None,
            },
        })
    }
}
