//! What differs, and why.

use serde::{Deserialize, Serialize};

use super::Addr;

/// What happens to a resource. The order is that of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    None,
    /// It does not exist yet.
    Create,
    /// It is changed in place.
    Update,
    /// It is changed in place, and active only after the guest was restarted.
    Restart,
    /// It is removed and made anew.
    Replace,
    /// It is removed.
    Destroy,
}

impl Action {
    /// The word of the plan's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Create => "create",
            Self::Update => "update",
            Self::Restart => "restart",
            Self::Replace => "replace",
            Self::Destroy => "destroy",
        }
    }
}

/// How a change reaches the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Via {
    /// With the API token.
    #[serde(rename = "api")]
    Api,
    /// Over SSH as root: Proxmox allows it to root@pam only, or has no API for it.
    #[serde(rename = "ssh")]
    Ssh,
    /// Partly so, partly so; each step says which.
    #[serde(rename = "api+ssh")]
    ApiAndSsh,
}

impl Via {
    /// The word of the plan's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ssh => "ssh",
            Self::ApiAndSsh => "api+ssh",
        }
    }

    /// Both ways together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::ApiAndSsh }
    }
}

/// What a change can cost. The order is that of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Adds or alters without interrupting anything.
    None,
    /// A guest stops serving for a while.
    Downtime,
    /// Traffic that flows today may be denied, or the other way round.
    Reachability,
    /// Data goes.
    DataLoss,
}

impl Risk {
    /// The word of the plan's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Downtime => "downtime",
            Self::Reachability => "reachability",
            Self::DataLoss => "data_loss",
        }
    }
}

/// One value that differs. A value that must not be shown is never in here: it is
/// [`FieldValue::Sensitive`], which holds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldChange {
    /// Which one, as the inventory or Proxmox calls it: `memory`, `mp0`, `rules[2]`.
    pub path: String,
    /// What it is now.
    pub from: FieldValue,
    /// What it shall be.
    pub to: FieldValue,
    /// Whether it was as it should be when we last applied, and somebody changed it since.
    #[serde(default)]
    pub drift: bool,
    /// Whether it becomes active only when the guest restarts.
    #[serde(default)]
    pub needs_restart: bool,
}

/// A value as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum FieldValue {
    /// Not set. JSON: `null`.
    Absent,
    /// Set to this.
    Text(String),
    /// Set to something that must not be shown.
    Sensitive {
        /// Always true; what the value is, nobody can tell from here.
        sensitive: bool,
    },
}

impl FieldValue {
    /// A text, or nothing.
    pub fn maybe(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Absent, |t| Self::Text(t.into()))
    }
}

impl std::fmt::Display for FieldValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("(not set)"),
            Self::Text(text) => f.write_str(text),
            Self::Sensitive { .. } => f.write_str("(sensitive)"),
        }
    }
}

/// All that differs on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which resource.
    pub addr: Addr,
    /// What happens to it.
    pub action: Action,
    /// Why, as a sentence without a final period: `does not exist`, `memory differs`.
    pub reason: String,
    /// How it is reached.
    pub via: Via,
    /// The worst that its steps can cost.
    pub risk: Risk,
    /// Whether any field drifted.
    pub drift: bool,
    /// What differs; empty for a destroy.
    pub fields: Vec<FieldChange>,
}
