//! What happened, as data: a run is the fold of its events.
//!
//! Owns [`Event`] and [`RunState`], the pure fold of events. The journal is a file of these events,
//! one JSON object a line; progress and history are views of the fold. Knows nothing of how steps
//! are carried out.

mod fold;

pub use fold::{RunState, StepState, fold};

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::step::StepId;
use crate::model::{Addr, HostName, Upid};

/// The id of a run: its start in UTC and four random letters, `20261121T114500Z-kqzv`. Sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    /// A run that starts `at`, told from others of the same second by `seed`.
    #[must_use]
    pub fn new(at: Timestamp, seed: u64) -> Self {
        let letters: String =
            (0..4u32).map(|i| char::from(b'a' + u8::try_from((seed >> (8 * i)) % 26).unwrap_or(0))).collect();
        Self(format!("{}-{letters}", at.strftime("%Y%m%dT%H%M%SZ")))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Every variant but [`What::TaskLog`] and [`What::Waiting`] is journalled before
/// anything builds on it; those two may be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A run began.
    RunStarted {
        /// Which.
        run: RunId,
        /// Of which inventory.
        inventory: String,
        /// `apply` or `destroy`.
        verb: String,
        /// Who ran it, as `user@machine`.
        operator: String,
        /// The digest of the plan that it carries out.
        plan: String,
        /// Every step of it, in the plan's order.
        steps: Vec<StepOutline>,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// An operation is about to be carried out: written and synced before.
    OpStarted {
        /// Of which step.
        step: StepId,
        /// Its index in the step.
        op: usize,
        /// What it does, without secrets: `POST /nodes/pve1/qemu`.
        title: String,
    },
    /// An operation that started a task on the host.
    TaskStarted {
        /// Of which step.
        step: StepId,
        /// The task.
        upid: Upid,
    },
    /// New lines of a task's log.
    TaskLog {
        /// Of which step.
        step: StepId,
        /// The lines.
        lines: Vec<String>,
    },
    /// An operation waits or is tried again.
    Waiting {
        /// Of which step.
        step: StepId,
        /// For what.
        why: String,
    },
    /// An operation is done.
    OpFinished {
        /// Of which step.
        step: StepId,
        /// Its index in the step.
        op: usize,
        /// What came of it.
        outcome: Outcome,
    },
    /// A step is done.
    StepFinished {
        /// Which.
        step: StepId,
        /// What came of it.
        outcome: Outcome,
    },
    /// A step is being taken back.
    UndoStarted {
        /// Which.
        step: StepId,
    },
    /// A step was taken back, or not.
    UndoFinished {
        /// Which.
        step: StepId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Something about the run as a whole that the operator should know, such as a lease taken over.
    Note {
        /// One sentence.
        message: String,
    },
    /// The run ended.
    RunFinished {
        /// What came of it.
        outcome: RunOutcome,
    },
}

/// What a run's first event says of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutline {
    /// Its id.
    pub id: StepId,
    /// What it belongs to.
    pub addr: Addr,
    /// What it does.
    pub title: String,
    /// Where.
    pub host: HostName,
}

/// What came of an operation or a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is so.
    Done,
    /// It is so, and the host had something to say (`WARNINGS: n`).
    Warning {
        /// What.
        message: String,
    },
    /// It was not carried out.
    Skipped {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed {
        /// Why, with the host's own words and the tail of the task's log.
        why: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step is done and a second observation found no difference.
    Converged,
    /// Every step is done, but the second observation found something left.
    Unconverged,
    /// A step failed; what was done stands.
    Failed,
    /// A step failed, and everything was taken back.
    RolledBack,
    /// A step failed, and not everything could be taken back.
    Stuck,
    /// The operator stopped it; what was done stands.
    Interrupted,
}
