//! One node of the plan, down to the primitive operations.
//!
//! [`Op`] is closed and small: what it holds is data, so that a step can be saved, shown, checked
//! against the host's API description, rehearsed, journalled and carried out by an executor that
//! decides nothing. A new kind of resource adds no operation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::{Risk, Via};
use super::guard::{Guard, GuardAct};
use super::{Addr, Content, HostName, Inside, Keep};
use crate::ports::Request;

/// The id of a step, stable across runs: `ct.proj-x/create`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    /// The step of `addr` that is called `what`.
    #[must_use]
    pub fn new(addr: &Addr, what: &str) -> Self {
        Self(format!("{addr}/{what}"))
    }

    /// The resource that the step belongs to.
    #[must_use]
    pub fn addr(&self) -> Option<Addr> {
        self.0.rsplit_once('/').and_then(|(addr, _)| addr.parse().ok())
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One node of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// What it belongs to.
    pub addr: Addr,
    /// What it does, in the words of a progress line: `create VM 100`.
    pub title: String,
    /// Where: the host whose API and SSH door the operations go through.
    pub host: HostName,
    /// The guest in which its commands run and its files are written, instead of on the host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
    /// How.
    pub via: Via,
    /// What to do, in this order; the last ones read back that it is so.
    pub ops: Vec<Op>,
    /// How to take it back.
    pub undo: Undo,
    /// What it can cost.
    pub risk: Risk,
    /// Steps that must have succeeded before.
    pub needs: Vec<StepId>,
    /// Names of what no two steps may use at the same time, such as `hq/guest/104` or
    /// `hq/storage/local-zfs` (PVE locks them; waiting here is better than a lock timeout there).
    pub exclusive: Vec<String>,
}

impl Step {
    /// Every request that it sends to do its work and to look at it; not those that take it back.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.ops.iter().flat_map(Op::requests)
    }

    /// Every request that taking it back sends.
    pub fn undo_requests(&self) -> impl Iterator<Item = &Request> {
        let ops = if let Undo::Ops { ops } = &self.undo { ops.as_slice() } else { &[] };
        ops.iter().flat_map(Op::requests)
    }
}

impl Op {
    /// The requests that it sends, looks included.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let (sent, look) = match self {
            Self::Call { request, landed } | Self::Task { request, landed } => (Some(request), landed.as_ref()),
            Self::Obtain { request, .. } => (Some(request), None),
            Self::Await { condition, .. } => (None, Some(condition)),
            Self::Exec { .. } | Self::PutFile { .. } | Self::Guard { .. } => (None, None),
        };
        let looked = look.and_then(|condition| match condition {
            Condition::Answer { request, .. } | Condition::Answers { request } => Some(request),
            Condition::Output { .. } => None,
        });
        sent.into_iter().chain(looked)
    }
}

/// One primitive operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// A call that is finished when it answers.
    Call {
        /// What is sent.
        request: Request,
        /// True as soon as the call has had its effect: tells what became of a call whose answer got lost.
        landed: Option<Condition>,
    },
    /// A call that answers with the id of a task, which is followed to its end.
    Task {
        /// What is sent.
        request: Request,
        /// As in [`Op::Call`], for an answer that got lost before the task's id was known.
        landed: Option<Condition>,
    },
    /// A call whose answer holds something secret, which is kept in memory for what follows in this step. What it makes
    /// ends by itself if nobody uses it, so it may be sent again.
    Obtain {
        /// What is sent.
        request: Request,
        /// What of its answer is kept.
        keep: Keep,
    },
    /// A command over SSH. Its exit code is evidence, not proof: an [`Op::Await`] follows it.
    Exec {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// A file, written under a temporary name beside the target, then renamed over it.
    PutFile {
        /// Where, absolute.
        path: String,
        /// What; its secrets are put in on the way.
        content: Content,
        /// Permission bits, such as `0o644`; the owner is who we are logged in as.
        mode: u32,
    },
    /// Waits until something is true; with `within_s: 0` it is looked at once.
    Await {
        /// What.
        condition: Condition,
        /// For how many seconds at most.
        within_s: u32,
        /// What it means if it does not become true, and what to do; shown to the operator.
        otherwise: String,
        /// Whether the step has done its work all the same: it is then a warning and no failure.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        or_warn: bool,
    },
    /// Part of a change that can cut our own path: [`GuardAct::Arm`], what is changed, [`GuardAct::Reconnect`],
    /// [`GuardAct::Disarm`], in this order and in one list.
    Guard {
        /// What the host takes back unless it is disarmed.
        guard: Guard,
        /// Which part.
        #[serde(flatten)]
        act: GuardAct,
    },
}

/// Something that can be looked at without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "look", rename_all = "snake_case")]
pub enum Condition {
    /// A GET that answers 200 with all of this in its `data`.
    Answer {
        /// What is asked; always a GET.
        request: Request,
        /// What must be in the answer.
        expect: Vec<Expect>,
    },
    /// A POST or GET that merely has to be answered with 200, such as a guest agent's `ping`.
    Answers {
        /// What is asked; it must change nothing.
        request: Request,
    },
    /// A command over SSH that exits with 0 and prints exactly this, white space at the end aside.
    Output {
        /// Program and arguments; it must change nothing.
        argv: Vec<String>,
        /// What it must print.
        stdout: String,
    },
}

/// One thing that must hold of an answer's `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// A key of the object in `data`; empty for `data` itself.
    pub key: String,
    /// What must hold of it.
    pub is: Matcher,
}

impl Expect {
    /// `key` must be `matcher`.
    pub fn new(key: impl Into<String>, is: Matcher) -> Self {
        Self { key: key.into(), is }
    }
}

/// How a value of an answer is held against what is wanted. Scalars are compared as text, since PVE
/// prints the same number now as a number, now as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matcher {
    /// Exactly this text, trailing line breaks aside.
    Equals(String),
    /// An option string with at least these options, in any order.
    Options(BTreeMap<String, String>),
    /// A text with this in it.
    Contains(String),
    /// There, whatever it is.
    Present,
    /// Not there.
    Absent,
    /// An array with an object whose given key has the given value.
    HasItem(String, String),
    /// An array without such an object.
    LacksItem(String, String),
    /// A text with exactly these words, in any order and case, whatever separates them.
    Words(BTreeSet<String>),
    /// An array with an option string that has at least these options.
    HasOptions(BTreeMap<String, String>),
}

/// How to take a step back; computed when planning, and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// By these operations.
    Ops {
        /// In this order.
        ops: Vec<Op>,
    },
    /// There is nothing to take back.
    Nothing {
        /// Why not.
        why: String,
    },
    /// It cannot be taken back.
    Irreversible {
        /// Why not.
        why: String,
    },
}

impl Undo {
    /// Nothing to take back, because.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing { why: why.into() }
    }

    /// Cannot be taken back, because.
    pub fn irreversible(why: impl Into<String>) -> Self {
        Self::Irreversible { why: why.into() }
    }
}
