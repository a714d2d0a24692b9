//! Carrying out a plan, as `apply` and `destroy` do it: lease, second look, run, third look.

use std::cell::RefCell;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{Output, RunArgs};
use super::context::Context;
use super::planning::{self, Intent};
use super::{CommandError, Exit, error, lease};
use crate::diag::Diagnostic;
use crate::event::{Outcome, RunId, RunOutcome, RunState};
use crate::exec::{self, Applied, Ended, Opening, Options, Record, Stop, journal};
use crate::model::{Addr, Kind};
use crate::plan::{self, Memory, Plan};
use crate::ui::{Progress, Writer, json, run_end};

/// What is carried out, and how it is planned anew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    /// Make the hosts be what the inventory says.
    Apply,
    /// Remove what is ours.
    Destroy,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        }
    }

    /// What is still to be done by this verb.
    pub async fn plan(self, context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
        match self {
            Self::Apply => planning::plan(context, intent).await,
            Self::Destroy => planning::teardown(context, intent).await,
        }
    }
}

/// One plan about to be carried out.
pub(super) struct Execution<'a> {
    pub context: &'a Context,
    pub intent: &'a Intent,
    pub verb: Verb,
    pub plan: &'a Plan,
    pub args: &'a RunArgs,
    /// Lines instead of something drawn over, as logs go the same way.
    pub lines: bool,
}

impl Execution<'_> {
    /// Takes the leases, looks again, and carries the plan out.
    pub async fn run(&self, writer: &mut Writer) -> Result<Exit, CommandError> {
        let stop = Stop::default();
        let mut signals = Signals::listen()?;
        let run = RunId::new(self.context.clock.now(), fastrand::u64(..));
        let wait = Duration::from_secs(self.args.lock_wait);
        let lease = lease::take(self.context, self.verb, &run, wait, &stop, writer);
        let leases = signals.or_interrupted(async { lease.await.map_err(|e| error::lease(&e)) }).await?;
        for note in leases.notes() {
            writer.tell(&format!("{note}\n"));
        }
        let ended = self.leased(run, &stop, &mut signals, writer).await;
        for problem in leases.release().await {
            writer.tell(&format!("{problem}\n"));
        }
        ended
    }

    async fn leased(
        &self,
        run: RunId,
        stop: &Stop,
        signals: &mut Signals,
        writer: &mut Writer,
    ) -> Result<Exit, CommandError> {
        let now = signals.or_interrupted(self.verb.plan(self.context, self.intent)).await?;
        refuse_stale(self.plan, &now)?;

        let context = self.context;
        let console = RefCell::new((Progress::new(writer.err(), self.lines), writer));
        let failed_answer = RefCell::new(None);
        let jsonl = self.args.output.output == Output::Jsonl;
        let sink = |event: &crate::event::Event| {
            let (progress, writer) = &mut *console.borrow_mut();
            if jsonl {
                let line = json::event_line(event).map_err(CommandError::from);
                let written = line.and_then(|line| Ok(writer.answer(&line)?));
                *failed_answer.borrow_mut() = written.err();
            }
            progress.on(event, writer);
        };
        let clock = std::sync::Arc::clone(&context.clock);
        let opening = Opening { run, verb: self.verb.as_str().to_owned(), operator: lease::operator() };
        let mut record = Record::start(&context.state, self.plan, opening, clock, sink)?;
        let options = Options { parallelism: self.args.parallelism.into(), on_failure: self.args.on_failure.into() };
        let applied = {
            let running = exec::apply(self.plan, &context.doors, &mut record, stop, &options);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    applied = &mut running => break applied?,
                    () = signals.next() => {
                        let (progress, writer) = &mut *console.borrow_mut();
                        progress.print(interrupt(stop), writer);
                    }
                }
            }
        };
        let state = match applied.ended {
            Ended::Done => self.prove(record, &console).await?,
            _ => {
                let state = record.state().clone();
                drop(record);
                (state, None)
            }
        };
        let (mut progress, writer) = console.into_inner();
        progress.clear();
        if let Some(error) = failed_answer.into_inner() {
            return Err(error);
        }
        let (state, left) = state;
        remember(context, self.plan, &state, self.verb)?;
        self.say(&applied, &state, left.as_ref(), writer)
    }

    /// Looks whether everything is as it should be now, and closes the run with the answer.
    async fn prove<'c>(
        &self,
        record: Record<'c>,
        console: &RefCell<(Progress, &mut Writer)>,
    ) -> Result<(RunState, Option<Plan>), CommandError> {
        {
            let (progress, writer) = &mut *console.borrow_mut();
            progress.print("looking again whether everything is as it should be\n", writer);
        }
        match self.verb.plan(self.context, self.intent).await {
            Ok(again) => {
                let clean = again.is_empty();
                let outcome = if clean { RunOutcome::Converged } else { RunOutcome::Unconverged };
                Ok((record.finish(outcome)?, (!clean).then_some(again)))
            }
            Err(error) => {
                record.finish(RunOutcome::Unconverged)?;
                Err(error)
            }
        }
    }

    fn say(
        &self,
        applied: &Applied,
        state: &RunState,
        left: Option<&Plan>,
        writer: &mut Writer,
    ) -> Result<Exit, CommandError> {
        match self.args.output.output {
            Output::Human => {
                let terminal = writer.out();
                writer.answer(&run_end(state, left, &terminal))?;
            }
            Output::Json => writer.answer(&json::pretty(&json::RunDocument::from(state))?)?,
            Output::Jsonl => {}
        }
        for manual in &applied.left {
            writer.tell(&format!("\nleft to do by hand on {}: {} ({})\n", manual.host, manual.title, manual.why));
            for command in &manual.commands {
                writer.tell(&format!("    {command}\n"));
            }
        }
        Ok(match applied.ended {
            Ended::Done if left.is_none() => Exit::Fine,
            Ended::Done | Ended::Failed => Exit::Failed,
            Ended::RolledBack => Exit::RolledBack,
            Ended::Stuck => Exit::Stuck,
            Ended::Interrupted => Exit::Interrupted,
        })
    }
}

