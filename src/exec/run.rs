//! The run: steps begun in order, events written in order, and the way back.

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::journal::JournalError;
use super::manual::Manual;
use super::record::Record;
use super::scheduler::Scheduler;
use super::step::{Left, StepEnd, carry_out_all};
use super::teller::{Said, Teller};
use super::undo::{manual, needs_of, take_back};
use crate::client::Doors;
use crate::event::{Outcome, RunOutcome, What};
use crate::model::step::{Step, StepId};
use crate::plan::Plan;

/// How the operator stops a run.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Nothing more begins, what runs is finished (first Ctrl-C, a lost lease).
    pub soon: CancellationToken,
    /// Everything is dropped where it stands (second Ctrl-C); the journal tells where that is.
    pub now: CancellationToken,
}

/// What happens to what was done when a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It stands.
    Keep,
    /// It is taken back.
    Rollback,
}

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many steps run at once.
    pub parallelism: usize,
    /// What happens to what was done when a step failed.
    pub on_failure: OnFailure,
}

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every step is done. The run is still open: what came of it is for a second observation to say.
    Done,
    /// A step failed; what was done stands.
    Failed,
    /// A step failed, and everything was taken back.
    RolledBack,
    /// A step failed, and not everything could be taken back.
    Stuck,
    /// The operator stopped it; what was done stands.
    Interrupted,
}

/// What came of carrying out a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// How it ended.
    pub ended: Ended,
    /// What is left to be done by hand, in order.
    pub left: Vec<Manual>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing may be done that cannot be written down first.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] JournalError),
}

/// Carries out a plan. Unless it ends [`Ended::Done`], the run's last event is written as well.
///
/// # Errors
/// When the journal could not be written any more. What was running then has ended, and its last
/// operation may have happened without being written down.
pub async fn apply(
    plan: &Plan,
    doors: &Doors,
    record: &mut Record<'_>,
    stop: &Stop,
    options: &Options,
) -> Result<Applied, RunError> {
    let mut run = Run::new(&plan.steps, doors, record, stop);
    let mut scheduler = Scheduler::new(&plan.steps, options.parallelism);
    let dropped = run.forward(&mut scheduler).await?;
    for (at, why) in scheduler.left() {
        let step = plan.steps[at].id.clone();
        run.record.note(What::StepFinished { step, outcome: Outcome::Skipped { why } })?;
    }
    let failed = run.ends.iter().any(|(_, left)| *left != Left::Whole);
    let mut applied = Applied { ended: Ended::Done, left: Vec::new() };
    if dropped {
        applied.ended = Ended::Interrupted;
    } else if failed && options.on_failure == OnFailure::Rollback {
        applied.left = run.back().await?;
        applied.ended = if applied.left.is_empty() { Ended::RolledBack } else { Ended::Stuck };
    } else if failed {
        applied.ended = Ended::Failed;
    } else if run.ends.len() < plan.steps.len() {
        applied.ended = if stop.soon.is_cancelled() { Ended::Interrupted } else { Ended::Failed };
    }
    let outcome = match applied.ended {
        Ended::Done => return Ok(applied),
        Ended::Failed => RunOutcome::Failed,
        Ended::RolledBack => RunOutcome::RolledBack,
        Ended::Stuck => RunOutcome::Stuck,
        Ended::Interrupted => RunOutcome::Interrupted,
    };
    record.note(What::RunFinished { outcome })?;
    Ok(applied)
}

struct Run<'r, 'a> {
    steps: &'r [Step],
    doors: &'r Doors,
    record: &'r mut Record<'a>,
    stop: &'r Stop,
    teller: Teller,
    heard: mpsc::UnboundedReceiver<Said>,
    /// Steps that ended, in the order in which they did, with what they left behind.
    ends: Vec<(usize, Left)>,
    broken: Option<JournalError>,
}

impl<'r, 'a> Run<'r, 'a> {
    fn new(steps: &'r [Step], doors: &'r Doors, record: &'r mut Record<'a>, stop: &'r Stop) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let teller = Teller::new(StepId(String::new()), tell);
        Self { steps, doors, record, stop, teller, heard, ends: Vec::new(), broken: None }
    }

