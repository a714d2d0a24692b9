//! Who holds a lease.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ProcessId;

/// Who holds a lease, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Who, as `user@machine`.
    pub who: String,
    /// Which process.
    pub process: Option<ProcessId>,
    /// What makes this lease another one than the next: the run's id, or a random text.
    pub run: String,
    /// What for: `apply`, `destroy`.
    pub reason: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.who)?;
        if let Some(process) = &self.process {
            write!(f, " (pid {})", process.pid)?;
        }
        write!(f, " for `{}`", self.reason)
    }
}

/// A lease as it stands on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who holds it.
    #[serde(flatten)]
    pub owner: Owner,
    /// When they were last heard of: seconds since 1970 on the host's clock.
    pub heard: i64,
    /// After how many seconds of silence it expires.
    pub ttl_s: u64,
}

impl Record {
    /// Why it may be taken over, if it may. `now` is the host's clock.
    #[must_use]
    pub fn stale(&self, now: i64) -> Option<String> {
        if self.owner.process.as_ref().is_some_and(ProcessId::is_gone) {
            return Some(format!("took over the lease of {}: that process is gone", self.owner));
        }
        let silence = now.saturating_sub(self.heard);
        (silence > i64::try_from(self.ttl_s).unwrap_or(i64::MAX))
            .then(|| format!("took over the lease of {}: not heard of for {silence} s", self.owner))
    }
}