/// Refuses a plan that does not fit any more, and says what moved.
pub(super) fn refuse_stale(plan: &Plan, now: &Plan) -> Result<(), CommandError> {
    let moved = plan::stale(plan, now);
    if moved.is_empty() {
        return Ok(());
    }
    let stale = Diagnostic::error("plan.stale", "the plan does not fit any more: something moved since it was made");
    let stale = moved.iter().fold(stale, |stale, moved| stale.cause(format!("{}: {}", moved.addr, moved.what)));
    Err(stale.hint("look at a new one with `infra plan`").into())
}

/// Keeps what was applied, so that the next plan can tell drift from intent. Of a run that did not get
/// through, what got through.
pub(super) fn remember(context: &Context, plan: &Plan, state: &RunState, verb: Verb) -> Result<(), CommandError> {
    let before = journal::recall(&context.state, &context.blueprint.name)?;
    let after = applied_memory(&before, plan, state, verb);
    if after != before {
        journal::remember(&context.state, &context.blueprint.name, &after)?;
    }
    Ok(())
}

fn applied_memory(before: &Memory, plan: &Plan, state: &RunState, verb: Verb) -> Memory {
    let mut memory = before.clone();
    let stands = |step: &crate::model::step::Step| {
        state
            .steps
            .get(&step.id)
            .is_some_and(|s| matches!(s.outcome, Some(Outcome::Done | Outcome::Warning { .. })) && s.undo.is_none())
    };
    for (addr, fields) in &plan.memory {
        if plan.steps.iter().filter(|step| step.addr == *addr).all(stands) {
            memory.insert(addr.clone(), fields.clone());
        }
    }
    if matches!(verb, Verb::Destroy) {
        for change in &plan.changes {
            if plan.steps.iter().filter(|step| step.addr == change.addr).all(stands) {
                memory.remove(&change.addr);
                if matches!(change.addr.kind, Kind::Vm | Kind::Container) {
                    // A guest's firewall goes with it, without a step of its own.
                    memory.remove(&Addr::new(Kind::GuestFirewall, &change.addr.name));
                }
            }
        }
    }
    memory
}

