//! Carrying out a plan, as `apply` and `destroy` do it: lease, second look, run, third look.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::args::{OnFailure, Output, RunArgs};
use super::context::Context;
use super::memory::remember;
use super::planning::Intent;
use super::signals::{Signals, interrupt};
use super::verb::Verb;
use super::{CommandError, Exit, error, lease, secrets};
use crate::diag::Diagnostic;
use crate::event::{Event, RunId, RunOutcome, RunState};
use crate::exec::lease::Leases;
use crate::exec::{self, Applied, Ended, Opening, Options, Record, Stop};
use crate::plan::{self, Plan};
use crate::rehearsal::Report;
use crate::ui::{Progress, Writer, json, plural, run_end};

/// What a last look said of a run whose every step was done.
enum Look {
    /// The run did not get that far.
    NotTaken,
    /// Everything is as it should be.
    Clean,
    /// Something is still to be done, or cannot be seen any more.
    Left(Box<Plan>),
    /// The person did not wait for it.
    Interrupted,
    /// It could not be taken.
    Failed(CommandError),
}

/// One plan about to be carried out.
pub(super) struct Execution<'a> {
    pub context: &'a Context,
    pub intent: &'a Intent,
    pub verb: Verb,
    pub plan: &'a Plan,
    pub args: &'a RunArgs,
    /// What a rehearsal of it found, if there was one.
    pub rehearsal: Option<&'a Report>,
    /// Lines instead of something drawn over, as logs go the same way.
    pub lines: bool,
}

/// Where events are shown while they happen.
type Console<'w> = RefCell<(Progress, &'w mut Writer)>;

impl Execution<'_> {
    /// Takes the leases, looks again, and carries the plan out.
    pub async fn run(&self, writer: &mut Writer) -> Result<Exit, CommandError> {
        let stop = Stop::default();
        let mut signals = Signals::listen()?;
        let run = RunId::new(self.context.clock.now(), fastrand::u64(..));
        let wait = Duration::from_secs(self.args.lock_wait);
        let sites = lease::touched(self.plan, &self.context.blueprint);
        let taking = lease::take(self.context, &sites, self.verb, &run, wait, stop.soon.clone(), writer);
        let leases = signals.or_interrupted(async { taking.await.map_err(|e| error::lease(&e)) }).await?;
        for note in leases.notes() {
            writer.tell(&format!("{note}\n"));
        }
        let ended = self.leased(run, &stop, &leases, &mut signals, writer).await;
        lease::give_back(leases, &mut signals, writer).await;
        ended
    }

    async fn leased(
        &self,
        run: RunId,
        stop: &Stop,
        leases: &Leases,
        signals: &mut Signals,
        writer: &mut Writer,
    ) -> Result<Exit, CommandError> {
        let now = signals.or_interrupted(self.verb.plan(self.context, self.intent)).await?;
        refuse_stale(self.plan, &now)?;
        secrets::gather(self.context, self.plan, writer)?;

        let context = self.context;
        let console = RefCell::new((Progress::new(writer.err(), self.lines), writer));
        let failed_answer = RefCell::new(None);
        let jsonl = self.args.output.output == Output::Jsonl;
        let sink = |event: &Event| {
            let (progress, writer) = &mut *console.borrow_mut();
            if jsonl {
                let line = json::event_line(event).map_err(CommandError::from);
                let written = line.and_then(|line| Ok(writer.answer(&line)?));
                *failed_answer.borrow_mut() = written.err();
            }
            progress.on(event, writer);
        };
        let opening = Opening { run, verb: self.verb.as_str().to_owned(), operator: lease::operator() };
        let mut record = Record::start(&context.state, self.plan, opening, Arc::clone(&context.clock), sink)?;
        let applied = self.carry_out(&mut record, stop, leases, signals, &console).await?;
        let (state, look) = match applied.ended {
            Ended::Done => self.look(record, signals, &console).await?,
            _ => {
                let state = record.state().clone();
                drop(record);
                (state, Look::NotTaken)
            }
        };
        let (mut progress, writer) = console.into_inner();
        progress.clear();
        if let Some(error) = failed_answer.into_inner() {
            return Err(error);
        }
        let left = if let Look::Left(left) = &look { Some(&**left) } else { None };
        remember(context, self.plan, &state, self.verb, left)?;
        self.say(&applied, &state, left, writer)?;
        if matches!(look, Look::Clean) {
            secrets::settle(context, self.intent, self.verb)?;
        }
        if let (Ended::Interrupted, Some(why)) = (applied.ended, leases.lost()) {
            return Err(lease::lost(&why));
        }
        verdict(applied.ended, look)
    }

    /// Runs the steps while it listens to the person and to the leases.
    async fn carry_out(
        &self,
        record: &mut Record<'_>,
        stop: &Stop,
        leases: &Leases,
        signals: &mut Signals,
        console: &Console<'_>,
    ) -> Result<Applied, CommandError> {
        let print = |text: &str| {
            let (progress, writer) = &mut *console.borrow_mut();
            progress.print(text, writer);
        };
        let on_failure = self.args.on_failure.unwrap_or(match self.verb {
            // What is new and not healthy is of no use to anybody.
            Verb::Deploy => OnFailure::Rollback,
            Verb::Apply | Verb::Destroy | Verb::Prepare | Verb::Rollback => OnFailure::Keep,
        });
        let options = Options { parallelism: self.args.parallelism.into(), on_failure: on_failure.into() };
        let running = exec::apply(self.plan, &self.context.doors, record, stop, &options);
        tokio::pin!(running);
        let mut stopping = false;
        loop {
            tokio::select! {
                applied = &mut running => return Ok(applied?),
                () = signals.next() => {
                    stopping = true;
                    print(interrupt(stop));
                }
                () = stop.soon.cancelled(), if !stopping => {
                    stopping = true;
                    let why = leases.lost().unwrap_or_default();
                    print(&format!("stopping: the lease was lost: {why}; what runs is finished, nothing more begins\n"));
                }
            }
        }
    }

    /// Looks whether everything is as it should be now, and closes the run with the answer.
    async fn look(
        &self,
        record: Record<'_>,
        signals: &mut Signals,
        console: &Console<'_>,
    ) -> Result<(RunState, Look), CommandError> {
        {
            let (progress, writer) = &mut *console.borrow_mut();
            progress.print("looking again whether everything is as it should be\n", writer);
        }
        let look = tokio::select! {
            again = self.verb.plan_left(self.context, self.intent, self.plan) => match again {
                Ok(again) if self.plan.is_proven_by(&again) => Look::Clean,
                Ok(again) => Look::Left(Box::new(again)),
                Err(error) => Look::Failed(error),
            },
            () = signals.next() => Look::Interrupted,
        };
        let outcome = match look {
            Look::Clean => RunOutcome::Converged,
            Look::Interrupted => RunOutcome::Interrupted,
            Look::NotTaken | Look::Left(_) | Look::Failed(_) => RunOutcome::Unconverged,
        };
        Ok((record.finish(outcome)?, look))
    }

    fn say(
        &self,
        applied: &Applied,
        state: &RunState,
        left: Option<&Plan>,
        writer: &mut Writer,
    ) -> Result<(), CommandError> {
        match self.args.output.output {
            Output::Human => {
                let left = left.map(|left| (left, self.context.blueprint.hosts.len()));
                let terminal = writer.out();
                writer.answer(&run_end(state, left, &terminal))?;
            }
            Output::Json => {
                let rehearsal = self.rehearsal.map(Into::into);
                let document = json::RunDocument { rehearsal, ..json::RunDocument::from(state) };
                writer.answer(&json::pretty(&document)?)?;
            }
            Output::Jsonl => {}
        }
        for manual in &applied.left {
            writer.tell(&format!("\nleft to do by hand on {}: {} ({})\n", manual.host, manual.title, manual.why));
            for command in &manual.commands {
                writer.tell(&format!("    {command}\n"));
            }
        }
        Ok(())
    }
}

