//! Host overrides of an OPNsense's Unbound as its API shows them.

use serde::{Deserialize, Serialize};

use super::observed::Fact;

/// What was read of an OPNsense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpnSenseSeen {
    /// Every host override, whoever made it.
    pub overrides: Fact<Vec<Override>>,
    /// Every further name of a host override.
    pub aliases: Fact<Vec<OverrideAlias>>,
}

/// A host override: a name with an address that Unbound answers before it asks anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What the API calls it.
    pub uuid: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// The first label; empty for the domain itself, `*` for everything below it.
    #[serde(default)]
    pub hostname: String,
    /// What follows.
    pub domain: String,
    /// `A`, `AAAA`, or something that we never write.
    pub kind: String,
    /// Its address; empty where there is none.
    #[serde(default)]
    pub address: String,
    /// What somebody says of it.
    #[serde(default)]
    pub description: String,
}

impl Override {
    /// The whole name, in lower case.
    #[must_use]
    pub fn name(&self) -> String {
        joined(&self.hostname, &self.domain)
    }
}

/// A further name of a host override.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideAlias {
    /// What the API calls it.
    pub uuid: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// The override that it belongs to: its name, or what the API calls it.
    #[serde(default)]
    pub of: String,
    /// The first label.
    #[serde(default)]
    pub hostname: String,
    /// What follows.
    #[serde(default)]
    pub domain: String,
    /// What somebody says of it.
    #[serde(default)]
    pub description: String,
}

impl OverrideAlias {
    /// The whole name, in lower case.
    #[must_use]
    pub fn name(&self) -> String {
        joined(&self.hostname, &self.domain)
    }
}

fn joined(hostname: &str, domain: &str) -> String {
    let name = if hostname.is_empty() { domain.to_owned() } else { format!("{hostname}.{domain}") };
    name.to_ascii_lowercase()
}
