//! The kernel that runs.

use serde::{Deserialize, Serialize};

/// The kernel that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`, such as `6.17.9-1-pve`.
    pub release: String,
    /// `/proc/cmdline`, split at white space.
    pub command_line: Vec<String>,
    /// `/proc/sys/kernel/random/boot_id`: another one after every boot.
    pub boot_id: String,
}

impl Kernel {
    /// The last value of a parameter, as the kernel takes it; empty for one without a value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.command_line.iter().rev().find_map(|word| match word.split_once('=') {
            Some((key, value)) if key == name => Some(value),
            None if word == name => Some(""),
            _ => None,
        })
    }
}
