//! A change that can cut our own path, and how the host takes it back by itself (safety rule 6).
//!
//! Owns what a guard is: the files that come back, what makes them take effect, and by when. How it is
//! put on a host is `exec::guard`. Nothing in here depends on what is guarded: firewall, bridge and sshd
//! differ in their files and commands alone.

use serde::{Deserialize, Serialize};

use super::HostName;

/// What the host takes back by itself unless it is told in time that all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// What it is called on the host: lower-case letters, digits and dashes. There is one of a name at a
    /// time, whoever armed it.
    pub name: String,
    /// Every file that the change may alter, as it was.
    pub files: Vec<GuardedFile>,
    /// Commands that make the files take effect once they are back, in order; for what is watched by a
    /// daemon, none.
    pub then: Vec<Vec<String>>,
    /// Seconds after which the host takes the change back.
    pub seconds: u32,
}

/// A file that a guarded change may alter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedFile {
    /// Where, absolute.
    pub path: String,
    /// Whether it is there before the change; one that was not is removed again.
    pub present: bool,
}

/// What is done about a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum GuardAct {
    /// The host keeps the files and sets its timer.
    Arm,
    /// New connections, over SSH and to the API, must be made while nothing of the old ones is used.
    Reconnect {
        /// To each of these hosts.
        hosts: Vec<HostName>,
        /// Seconds to wait before, until the change is sure to have taken effect.
        after_s: u32,
        /// Seconds in which they must succeed.
        within_s: u32,
    },
    /// The host is told that all is well.
    Disarm,
}

/// How a guard stands on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    /// The host will take the change back.
    Armed,
    /// The host is about to, and tries again until it succeeds.
    Reverting,
    /// The host has taken the change back, and nobody has looked since.
    Reverted,
    /// The change was confirmed; what is left is of no effect.
    Confirmed,
    /// Its making was interrupted before it was armed.
    Unfinished,
}

impl Guard {
    /// Where guards are kept on a host; for root alone.
    pub const HOME: &'static str = "/var/lib/infra/guard";

    /// Where this one is kept.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}/{}", Self::HOME, self.name)
    }

    /// The name of its unit without the part after the dot.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("infra-guard-{}", self.name)
    }
}

impl GuardState {
    /// How a guard stands, by the names of the files in its directory.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a str>) -> Self {
        let files: Vec<&str> = files.into_iter().collect();
        let states = [
            // The last word first: what follows replaces what was before by a rename, or stands beside it.
            ("reverted", Self::Reverted),
            ("reverting", Self::Reverting),
            ("confirmed", Self::Confirmed),
            ("armed", Self::Armed),
        ];
        states.into_iter().find(|(name, _)| files.contains(name)).map_or(Self::Unfinished, |(_, state)| state)
    }

    /// Whether the host has yet to take the change back.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Armed | Self::Reverting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        assert_eq!(GuardState::of(["0", "armed", "revert"]), GuardState::Armed);
        assert_eq!(GuardState::of(["0", "reverting", "revert"]), GuardState::Reverting);
        assert_eq!(GuardState::of(["reverted", "reverting"]), GuardState::Reverted);
        assert_eq!(GuardState::of(["0"]), GuardState::Unfinished);
        assert!(GuardState::Armed.is_pending() && !GuardState::Reverted.is_pending());
    }
}
