//! How one gets into a host, as it was read: from where we come, its own firewall, reverts that are pending.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Transport;
use super::guard::GuardState;
use super::observed::{Fact, FirewallRule};

/// How one gets into a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// The address that the host sees us come from over SSH; behind a jump host that is the jump host's.
    pub operator: Fact<IpAddr>,
    /// Its own firewall (`host.fw`).
    pub firewall: Fact<HostFirewall>,
    /// What listens on it, but for loopback.
    #[serde(default)]
    pub listeners: Fact<BTreeSet<Listener>>,
    /// Guards that it has, by name.
    pub guards: Fact<BTreeMap<String, GuardState>>,
}

/// A socket that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// TCP or UDP.
    pub transport: Transport,
    /// Its port.
    pub port: u16,
    /// The program that it is of, where that could be seen.
    pub program: Option<String>,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport, self.port)?;
        self.program.iter().try_for_each(|program| write!(f, " ({program})"))
    }
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

impl HostFirewall {
    /// Whether `proxmox-firewall` (nftables) makes the rules, and not `pve-firewall`: an option of 8.2 and later, off
    /// unless it is set.
    #[must_use]
    pub fn is_nftables(&self) -> bool {
        self.options.get("nftables").is_some_and(|value| value == "1")
    }
}

impl Entrance {
    /// A guard of this host that is pending, by name: until it has had its last word, nothing is planned over it.
    #[must_use]
    pub fn pending(&self) -> Option<(&str, GuardState)> {
        let guards = self.guards.value()?;
        guards.iter().find(|(_, state)| state.is_pending()).map(|(name, state)| (name.as_str(), *state))
    }
}
