//! Why a call did not do what it should.

use crate::model::Upid;
use crate::ports::TransportError;
use crate::proxmox::answer::lock_timeout;
use crate::proxmox::{Failure, FailureKind};

/// Why a call did not do what it should, after every retry that is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer.
    #[error("{0}")]
    Transport(TransportError),
    /// The answer is no.
    #[error("{0}")]
    Refused(Failure),
    /// The task was started and failed.
    #[error("task {upid} failed: {exitstatus}{}", tail(.log_tail))]
    Task {
        /// Which.
        upid: Upid,
        /// How it says that it ended.
        exitstatus: String,
        /// The last lines of its log.
        log_tail: Vec<String>,
    },
    /// The answer is not of the shape that the API description promises.
    #[error("{request}: {why}")]
    Unreadable {
        /// What was asked, as `POST /nodes/pve1/qemu`.
        request: String,
        /// What is wrong with the answer.
        why: String,
    },
}

fn tail(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl CallError {
    /// What kind of refusal it is, if it is one.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Refused(failure) => Some(failure.kind()),
            _ => None,
        }
    }

    /// Whether the call may have been carried out all the same; only looking can tell.
    ///
    /// 595 is not among them: there, the connection to the daemon or to the other node was never made.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Transport(TransportError::Uncertain { .. }) => true,
            // A good status is a failure only if its body got lost or is a proxy's page.
            Self::Refused(failure) => failure.status < 300 || matches!(failure.status, 596..=599),
            Self::Transport(_) | Self::Task { .. } => false,
            Self::Unreadable { .. } => true,
        }
    }

    /// Whether nothing can have happened, and trying again a little later may help.
    #[must_use]
    pub(super) fn is_not_sent(&self) -> bool {
        match self {
            Self::Transport(TransportError::NotSent { .. }) => true,
            Self::Refused(failure) => failure.status == 595,
            _ => false,
        }
    }

    /// Whether nobody answered: a read may simply be repeated.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Transport(TransportError::NotSent { .. } | TransportError::Uncertain { .. }) => true,
            Self::Refused(failure) => failure.kind() == FailureKind::Unreachable || matches!(failure.status, 597 | 598),
            _ => false,
        }
    }

    /// Whether a lock file was not free within PVE's own wait, here or inside of the task.
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        match self {
            Self::Refused(failure) => failure.kind() == FailureKind::LockTimeout,
            Self::Task { exitstatus, .. } => lock_timeout(exitstatus),
            _ => false,
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        super::hint::hint(self)
    }
}