/// The exit code of a run that was told already.
fn verdict(ended: Ended, look: Look) -> Result<Exit, CommandError> {
    Ok(match (ended, look) {
        (_, Look::Failed(error)) => return Err(error),
        (Ended::Done, Look::Clean) => Exit::Fine,
        (Ended::Interrupted, _) | (Ended::Done, Look::Interrupted) => Exit::Interrupted,
        (Ended::Done | Ended::Failed, _) => Exit::Failed,
        (Ended::RolledBack, _) => Exit::RolledBack,
        (Ended::Stuck, _) => Exit::Stuck,
    })
}

/// Answers a program that asked for a run and gets none, as there is nothing to do.
pub(super) fn answer_unchanged(
    plan: &Plan,
    verb: Verb,
    output: Output,
    writer: &mut Writer,
) -> Result<(), CommandError> {
    let document = json::RunDocument::unchanged(&plan.inventory, verb.as_str(), lease::operator());
    match output {
        Output::Human => return Ok(()),
        Output::Json => writer.answer(&json::pretty(&document)?)?,
        Output::Jsonl => writer.answer(&json::line(&document)?)?,
    }
    tell_gaps(plan, output, writer);
    Ok(())
}

/// Says why the exit code will not be 0 where the plan itself is not shown.
pub(super) fn tell_gaps(plan: &Plan, output: Output, writer: &mut Writer) {
    if output != Output::Human && !plan.gaps.is_empty() {
        let count = plural(plan.gaps.len(), "resource", "resources");
        writer.tell(&format!("{count} could not be seen and not planned; `infra plan` says why\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_proven_is_not_fine() {
        let exit = |ended, look| verdict(ended, look).unwrap();
        assert_eq!(exit(Ended::Done, Look::Clean), Exit::Fine);
        assert_eq!(exit(Ended::Done, Look::Interrupted), Exit::Interrupted);
        assert_eq!(exit(Ended::Interrupted, Look::NotTaken), Exit::Interrupted);
        assert_eq!(exit(Ended::Failed, Look::NotTaken), Exit::Failed);
        assert_eq!(exit(Ended::RolledBack, Look::NotTaken), Exit::RolledBack);
        assert_eq!(exit(Ended::Stuck, Look::NotTaken), Exit::Stuck);
        let blind = CommandError::from(Diagnostic::error("host.unreachable", "hq cannot be asked"));
        assert_eq!(verdict(Ended::Done, Look::Failed(blind)).unwrap_err().exit, Exit::Failed);
    }
}
