//! Firewall configuration: of the datacenter, of a node, of a guest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One `.fw` file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Firewall {
    /// Options that were set.
    pub options: BTreeMap<String, String>,
    /// Aliases by lower-case name: references are lower-case, the list keeps the case.
    pub aliases: BTreeMap<String, Alias>,
    /// IP sets by lower-case name.
    pub ipsets: BTreeMap<String, IpSet>,
    /// Security groups; only the datacenter has any.
    pub groups: BTreeMap<String, SecurityGroup>,
    /// Rules, the first one counts first.
    pub rules: Vec<Rule>,
}

/// A name for an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Name as it was written.
    pub name: String,
    /// Address or network.
    pub cidr: String,
    /// What was said about it.
    pub comment: Option<String>,
}

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSet {
    /// What was said about it.
    pub comment: Option<String>,
    /// Entries by address, network or alias.
    pub entries: BTreeMap<String, IpSetEntry>,
}

/// One entry of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSetEntry {
    /// What was said about it.
    pub comment: Option<String>,
    /// Whether it is an exception.
    pub nomatch: bool,
}

/// A named list of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// What was said about it.
    pub comment: Option<String>,
    /// Rules, the first one counts first.
    pub rules: Vec<Rule>,
}

/// One rule: the fields that were given, by PVE's names, and whether it is enabled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `type`, `action`, `macro`, `source`, `dest`, `proto`, `dport`, `sport`, `iface`, `log`, `comment`, `icmp-type`.
    pub fields: BTreeMap<String, String>,
    /// Off unless it was said: POST without `enable` makes a rule that does nothing (9.2.11).
    pub enabled: bool,
}

/// The rules that a node's kernel has: the firewall's daemon looks at the files every ten seconds only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enforced {
    /// When the daemon looked last, in milliseconds.
    pub looked_ms: i64,
    /// The datacenter's firewall as it was then.
    pub cluster: Firewall,
    /// The node's own.
    pub host: Firewall,
    /// Those of guests, by vmid.
    pub guests: BTreeMap<u32, Firewall>,
}
