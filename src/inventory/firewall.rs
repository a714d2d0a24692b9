//! Firewall groups and rules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Action, Direction, Origin, PeerList, Ports, Protocol};
use crate::diag::Spanned;
use crate::model::GroupName;

/// What guests' firewalls share.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct FirewallSection {
    /// Security groups by name.
    pub groups: Option<BTreeMap<Spanned<GroupName>, Spanned<Group>>>,
}

/// A named list of rules.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Group {
    /// What it is for.
    pub comment: Option<Spanned<String>>,
    /// Its rules; the first one that matches decides.
    #[schemars(required)]
    pub rules: Option<Vec<Spanned<Rule>>>,
}

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Rule {
    /// What happens to a packet that matches.
    #[schemars(required)]
    pub action: Option<Spanned<Action>>,
    /// Which traffic it looks at; `in` unless given.
    pub direction: Option<Spanned<Direction>>,
    /// From where; from anywhere unless given.
    pub source: Option<Spanned<PeerList>>,
    /// To where; to anywhere unless given.
    pub dest: Option<Spanned<PeerList>>,
    /// The protocol; any unless given.
    pub protocol: Option<Spanned<Protocol>>,
    /// The ports; any unless given. They need a protocol that has ports.
    pub ports: Option<Spanned<Ports>>,
    /// What it is for.
    pub comment: Option<Spanned<String>>,
}

/// A guest's firewall.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct GuestFirewall {
    /// Whether it is on; it is unless given.
    pub enabled: Option<Spanned<bool>>,
    /// What happens to inbound traffic that no rule names and nobody's `uses` nor `exposes` says; `drop` unless given.
    #[serde(rename = "in")]
    pub inbound: Option<Spanned<Action>>,
    /// What happens to outbound traffic that no rule names and neither `uses` nor `internet` says; `drop` unless given.
    #[serde(rename = "out")]
    pub outbound: Option<Spanned<Action>>,
    /// Security groups, in order; a profile's come first.
    pub groups: Option<Vec<Spanned<GroupName>>>,
    /// Rules of its own, before those of the groups and those that follow from `uses`, `exposes` and `internet`; a
    /// guest's come before its profile's.
    pub rules: Option<Vec<Spanned<Rule>>>,
}

/// A host's own firewall. With it, whatever comes in is dropped unless it is said here.
///
/// It is switched on for the datacenter as a whole: rules of guests are enforced from then on, too.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct HostFirewall {
    /// Where the operator is: from there the UI and API (8006), SSH, consoles and 443 can be reached. Proxmox
    /// itself also lets in the host's own network.
    #[schemars(required, example = &["192.168.10.0/24", "203.0.113.7"])]
    pub allow_from: Option<Vec<Spanned<Origin>>>,
    /// TCP ports of the host that can be reached from there beside 22, 443 and 8006. Unless given, those of `api.port`
    /// and `ssh.port`, where these lead to the host itself and not into a tunnel on this machine.
    #[schemars(example = &[2222])]
    pub ports: Option<Vec<Spanned<u16>>>,
    /// Further rules of the host; the first one that matches decides.
    pub rules: Option<Vec<Spanned<Rule>>>,
}
