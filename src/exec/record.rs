//! The run as it happens: written down, shown, folded.

use std::fmt;
use std::sync::Arc;

use camino::Utf8Path;

use super::journal::{Journal, JournalError};
use crate::event::{Event, RunId, RunOutcome, RunState, StepOutline, What};
use crate::plan::Plan;
use crate::ports::Clock;

/// What a run says of itself before it begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its id.
    pub run: RunId,
    /// `apply` or `destroy`.
    pub verb: String,
    /// Who runs it, as `user@machine`.
    pub operator: String,
}

/// The run as it happens. Events come here in order: first to the journal, then to whoever shows them.
pub struct Record<'a> {
    journal: Journal,
    sink: Box<dyn FnMut(&Event) + 'a>,
    state: RunState,
    clock: Arc<dyn Clock>,
    run: RunId,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("run", &self.run).finish_non_exhaustive()
    }
}

impl<'a> Record<'a> {
    /// Opens the journal of a new run below `state_dir`, saves the plan beside it and says that the run
    /// began.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn start(
        state_dir: &Utf8Path,
        plan: &Plan,
        opening: Opening,
        clock: Arc<dyn Clock>,
        sink: impl FnMut(&Event) + 'a,
    ) -> Result<Self, JournalError> {
        let Opening { run, verb, operator } = opening;
        let (journal, digest) = Journal::create(state_dir, &run, plan)?;
        let mut record = Self { journal, sink: Box::new(sink), state: RunState::default(), clock, run: run.clone() };
        let steps = plan.steps.iter().map(|step| StepOutline {
            id: step.id.clone(),
            addr: step.addr.clone(),
            title: step.title.clone(),
            host: step.host.clone(),
        });
        record.note(What::RunStarted {
            run,
            inventory: plan.inventory.to_string(),
            verb,
            operator,
            plan: digest,
            steps: steps.collect(),
        })?;
        Ok(record)
    }

    /// Writes down and shows one thing that happened.
    ///
    /// # Errors
    /// When the journal cannot be written; it is shown all the same.
    pub fn note(&mut self, what: What) -> Result<(), JournalError> {
        let event = Event { at: self.clock.now(), what };
        let written = self.journal.append(&event);
        self.state.apply(&event);
        (self.sink)(&event);
        written
    }

    /// Says how the run ended. Only for a run that [`super::apply`] left open: one whose steps are all done.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn finish(mut self, outcome: RunOutcome) -> Result<RunState, JournalError> {
        self.note(What::RunFinished { outcome })?;
        Ok(self.state)
    }

    /// From now on nothing can be written any more.
    #[cfg(test)]
    pub(crate) fn fill_the_disk(&mut self) {
        self.journal.fill_the_disk();
    }

    /// What is known of the run so far.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Which run it is.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }
}
