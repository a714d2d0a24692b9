//! Which step may begin now: pure bookkeeping over the graph of a plan's steps.
//!
//! Owns the order (`needs`), the exclusion (`exclusive`) and the bound on how many run at once. Does
//! nothing itself: [`Scheduler::begin`] says what to begin, the caller says with
//! [`Scheduler::finish`] what came of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::step::{Step, StepId};

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    Failed,
}

/// Which step may begin now.
#[derive(Debug)]
pub struct Scheduler<'a> {
    steps: &'a [Step],
    index: BTreeMap<&'a StepId, usize>,
    states: Vec<State>,
    busy: BTreeSet<&'a str>,
    running: usize,
    bound: usize,
    stopped: bool,
}

impl<'a> Scheduler<'a> {
    /// Begins with every step waiting; at most `bound` of them, and at least one, run at once.
    #[must_use]
    pub fn new(steps: &'a [Step], bound: usize) -> Self {
        Self {
            steps,
            index: steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect(),
            states: vec![State::Waiting; steps.len()],
            busy: BTreeSet::new(),
            running: 0,
            bound: bound.max(1),
            stopped: false,
        }
    }

    /// The next step to begin, by its place in the plan; `None` when nothing may begin right now.
    pub fn begin(&mut self) -> Option<usize> {
        if self.stopped || self.running >= self.bound {
            return None;
        }
        let at = (0..self.steps.len()).find(|at| self.is_ready(*at))?;
        self.states[at] = State::Running;
        self.running += 1;
        self.busy.extend(self.steps[at].exclusive.iter().map(String::as_str));
        Some(at)
    }

    fn is_ready(&self, at: usize) -> bool {
        let step = &self.steps[at];
        self.states[at] == State::Waiting
            && step.needs.iter().all(|need| self.index.get(need).is_some_and(|need| self.states[*need] == State::Done))
            && !step.exclusive.iter().any(|name| self.busy.contains(name.as_str()))
    }

    /// A step that was begun ended. After one that did not end well, nothing more begins.
    pub fn finish(&mut self, at: usize, well: bool) {
        debug_assert_eq!(self.states[at], State::Running, "only a running step can end");
        self.states[at] = if well { State::Done } else { State::Failed };
        self.running -= 1;
        for name in &self.steps[at].exclusive {
            self.busy.remove(name.as_str());
        }
        self.stopped |= !well;
    }

    /// Nothing more begins.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether nothing more begins.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether nothing runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running == 0
    }

    /// Every step that never began, with the reason, in the plan's order.
    #[must_use]
    pub fn left(&self) -> Vec<(usize, String)> {
        let failed: Vec<&StepId> = self.with(State::Failed).map(|at| &self.steps[at].id).collect();
        let mut blocked: BTreeMap<usize, &StepId> = BTreeMap::new();
        let mut left = Vec::new();
        // a plan's steps stand in an order that respects every need, so that one pass is enough
        for at in self.with(State::Waiting) {
            let root = self.steps[at].needs.iter().find_map(|need| {
                let need_at = self.index.get(need)?;
                if self.states[*need_at] == State::Failed { Some(need) } else { blocked.get(need_at).copied() }
            });
            let why = match (root, failed.first()) {
                (Some(root), _) => {
                    blocked.insert(at, root);
                    format!("it needs {root}, which failed")
                }
                (None, Some(first)) => format!("not begun, as {first} failed"),
                (None, None) if self.stopped => "not begun, as the run was stopped".to_owned(),
                (None, None) => "it needs a step that the plan does not have, or that needs it".to_owned(),
            };
            left.push((at, why));
        }
        left
    }

    fn with(&self, state: State) -> impl Iterator<Item = usize> {
        self.states.iter().enumerate().filter(move |(_, s)| **s == state).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::testing::step;

    fn named(name: &str, needs: &[&str], exclusive: &[&str]) -> Step {
        let mut step = step(name, Vec::new());
        step.needs = needs.iter().map(|need| StepId((*need).to_owned())).collect();
        step.exclusive = exclusive.iter().map(|name| (*name).to_owned()).collect();
        step
    }

    /// Steps in an order that respects needs, each needing some earlier ones and some of four locks.
    fn plans() -> impl Strategy<Value = Vec<Step>> {
        let one = (proptest::collection::vec(any::<prop::sample::Index>(), 0..3), 0u8..16);
        proptest::collection::vec(one, 1..24).prop_map(|rows| {
            let mut steps: Vec<Step> = Vec::new();
            for (at, (needs, locks)) in rows.into_iter().enumerate() {
                let mut step = named(&format!("s{at}"), &[], &[]);
                if at > 0 {
                    step.needs = needs.iter().map(|need| steps[need.index(at)].id.clone()).collect();
                }
                step.exclusive =
                    (0..4).filter(|bit| locks & (1 << bit) != 0 && bit % 2 == 0).map(|bit| format!("l{bit}")).collect();
                steps.push(step);
            }
            steps
        })
    }

    proptest! {
        #[test]
        fn order_and_exclusion_hold_and_every_step_runs_or_is_explained(
            steps in plans(),
            bound in 1usize..5,
            failing in proptest::option::of(any::<prop::sample::Index>()),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 64),
        ) {
            let failing = failing.map(|index| index.index(steps.len()));
            let mut scheduler = Scheduler::new(&steps, bound);
            let (mut running, mut done, mut failed): (Vec<usize>, BTreeSet<StepId>, bool) = (Vec::new(), BTreeSet::new(), false);
            let mut picks = picks.into_iter().cycle();
            loop {
                while let Some(at) = scheduler.begin() {
                    prop_assert!(!failed, "nothing begins after a failure");
                    prop_assert!(steps[at].needs.iter().all(|need| done.contains(need)));
                    for other in &running {
                        prop_assert!(steps[*other].exclusive.iter().all(|name| !steps[at].exclusive.contains(name)));
                    }
                    running.push(at);
                    prop_assert!(running.len() <= bound);
                }
                if running.is_empty() { break; }
                let at = running.swap_remove(picks.next().unwrap().index(running.len()));
                let well = Some(at) != failing;
                failed |= !well;
                scheduler.finish(at, well);
                if well { done.insert(steps[at].id.clone()); }
            }
            prop_assert!(scheduler.is_idle());
            let left = scheduler.left();
            let began = done.len() + usize::from(failed);
            prop_assert_eq!(began + left.len(), steps.len());
            if !failed { prop_assert!(left.is_empty()); }
        }
    }

    #[test]
    fn a_blocked_step_names_the_root_of_the_trouble_and_others_the_stop() {
        let steps = [named("a", &[], &[]), named("b", &["a"], &[]), named("c", &["b"], &[]), named("d", &[], &[])];
        let mut scheduler = Scheduler::new(&steps, 1);
        assert_eq!(scheduler.begin(), Some(0));
        scheduler.finish(0, false);
        let reasons: Vec<String> = scheduler.left().into_iter().map(|(_, why)| why).collect();
        assert_eq!(reasons, ["it needs a, which failed", "it needs a, which failed", "not begun, as a failed"]);
    }

    #[test]
    fn a_need_that_is_not_in_the_plan_is_explained() {
        let steps = [named("a", &["ghost"], &[])];
        let mut scheduler = Scheduler::new(&steps, 1);
        assert_eq!(scheduler.begin(), None);
        assert!(scheduler.left()[0].1.contains("does not have"));
    }
}
