//! The order of things in a rehearsal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::report::{Pass, Report};
use super::scratch::Scratch;
use super::twins::Twins;
use crate::blueprint::Blueprint;
use crate::diag::Diagnostics;
use crate::event::{Event, RunId, RunOutcome, RunState};
use crate::exec::{self, Ended, OnFailure, Opening, Options, Record, RunError, Stop, journal::JournalError};
use crate::lab::LabError;
use crate::lab::twin::{Tempo, TwinClock, Untwinned, unlike};
use crate::model::Kind;
use crate::model::observed::Observed;
use crate::model::step::{Op, StepId};
use crate::observe::{self, Interest};
use crate::plan::{self, Memory, Plan, Scope};
use crate::ports::{Clock, Method};
use crate::resources::{self, Allowed};

/// Between two looks at running tasks, and how many there are at most: a twin's tasks all end.
const QUIET_PAUSE: Duration = Duration::from_secs(2);
const QUIET_LOOKS: u32 = 900;

/// What is rehearsed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What should be; of the sites that were looked at.
    pub blueprint: &'a Blueprint,
    /// What is: what the plan was made from.
    pub observed: &'a Observed,
    /// What will be done.
    pub plan: &'a Plan,
    /// What was applied last.
    pub memory: &'a Memory,
    /// Which part is planned.
    pub scope: &'a Scope,
    /// What may be lost, by name.
    pub allowed: &'a Allowed,
    /// Steps that an earlier run began and of whose end nothing is known.
    pub unfinished: &'a BTreeSet<StepId>,
    /// How many steps run at once.
    pub parallelism: usize,
    /// When it was looked at: the twins' clock starts there.
    pub now: jiff::Timestamp,
}

/// Why there is no rehearsal at all.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// There is no place for its journal, or no thread.
    #[error("a rehearsal cannot be prepared: {0}")]
    Prepare(#[from] std::io::Error),
    /// A twin does not come to life.
    #[error("a twin does not come to life: {0}")]
    Twin(#[from] LabError),
    /// Its journal cannot be written.
    #[error("the journal of the rehearsal cannot be written: {0}")]
    Journal(#[from] JournalError),
}

impl From<RunError> for RehearsalError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Journal(error) => Self::Journal(error),
        }
    }
}

/// Carries a plan out on twins of what was observed. Blocks until it is done, which is far sooner than a host would be.
///
/// # Errors
/// When it cannot be begun; what goes wrong in it is in the report.
pub fn rehearse(request: &Request<'_>) -> Result<Report, RehearsalError> {
    // Each in a thread of its own: a pass has its own time, and its runtime must not be dropped in another one.
    let (quick, slow) = std::thread::scope(|scope| {
        let threads = [Tempo::QUICK, Tempo::SLOW].map(|tempo| scope.spawn(move || pass(request, tempo)));
        let [quick, slow] = threads.map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        (quick, slow)
    });
    let (quick, (untwinned, unlike)) = quick?;
    let (slow, _) = slow?;
    let untwinned = untwinned.into_iter().chain(limits(request.plan)).collect();
    Ok(Report { quick, slow, untwinned, unlike })
}

/// What no twin can know of a plan.
fn limits(plan: &Plan) -> Vec<Untwinned> {
    let requests = || {
        plan.steps.iter().flat_map(|step| &step.ops).filter_map(|op| match op {
            Op::Call { request, .. } | Op::Task { request, .. } | Op::Obtain { request, .. } => Some(request),
            _ => None,
        })
    };
    let sends = |end: &str| requests().any(|request| request.method == Method::Post && request.path.ends_with(end));
    let limit = |what: &str, why: &str| Untwinned { what: what.to_owned(), why: why.to_owned() };
    let mut limits = Vec::new();
    if sends("/download-url") || sends("/aplinfo") {
        limits.push(limit(
            "whether images and templates can be fetched, how large they are and what they hash to",
            "in the twin every one is there, of a usual size (650 MiB and 120 MiB), with the sum that is asked for",
        ));
    }
    if sends("/status/start") {
        limits.push(limit(
            "what happens inside guests",
            "in the twin every system that has a disk comes up, and its agent answers",
        ));
    }
    if plan.steps.iter().any(|step| step.addr.kind == Kind::TailnetDevice && step.inside.is_some()) {
        limits.push(limit(
            "whether guests get Tailscale's packages, and reach the tailnet's control plane",
            "in the twin both are there for every guest that may reach the internet",
        ));
    }
    limits.push(limit(
        "lost connections, failing hardware, and what others do meanwhile",
        "nobody knows them beforehand",
    ));
    limits
}

