//! How a running step tells the run what happens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::event::What;
use crate::model::Upid;
use crate::model::step::StepId;

/// Something that happened, and whom to tell once it is on disk.
pub(super) struct Said {
    pub what: What,
    pub written: Option<oneshot::Sender<()>>,
}

/// The journal cannot be written: nothing more may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unwritten;

/// Tells the run what happens in one step.
#[derive(Clone)]
pub(super) struct Teller {
    step: StepId,
    run: mpsc::UnboundedSender<Said>,
    tasks: Arc<Mutex<BTreeSet<Upid>>>,
}

impl Teller {
    pub fn new(step: StepId, run: mpsc::UnboundedSender<Said>) -> Self {
        Self { step, run, tasks: Arc::default() }
    }

    /// The same for another step of the run; both know the tasks of all steps.
    pub fn of(&self, step: StepId) -> Self {
        Self { step, ..self.clone() }
    }

    /// Tells which task was started.
    pub async fn task(&self, upid: &Upid) -> Result<(), Unwritten> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(upid.clone());
        self.say(What::TaskStarted { step: self.step(), upid: upid.clone() }).await
    }

    /// Whether this run knows that task: then it cannot be the one whose id got lost.
    pub fn knows(&self, upid: &Upid) -> bool {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).contains(upid)
    }

    pub fn step(&self) -> StepId {
        self.step.clone()
    }

    /// Tells something and comes back once it is on disk.
    pub async fn say(&self, what: What) -> Result<(), Unwritten> {
        let (written, wait) = oneshot::channel();
        self.run.send(Said { what, written: Some(written) }).map_err(|_| Unwritten)?;
        wait.await.map_err(|_| Unwritten)
    }

    /// Tells something that may be lost.
    pub fn mention(&self, what: What) {
        // nobody listens any more when the run was given up
        let _ = self.run.send(Said { what, written: None });
    }

    /// Tells something about the run as a whole.
    pub fn note(&self, message: String) {
        self.mention(What::Note { message });
    }

    /// Tells what is waited for.
    pub fn waiting(&self, why: String) {
        self.mention(What::Waiting { step: self.step(), why });
    }
}
