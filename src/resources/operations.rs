//! Short ways to say the operations that steps are made of.

use std::collections::BTreeMap;

use crate::model::change::{Risk, Via};
use crate::model::step::{Condition, Expect, Matcher, Op, Step, StepId, Undo};
use crate::model::{Addr, HostName};
use crate::ports::Request;

/// A step without needs, risk or undo, to be completed.
pub fn step(addr: &Addr, what: &str, title: impl Into<String>, host: &HostName, ops: Vec<Op>) -> Step {
    let ssh = |op: &Op| match op {
        Op::Exec { .. } | Op::PutFile { .. } | Op::Guard { .. } => Some(Via::Ssh),
        Op::Call { .. } | Op::Task { .. } | Op::Obtain { .. } => Some(Via::Api),
        Op::Await { .. } => None,
    };
    let via = ops.iter().filter_map(ssh).reduce(Via::and).unwrap_or(Via::Api);
    Step {
        id: StepId::new(addr, what),
        addr: addr.clone(),
        title: title.into(),
        host: host.clone(),
        inside: None,
        via,
        ops,
        undo: Undo::nothing("it changes nothing that lasts"),
        risk: Risk::None,
        needs: Vec::new(),
        exclusive: Vec::new(),
    }
}

/// A call that is finished when it answers.
pub fn call(request: impl Into<Request>) -> Op {
    Op::Call { request: request.into(), landed: None }
}

/// A call whose lost answer can be made up for by looking.
pub fn call_until(request: impl Into<Request>, landed: Condition) -> Op {
    Op::Call { request: request.into(), landed: Some(landed) }
}

/// A call that starts a task.
pub fn task(request: impl Into<Request>, landed: Condition) -> Op {
    Op::Task { request: request.into(), landed: Some(landed) }
}

/// A command over SSH.
pub fn exec<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Op {
    Op::Exec { argv: argv.into_iter().map(Into::into).collect() }
}

/// A line for a shell, over SSH.
pub fn script(text: impl Into<String>) -> Op {
    exec(["sh".to_owned(), "-c".to_owned(), text.into()])
}

/// `apt-get` without questions, in the words of a shell; another one that runs is waited for.
pub fn apt_get(what: &str) -> String {
    format!("DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 {what}")
}

/// Looks once whether it is so.
pub fn check(condition: Condition, otherwise: impl Into<String>) -> Op {
    within(0, condition, otherwise)
}

/// Waits until it is so.
pub fn within(seconds: u32, condition: Condition, otherwise: impl Into<String>) -> Op {
    Op::Await { condition, within_s: seconds, otherwise: otherwise.into(), or_warn: false }
}

/// Waits until it is so; if it does not become so, that is worth a word and no failure.
pub fn within_or_warn(seconds: u32, condition: Condition, otherwise: impl Into<String>) -> Op {
    Op::Await { condition, within_s: seconds, otherwise: otherwise.into(), or_warn: true }
}

/// A GET whose data must hold all of `expect`.
pub fn answer(request: impl Into<Request>, expect: Vec<Expect>) -> Condition {
    Condition::Answer { request: request.into(), expect }
}

/// A command that must print exactly this.
pub fn output<S: Into<String>>(argv: impl IntoIterator<Item = S>, stdout: impl Into<String>) -> Condition {
    Condition::Output { argv: argv.into_iter().map(Into::into).collect(), stdout: stdout.into() }
}

/// `key` must be exactly this.
pub fn equals(key: &str, value: impl ToString) -> Expect {
    Expect::new(key, Matcher::Equals(value.to_string()))
}

/// `key` must be an option string with at least these.
pub fn options<K: Into<String>, V: Into<String>>(key: &str, wanted: impl IntoIterator<Item = (K, V)>) -> Expect {
    let wanted: BTreeMap<String, String> = wanted.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    Expect::new(key, Matcher::Options(wanted))
}

/// The steps by which something is made or changed: whoever refers to it waits for either.
pub fn written_by(addr: &Addr) -> [StepId; 2] {
    ["create", "update"].map(|verb| StepId::new(addr, verb))
}
