//! The host's clock.

use serde::{Deserialize, Serialize};

/// What time a host thinks it is, against ours, and whether anything keeps it right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostClock {
    /// The least that it can be ahead of ours, in milliseconds: its last word minus the time at which we had it.
    pub ahead_at_least_ms: i64,
    /// The most that it can be ahead of ours: its first word minus the time at which we asked.
    pub ahead_at_most_ms: i64,
    /// Whether something is set up to keep it right (`timedatectl`, `NTP`); `None` where it does not say.
    pub kept: Option<bool>,
    /// Whether the kernel takes it for right (`timedatectl`, `NTPSynchronized`).
    pub synchronized: Option<bool>,
}

impl HostClock {
    /// By how many milliseconds it is surely wrong against ours: positive if ahead, 0 if it may be right.
    #[must_use]
    pub fn surely_off_ms(&self) -> i64 {
        if self.ahead_at_least_ms > 0 { self.ahead_at_least_ms } else { self.ahead_at_most_ms.min(0) }
    }
}