/// What twins cannot do, and what differs in them.
type Likeness = (Vec<Untwinned>, Vec<String>);

/// One pass: its time passes whenever its thread has nothing to do.
fn pass(request: &Request<'_>, tempo: Tempo) -> Result<(Pass, Likeness), RehearsalError> {
    let Twins { doors, clock, count, untwinned } =
        Twins::new(request.blueprint, request.observed, request.scope, request.now, tempo)?;
    let park = Arc::clone(&clock);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.on_thread_park(move || {
        park.advance();
    });
    let stage = Stage { request, doors, clock };
    let Played { state, took, strange, refused, left, unlike } = builder.build()?.block_on(stage.play())?;
    let calls = count.calls.load(Ordering::Relaxed);
    let commands = count.commands.load(Ordering::Relaxed);
    Ok((Pass { tempo, took, state, strange, refused, left, calls, commands }, (untwinned, unlike)))
}

struct Stage<'a> {
    request: &'a Request<'a>,
    doors: crate::client::Doors,
    clock: Arc<TwinClock>,
}

struct Played {
    state: RunState,
    took: Duration,
    strange: Vec<String>,
    refused: Vec<String>,
    left: Option<Box<Plan>>,
    unlike: Vec<String>,
}

impl Stage<'_> {
    async fn play(&self) -> Result<Played, RehearsalError> {
        let plan = self.request.plan;
        let before = self.look().await;
        let unlike = unlike(self.request.observed, &before);
        let (mut strange, mut refused, mut left) = (Vec::new(), Vec::new(), None);
        match self.plan(&before) {
            Ok(twin) => {
                strange.extend(
                    plan::stale(plan, &twin).into_iter().map(|moved| format!("{}: {}", moved.addr, moved.what)),
                );
            }
            Err(problems) => refused.extend(sentences(&problems)),
        }
        let scratch = Scratch::new()?;
        let clock: Arc<dyn Clock> = Arc::<TwinClock>::clone(&self.clock);
        let opening = Opening {
            run: RunId::new(self.clock.now(), 0),
            verb: "apply".to_owned(),
            operator: "rehearsal".to_owned(),
        };
        let mut record = Record::start(scratch.path(), plan, opening, clock, |_: &Event| {})?;
        let options = Options { parallelism: self.request.parallelism, on_failure: OnFailure::Keep };
        let applied = exec::apply(plan, &self.doors, &mut record, &Stop::default(), &options).await?;
        let mut state = record.state().clone();
        if applied.ended == Ended::Done {
            self.quiet().await;
            match self.plan(&self.look().await) {
                Ok(again) if plan.is_proven_by(&again) => {}
                Ok(again) => left = Some(Box::new(again)),
                Err(problems) => refused.extend(sentences(&problems)),
            }
            let clean = left.is_none() && refused.is_empty();
            state = record.finish(if clean { RunOutcome::Converged } else { RunOutcome::Unconverged })?;
        }
        Ok(Played { state, took: self.clock.passed(), strange, refused, left, unlike })
    }

    async fn look(&self) -> Observed {
        let blueprint = self.request.blueprint;
        let interest = Interest {
            snippets: resources::snippets_of_interest(blueprint),
            datasets: resources::datasets_of_interest(blueprint),
            ..Interest::default()
        };
        observe::observe(blueprint, &self.doors, &interest).await
    }

    fn plan(&self, observed: &Observed) -> Result<Plan, Diagnostics> {
        let Request { blueprint, memory, scope, allowed, unfinished, .. } = *self.request;
        plan::build(&plan::Request { blueprint, observed, memory, scope, allowed, unfinished })
    }

    async fn quiet(&self) {
        for _ in 0..QUIET_LOOKS {
            if observe::working(self.request.blueprint, &self.doors).await.is_empty() {
                return;
            }
            self.clock.sleep(QUIET_PAUSE).await;
        }
    }
}

fn sentences(problems: &Diagnostics) -> Vec<String> {
    problems.iter().map(|problem| problem.summary.clone()).collect()
}
