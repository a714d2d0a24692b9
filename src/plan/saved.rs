//! The plan as a value, and as a file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Scope;
use crate::model::change::{Action, Change};
use crate::model::step::Step;
use crate::model::{Addr, EnvironmentName, HostName};

/// What would be done, complete: it can be saved, shown, checked, rehearsed and applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format; a reader refuses any other.
    pub format: u32,
    /// Version of the program that made it.
    pub infra: String,
    /// Whose plan it is.
    pub inventory: EnvironmentName,
    /// Which part of the inventory it is about.
    #[serde(default)]
    pub scope: Scope,
    /// What differs; nothing that is as it should be.
    pub changes: Vec<Change>,
    /// What will be done, in an order that respects every `needs`.
    pub steps: Vec<Step>,
    /// Digests of what was observed of each changed resource and of what it depends on. Apply reads
    /// them again and refuses when one moved.
    pub preconditions: BTreeMap<Addr, String>,
    /// What is ours and no longer in the inventory; never touched unless named.
    pub orphans: Vec<Orphan>,
    /// What could not be observed, and so is not planned.
    pub gaps: Vec<Gap>,
    /// What the operator should know, one sentence each.
    pub notes: Vec<String>,
    /// What every resource of the plan shall be, field by field: remembered after the run, so that a
    /// later plan can tell drift from intent.
    pub memory: Memory,
}

/// What was applied last: fields by resource.
pub type Memory = BTreeMap<Addr, BTreeMap<String, String>>;

/// Something of ours that the inventory does not know any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// What it is.
    pub addr: Addr,
    /// Where it is.
    pub host: HostName,
    /// What to know about it: `vmid 107 on pve1, running`.
    pub description: String,
}

/// Something that could not be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What is not planned because of it.
    pub addr: Addr,
    /// Why.
    pub why: String,
}

/// How many resources have which change pending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Summary {
    /// To be created.
    pub create: usize,
    /// To be changed in place.
    pub update: usize,
    /// To be changed with a restart.
    pub restart: usize,
    /// To be removed and made anew.
    pub replace: usize,
    /// To be removed.
    pub destroy: usize,
    /// Of all these, how many drifted.
    pub drift: usize,
}

impl Plan {
    /// The version of the saved form that this program reads and writes.
    pub const FORMAT: u32 = 1;

    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a look after it was carried out shows that it was: nothing is left to do, and all that it changed
    /// was seen again.
    #[must_use]
    pub fn is_proven_by(&self, again: &Self) -> bool {
        let changed: BTreeSet<&Addr> = self.changes.iter().map(|change| &change.addr).collect();
        again.is_empty() && !again.gaps.iter().any(|gap| changed.contains(&gap.addr))
    }

    /// How many resources have which change pending.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for change in &self.changes {
            match change.action {
                Action::None => {}
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Restart => summary.restart += 1,
                Action::Replace => summary.replace += 1,
                Action::Destroy => summary.destroy += 1,
            }
            summary.drift += usize::from(change.drift);
        }
        summary
    }
}
