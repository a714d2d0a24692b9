//! A tailnet as its control plane shows it.

use serde::{Deserialize, Serialize};

use super::observed::Fact;

/// What was read of a tailnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailnetSeen {
    /// Its policy, as it is written.
    pub policy: Fact<String>,
    /// Its devices.
    pub devices: Fact<Vec<TailnetDevice>>,
}

/// A device of a tailnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailnetDevice {
    /// What the API calls it.
    pub id: String,
    /// The name that it gave itself.
    pub hostname: String,
    /// Its tags; with one, it belongs to nobody.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The login of whoever it belongs to.
    #[serde(default)]
    pub user: String,
    /// Its addresses in the tailnet.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Whether it was approved.
    #[serde(default)]
    pub authorized: bool,
    /// When its key ends, as a timestamp; empty if it never does.
    #[serde(default)]
    pub expires: String,
}
