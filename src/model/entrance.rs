//! How one gets into a host, as it was read: from where we come, its own firewall, reverts that are pending.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::guard::GuardState;
use super::observed::{Fact, FirewallRule};

/// How one gets into a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// The address that the host sees us come from over SSH; behind a jump host that is the jump host's.
    pub operator: Fact<IpAddr>,
    /// Its own firewall (`host.fw`).
    pub firewall: Fact<HostFirewall>,
    /// Guards that it has, by name.
    pub guards: Fact<BTreeMap<String, GuardState>>,
}

/// A host's own firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFirewall {
    /// Whether there is a file at all.
    pub present: bool,
    /// Options as they are set; without `enable` = `0` it is on as soon as the datacenter's is.
    pub options: BTreeMap<String, String>,
    /// Rules, top rule first; they come before the datacenter's.
    pub rules: Vec<FirewallRule>,
}

impl Entrance {
    /// A guard of this host that is pending, by name: until it has had its last word, nothing is planned over it.
    #[must_use]
    pub fn pending(&self) -> Option<(&str, GuardState)> {
        let guards = self.guards.value()?;
        guards.iter().find(|(_, state)| state.is_pending()).map(|(name, state)| (name.as_str(), *state))
    }
}
