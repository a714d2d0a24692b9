//! What the host's processor can do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What the host's processor can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// `flags` of `/proc/cpuinfo`.
    pub flags: BTreeSet<String>,
}
