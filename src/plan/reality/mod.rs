//! What a plan asks of its hosts held against what they have: space, memory, names, snapshots.
//!
//! One file per rule, named as its code; each is a pure function of plan, blueprint and observation. A rule refuses
//! only what cannot work; what merely may go wrong is a note. What was not observed refuses nothing.

mod guest_names;
mod host_memory;
mod snapshots;
mod storage_space;

pub use storage_space::{Demands, Fit, demands as storage_demands, round};

use super::Plan;
use crate::blueprint::{Blueprint, Guest};
use crate::diag::Diagnostics;
use crate::model::Addr;
use crate::model::change::Action;
use crate::model::observed::Observed;
use crate::resources::guest_of;

/// What a rule looks at.
#[derive(Clone, Copy)]
struct Sight<'a> {
    plan: &'a Plan,
    blueprint: &'a Blueprint,
    observed: &'a Observed,
}

/// What rules found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub problems: Diagnostics,
    pub notes: Vec<String>,
}

/// Every rule, in the order in which its findings are said.
const RULES: [fn(Sight<'_>, &mut Findings); 4] =
    [storage_space::check, host_memory::check, guest_names::check, snapshots::check];

/// Holds a plan against every rule.
pub(super) fn check(plan: &Plan, blueprint: &Blueprint, observed: &Observed) -> Findings {
    let mut findings = Findings::default();
    for rule in RULES {
        rule(Sight { plan, blueprint, observed }, &mut findings);
    }
    findings
}

impl<'a> Sight<'a> {
    /// Guests that the plan makes, whole.
    fn made(self) -> impl Iterator<Item = (&'a Addr, &'a Guest)> {
        let made = |action: Action| matches!(action, Action::Create | Action::Replace);
        self.changed().filter(move |(_, _, action)| made(*action)).map(|(addr, guest, _)| (addr, guest))
    }

    /// Guests that the plan changes in any way.
    fn changed(self) -> impl Iterator<Item = (&'a Addr, &'a Guest, Action)> {
        self.plan
            .changes
            .iter()
            .filter_map(move |change| Some((&change.addr, guest_of(self.blueprint, &change.addr)?, change.action)))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_a_rule_and_every_rule_a_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/reality");
        let files = std::fs::read_dir(folder).unwrap().filter(|f| f.as_ref().unwrap().file_name() != "mod.rs").count();
        assert_eq!(files, super::RULES.len());
    }
}
