//! Who answers at the addresses that an inventory gives to its guests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What came of asking for addresses from the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// What came of one `ping` each.
    pub pinged: BTreeMap<IpAddr, Ping>,
    /// Who has which address on the host's own networks, as ARP or neighbour discovery found out: it does so even
    /// where a firewall drops `ping`.
    pub neighbours: BTreeMap<IpAddr, Neighbour>,
}

/// What came of a `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ping {
    /// Somebody answered.
    Answered,
    /// Nobody did within a second.
    Silent,
    /// It could not be asked for: no route, no program.
    Failed,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its MAC address, in lower case.
    pub mac: String,
    /// The interface that it is behind.
    pub interface: String,
    /// Whether it was heard of just now, not only at some time.
    pub fresh: bool,
}
