//! One step from its first operation to its last.

use super::guard::{Armed, reconnect};
use super::ops::{Effect, Hands, OpError, Warning, carry_out};
use super::teller::Teller;
use crate::client::Doors;
use crate::event::{Outcome, What};
use crate::model::HostName;
use crate::model::guard::GuardAct;
use crate::model::step::{Op, Step, Undo};

/// What came of a list of operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepEnd {
    /// As the event says it.
    pub outcome: Outcome,
    /// What a failed one left behind, so that its undo knows what to expect.
    pub left: Left,
}

/// What a failed list of operations left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It is done as a whole.
    Whole,
    /// Nothing of it happened.
    Nothing,
    /// Some of it happened.
    Part,
    /// Nobody can tell whether this operation happened; nothing did before it.
    Unknown(usize),
}

/// Carries out `ops`, those of `step` or of its undo, in order until one fails. `undoing` is what is said before each title; what is
/// not there any more needs no undo.
pub(super) async fn carry_out_all(doors: &Doors, step: &Step, ops: &[Op], undoing: bool, teller: &Teller) -> StepEnd {
    let host = &step.host;
    let shell = doors.shell_of(step);
    let hands = doors.session(host).map(|session| Hands::new(session, shell.as_deref(), doors.secrets()));
    let mut warnings: Vec<String> = Vec::new();
    let mut changed = false;
    let mut armed: Option<Armed> = None;
    // Whether anything had happened when the guard was armed: what it does not hold, it does not take back.
    let mut changed_before: Option<bool> = None;
    for at in 0..ops.len() {
        let title = if undoing { format!("undo: {}", title(&ops[at])) } else { title(&ops[at]) };
        let begun = teller.say(What::OpStarted { step: teller.step(), op: at, title }).await;
        let ready = armed.as_ref().filter(|_| !is_guard(&ops[at])).map_or(Ok(()), |armed| armed.still_holds(doors));
        let done = match (begun, &hands) {
            (Ok(()), _) if ready.is_err() => ready.map(|()| None),
            (Ok(()), Some(_)) if is_guard(&ops[at]) => guard(doors, host, &ops[at], &mut armed, teller).await,
            (Ok(()), Some(hands)) => carry_out(hands, ops, at, teller).await,
            (Ok(()), None) => {
                Err(OpError { why: format!("host `{host}` has no door"), hint: None, effect: Effect::None })
            }
            (Err(unwritten), _) => Err(unwritten.into()),
        };
        let done = match done {
            Err(error) if undoing && error.effect == Effect::NothingThere => Ok(Some(error.why)),
            done => done,
        };
        // From here on only the host itself can take it back, or has.
        let (done, untouched) = match (done, armed.take()) {
            (Err(error), Some(held)) => {
                let (error, reverted) = held.give_up(doors, error, teller).await;
                (Err(error), reverted && changed_before.is_some_and(|before| !before))
            }
            (Err(error), None) if !undoing && changed && is_bare_look(&ops[at]) => {
                put_back(hands.as_ref(), step, error, teller).await
            }
            (done, held) => {
                armed = held;
                (done, false)
            }
        };
        let outcome = match &done {
            Ok(None) => Outcome::Done,
            Ok(Some(message)) => Outcome::Warning { message: message.clone() },
            Err(error) => Outcome::Failed { why: error.why.clone(), hint: error.hint.clone() },
        };
        let finished = What::OpFinished { step: teller.step(), op: at, outcome: outcome.clone() };
        // the effect stands whether or not it could be written down; the next operation will not begin
        let _ = teller.say(finished).await;
        match done {
            Ok(warning) => warnings.extend(warning),
            Err(error) => {
                let left = match error.effect {
                    _ if untouched => Left::Nothing,
                    _ if changed => Left::Part,
                    Effect::Unknown => Left::Unknown(at),
                    _ => Left::Nothing,
                };
                return StepEnd { outcome, left };
            }
        }
        match &ops[at] {
            Op::Guard { act: GuardAct::Arm, .. } => changed_before = Some(changed),
            Op::Guard { .. } | Op::Await { .. } => {}
            Op::Call { .. } | Op::Task { .. } | Op::Obtain { .. } | Op::Exec { .. } | Op::PutFile { .. } => {
                changed = true
            }
        }
    }
    let outcome = if warnings.is_empty() { Outcome::Done } else { Outcome::Warning { message: warnings.join("; ") } };
    StepEnd { outcome, left: Left::Whole }
}

/// A host is not reached any more by what it cannot take back itself: the step's own undo, at once.
async fn put_back(
    hands: Option<&Hands<'_>>,
    step: &Step,
    error: OpError,
    teller: &Teller,
) -> (Result<Warning, OpError>, bool) {
    let (Some(hands), Undo::Ops { ops }) = (hands, &step.undo) else { return (Err(error), false) };
    teller.waiting("until what the step changed is put back".to_owned());
    for at in 0..ops.len() {
        if let Err(failed) = carry_out(hands, ops, at, teller).await {
            let why = format!("{}; and what the step changed could not be put back: {}", error.why, failed.why);
            return (Err(OpError { why, ..error }), false);
        }
    }
    let why = format!("{}; what the step changed was put back", error.why);
    (Err(OpError { why, ..error }), true)
}

/// Whether it is a look whether hosts are still reached, with nothing armed on any.
fn is_bare_look(op: &Op) -> bool {
    matches!(op, Op::Guard { guard, act: GuardAct::Reconnect { .. } } if guard.seconds == 0)
}

fn is_guard(op: &Op) -> bool {
    matches!(op, Op::Guard { .. })
}

/// Carries out the part of a guard that stands at this place of a list.
async fn guard(
    doors: &Doors,
    host: &HostName,
    op: &Op,
    armed: &mut Option<Armed>,
    teller: &Teller,
) -> Result<Warning, OpError> {
    let not_armed = || OpError::new("the plan confirms a change that nothing guards", None, Effect::None);
    let Op::Guard { guard, act } = op else { return Err(not_armed()) };
    match act {
        GuardAct::Arm => {
            *armed = Some(Armed::arm(doors, host, guard, teller).await?);
            Ok(None)
        }
        GuardAct::Reconnect { hosts, after_s, within_s } => {
            // Without a guard nothing but this run takes the change back: what changed is not on the host.
            if armed.is_none() && guard.seconds > 0 {
                return Err(not_armed());
            }
            reconnect(doors, hosts, (*after_s, *within_s), teller).await?;
            Ok(None)
        }
        GuardAct::Disarm => {
            let warning = armed.as_ref().ok_or_else(not_armed)?.disarm(doors).await?;
            *armed = None;
            Ok(warning)
        }
    }
}

/// What an operation does, without any value that it sends.
pub(super) fn title(op: &Op) -> String {
    match op {
        Op::Call { request, .. } | Op::Task { request, .. } | Op::Obtain { request, .. } => {
            format!("{} {}", request.method, request.path)
        }
        Op::Exec { argv } => format!("run {}", argv.iter().take(3).cloned().collect::<Vec<_>>().join(" ")),
        Op::PutFile { path, .. } => format!("write {path}"),
        Op::Await { within_s: 0, .. } => "look whether it is so".to_owned(),
        Op::Await { within_s, .. } => format!("wait up to {within_s} s until it is so"),
        Op::Guard { guard, act } => match act {
            GuardAct::Arm => format!("arm the revert {} for {} s", guard.unit(), guard.seconds),
            GuardAct::Reconnect { .. } => "connect anew over SSH and to the API".to_owned(),
            GuardAct::Disarm => format!("disarm the revert {}", guard.unit()),
        },
    }
}