/// First stops cleanly, then at once; says which.
fn interrupt(stop: &Stop) -> &'static str {
    if stop.soon.is_cancelled() {
        stop.now.cancel();
        "stopping now; the journal tells what was under way\n"
    } else {
        stop.soon.cancel();
        "stopping: what runs is finished, nothing more begins (Ctrl-C again stops at once)\n"
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(|e| error::signals(&e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Does something that may be dropped at any moment.
    async fn or_interrupted<T>(
        &mut self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        tokio::select! {
            done = work => done,
            () = self.next() => Err(error::interrupted()),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::{StepState, What};
    use crate::model::change::{Action, Change, Risk, Via};
    use crate::model::step::{Op, Step, StepId, Undo};

    fn step(addr: &str) -> Step {
        let addr: Addr = addr.parse().unwrap();
        Step {
            id: StepId::new(&addr, "do"),
            title: "do something".to_owned(),
            addr,
            host: "hq".parse().unwrap(),
            via: Via::Api,
            ops: vec![Op::Exec { argv: vec!["true".to_owned()] }],
            undo: Undo::nothing("a test"),
            risk: Risk::None,
            needs: Vec::new(),
            exclusive: Vec::new(),
        }
    }

    fn change(addr: &str) -> Change {
        Change {
            addr: addr.parse().unwrap(),
            action: Action::Destroy,
            reason: String::new(),
            via: Via::Api,
            risk: Risk::None,
            drift: false,
            fields: Vec::new(),
        }
    }

    fn memory(addrs: &[&str]) -> Memory {
        addrs.iter().map(|addr| (addr.parse().unwrap(), [("memory".to_owned(), "4 GiB".to_owned())].into())).collect()
    }

    fn plan(steps: &[&str], destroyed: &[&str], remembered: &[&str]) -> Plan {
        Plan {
            format: Plan::FORMAT,
            infra: String::new(),
            inventory: "t".parse().unwrap(),
            changes: destroyed.iter().map(|addr| change(addr)).collect(),
            steps: steps.iter().map(|addr| step(addr)).collect(),
            preconditions: BTreeMap::new(),
            orphans: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            memory: memory(remembered),
        }
    }

    /// The state in which these steps are done, and no other began.
    fn done(addrs: &[&str]) -> RunState {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut state = RunState::default();
        for addr in addrs {
            let id = step(addr).id;
            for what in [
                What::StepStarted { step: id.clone() },
                What::StepFinished { step: id.clone(), outcome: Outcome::Done },
            ] {
                state.apply(&crate::event::Event { at, what });
            }
        }
        state
    }

    #[test]
    fn only_what_got_through_is_remembered() {
        let plan = plan(&["ct.a", "ct.b"], &[], &["ct.a", "ct.b", "ct.unchanged"]);
        let after = applied_memory(&memory(&["ct.other"]), &plan, &done(&["ct.a"]), Verb::Apply);
        assert_eq!(after, memory(&["ct.a", "ct.other", "ct.unchanged"]));
    }

    #[test]
    fn what_was_taken_back_is_not_remembered() {
        let plan = plan(&["ct.a"], &[], &["ct.a"]);
        let mut state = done(&["ct.a"]);
        let undone = |step: &mut StepState| step.undo = Some(Some(Outcome::Done));
        state.steps.values_mut().for_each(undone);
        assert_eq!(applied_memory(&Memory::new(), &plan, &state, Verb::Apply), Memory::new());
    }

    #[test]
    fn a_destroyed_guest_is_forgotten_with_its_firewall() {
        let plan = plan(&["ct.a"], &["ct.a", "ct.b"], &[]);
        let before = memory(&["ct.a", "guest_firewall.a", "snippet.b"]);
        assert_eq!(applied_memory(&before, &plan, &done(&["ct.a"]), Verb::Destroy), memory(&["snippet.b"]));
    }
}
