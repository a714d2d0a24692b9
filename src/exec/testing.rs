//! Steps and plans for tests.

use std::collections::BTreeMap;

use crate::event::RunId;
use crate::exec::Opening;
use crate::model::change::{Risk, Via};
use crate::model::step::{Op, Step, StepId, Undo};
use crate::plan::Plan;

/// A step on host `hq` with nothing to take back.
pub fn step(name: &str, ops: Vec<Op>) -> Step {
    Step {
        id: StepId(name.to_owned()),
        addr: "ct.proj-x".parse().unwrap(),
        title: format!("do {name}"),
        host: "hq".parse().unwrap(),
        inside: None,
        via: Via::Api,
        ops,
        undo: Undo::nothing("it is a test"),
        risk: Risk::None,
        needs: Vec::new(),
        exclusive: Vec::new(),
    }
}

/// A plan of these steps and nothing else.
pub fn plan_of(steps: Vec<Step>) -> Plan {
    Plan {
        format: Plan::FORMAT,
        infra: "test".into(),
        inventory: "t".parse().unwrap(),
        scope: crate::plan::Scope::default(),
        changes: Vec::new(),
        steps,
        preconditions: BTreeMap::new(),
        orphans: Vec::new(),
        gaps: Vec::new(),
        notes: Vec::new(),
        memory: BTreeMap::new(),
    }
}

/// How every run of a test opens.
pub fn opening() -> Opening {
    Opening { run: RunId("r1".to_owned()), verb: "apply".to_owned(), operator: "me@here".to_owned() }
}
