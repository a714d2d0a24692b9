//! What systemd of a node was told: timers that are set, and services that are to be tried again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The state of systemd; the unit files are files like any other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Units {
    /// The boot that all of this is of, in milliseconds since the epoch: another one begins anew.
    pub booted_ms: i64,
    /// Units that are started with the host.
    pub enabled: BTreeSet<String>,
    /// Timers that are active, and when they elapse, in milliseconds; one that has elapsed stays active.
    pub timers: BTreeMap<String, Option<i64>>,
    /// Services that failed, and when they are started again, in milliseconds.
    pub restarts: BTreeMap<String, i64>,
    /// How services ended last.
    pub ended: BTreeMap<String, i32>,
}
