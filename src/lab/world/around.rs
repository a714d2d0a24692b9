//! What is around a host and keeps it in step: its clock, who else is on its networks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is around a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Around {
    /// How many milliseconds its clock is ahead of the right time.
    pub clock_ahead_ms: i64,
    /// Whether no time service is switched on.
    pub time_service_off: bool,
    /// Whether the kernel has not been told that its time is right.
    pub time_unset: bool,
    /// Machines on its networks that the world does not know, by address.
    pub strangers: BTreeMap<String, Stranger>,
    /// Programs that were removed.
    pub removed_programs: Vec<String>,
}

/// A machine on a network of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stranger {
    /// Its MAC address.
    pub mac: String,
    /// Whether it drops `ping`.
    pub silent: bool,
    /// Whether it is gone, and only the host's table of neighbours remembers it.
    pub gone: bool,
}
