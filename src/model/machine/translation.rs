//! Address translation of a host for what it routes.

use serde::{Deserialize, Serialize};

/// What translates sources, and what gives the firewall's bridges a zone of their own; rules as they are printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translation {
    /// `MASQUERADE` and `SNAT` in the table `nat` now.
    pub rules: Vec<String>,
    /// Zones for `fwbr…` in the table `raw` now.
    pub zones: Vec<String>,
    /// `MASQUERADE` and `SNAT` in the network configuration.
    pub configured_rules: Vec<String>,
    /// Zones for `fwbr…` in the network configuration.
    pub configured_zones: Vec<String>,
}
