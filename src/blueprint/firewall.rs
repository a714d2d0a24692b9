//! Firewalls that were written by hand: of guests, of hosts, and the groups that guests share. What follows from flows
//! is not here but derived by `resources::flow_firewall`.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::diag::Span;
use crate::model::GroupName;

/// What the names of aliases, sets and groups that follow from an inventory begin with; nobody else's do.
pub const OWN_PREFIX: &str = "infra_";

/// A guest's firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// Whether it is on at all.
    pub enabled: bool,
    /// What happens to inbound traffic that no rule names.
    pub inbound: Verdict,
    /// What happens to outbound traffic that no rule names.
    pub outbound: Verdict,
    /// Rules of its own, top rule first; before those of the groups.
    pub rules: Vec<Rule>,
    /// Security groups, in order.
    pub groups: Vec<GroupName>,
}

/// A named list of rules that guests share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its name.
    pub name: GroupName,
    /// What it is for.
    pub comment: String,
    /// Its rules, top rule first.
    pub rules: Vec<Rule>,
    /// Where it was declared.
    pub span: Span,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It vanishes.
    Drop,
    /// It is refused.
    Reject,
}

/// One firewall rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it looks at inbound traffic; outbound otherwise.
    pub inbound: bool,
    /// What happens to a packet that matches.
    pub verdict: Verdict,
    /// From where: networks or addresses.
    pub source: Vec<IpNet>,
    /// To where.
    pub dest: Vec<IpNet>,
    /// `tcp`, `udp`, `icmp`, `ipv6-icmp`.
    pub protocol: Option<String>,
    /// Ports or ranges as PVE writes them: `22`, `80,443`, `6000:6010`.
    pub ports: Option<String>,
    /// What it is for.
    pub comment: String,
}

/// A host's own firewall: whatever is not said here is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFirewall {
    /// Where the operator is, in order: networks without one another twice.
    pub allow_from: BTreeSet<IpNet>,
    /// TCP ports of the host itself, however it is reached from here, that can be reached from there beside those of
    /// `management`, which PVE opens itself (22, 3128, 5900 to 5999, 8006).
    pub ports: BTreeSet<u16>,
    /// Further rules, top rule first.
    pub rules: Vec<Rule>,
    /// Where it was declared.
    pub span: Span,
    /// Where `allow_from` was declared.
    pub allow_from_span: Span,
}