    /// Writes down what a step said; it goes on only once that is on disk.
    fn hear(&mut self, said: Said) {
        match self.record.note(said.what) {
            Ok(()) => {
                if let Some(written) = said.written {
                    // the step was dropped meanwhile
                    let _ = written.send(());
                }
            }
            Err(error) => self.broken = self.broken.take().or(Some(error)),
        }
    }

    fn hear_the_rest(&mut self) {
        while let Ok(said) = self.heard.try_recv() {
            self.hear(said);
        }
    }

    /// Runs steps until none is left that may begin. True if they were dropped where they stood.
    async fn forward(&mut self, scheduler: &mut Scheduler<'_>) -> Result<bool, RunError> {
        let mut running: JoinSet<(usize, StepEnd)> = JoinSet::new();
        loop {
            if self.stop.soon.is_cancelled() || self.broken.is_some() {
                scheduler.stop();
            }
            while let Some(at) = scheduler.begin() {
                let step = self.steps[at].clone();
                self.hear(Said { what: What::StepStarted { step: step.id.clone() }, written: None });
                let (doors, teller) = (self.doors.clone(), self.teller.of(step.id.clone()));
                running.spawn(async move { (at, carry_out_all(&doors, &step, &step.ops, false, &teller).await) });
            }
            tokio::select! {
                biased;
                () = self.stop.now.cancelled() => {
                    running.shutdown().await;
                    self.hear_the_rest();
                    return Ok(true);
                }
                Some(said) = self.heard.recv() => self.hear(said),
                ended = running.join_next() => {
                    let Some(ended) = ended else { break };
                    let (at, end) = ended.expect("a step neither panics nor is aborted");
                    self.hear_the_rest();
                    let well = end.left == Left::Whole;
                    scheduler.finish(at, well);
                    self.ends.push((at, end.left));
                    let finished = What::StepFinished { step: self.steps[at].id.clone(), outcome: end.outcome };
                    self.hear(Said { what: finished, written: None });
                }
                () = self.stop.soon.cancelled(), if !scheduler.is_stopped() => scheduler.stop(),
            }
        }
        self.broken.take().map_or(Ok(false), |error| Err(error.into()))
    }

    /// Takes back whatever was done, the last step first. What is left is for the operator.
    async fn back(&mut self) -> Result<Vec<Manual>, RunError> {
        let steps = self.steps;
        let mut left: Vec<Manual> = Vec::new();
        let mut standing: Vec<&Step> = Vec::new();
        for (at, end) in self.ends.clone().into_iter().rev() {
            let step = &steps[at];
            if end == Left::Nothing {
                continue;
            }
            let keeper = standing.iter().find(|stands| needs_of(steps, stands).contains(&step.id));
            let outcome = if let Some(keeper) = keeper {
                Outcome::Failed {
                    why: format!("not taken back, as {} needs it and still stands", keeper.id),
                    hint: None,
                }
            } else if self.stop.now.is_cancelled() {
                Outcome::Failed { why: "not taken back, as the run was stopped".to_owned(), hint: None }
            } else {
                self.record.note(What::UndoStarted { step: step.id.clone() })?;
                self.take_back(step, end).await?
            };
            if let Outcome::Failed { why, .. } = &outcome {
                left.push(manual(step, why.clone()));
                standing.push(step);
            }
            self.record.note(What::UndoFinished { step: step.id.clone(), outcome })?;
        }
        Ok(left)
    }

    async fn take_back(&mut self, step: &Step, end: Left) -> Result<Outcome, RunError> {
        let (doors, teller, step) = (self.doors.clone(), self.teller.of(step.id.clone()), step.clone());
        let mut running = JoinSet::new();
        running.spawn(async move { take_back(&doors, &step, end, &teller).await });
        loop {
            tokio::select! {
                biased;
                () = self.stop.now.cancelled() => {
                    running.shutdown().await;
                    self.hear_the_rest();
                    return Ok(Outcome::Failed { why: "stopped while it was taken back".to_owned(), hint: None });
                }
                Some(said) = self.heard.recv() => self.hear(said),
                Some(ended) = running.join_next() => {
                    self.hear_the_rest();
                    if let Some(error) = self.broken.take() {
                        return Err(error.into());
                    }
                    return Ok(ended.expect("an undo neither panics nor is aborted"));
                }
            }
        }
    }
}
