//! Firewalls as they were read.

use std::collections::BTreeMap;

use crate::lab::world::{Alias, Firewall, IpSet, IpSetEntry, Rule, SecurityGroup};
use crate::model::entrance::HostFirewall;
use crate::model::observed::{self, ClusterFirewall, FirewallAlias, FirewallIpSet, FirewallRule, GuestFirewall};

/// The datacenter's.
pub(super) fn cluster(read: &ClusterFirewall) -> Firewall {
    let group = |group: &crate::model::observed::FirewallGroup| SecurityGroup {
        comment: Some(group.comment.clone()).filter(|comment| !comment.is_empty()),
        rules: rules(&group.rules),
    };
    Firewall {
        options: read.options.clone(),
        aliases: aliases(&read.aliases),
        ipsets: read.ipsets.iter().map(|(name, one)| (name.clone(), ipset(one))).collect(),
        rules: rules(&read.rules),
        groups: read.groups.iter().map(|(name, one)| (name.clone(), group(one))).collect(),
    }
}

fn aliases(read: &BTreeMap<String, FirewallAlias>) -> BTreeMap<String, Alias> {
    let alias = |name: &String, one: &FirewallAlias| Alias {
        name: name.clone(),
        cidr: one.cidr.clone(),
        comment: Some(one.comment.clone()).filter(|comment| !comment.is_empty()),
    };
    read.iter().map(|(name, one)| (name.clone(), alias(name, one))).collect()
}

/// A host's own.
pub(super) fn host(read: &HostFirewall) -> Firewall {
    Firewall { options: read.options.clone(), rules: rules(&read.rules), ..Firewall::default() }
}

fn ipset(read: &FirewallIpSet) -> IpSet {
    let said = |comment: &String| Some(comment.clone()).filter(|comment| !comment.is_empty());
    let entry = |one: &observed::IpSetEntry| IpSetEntry { comment: said(&one.comment), nomatch: one.nomatch };
    let entries = read.entries.iter().map(|(cidr, one)| (cidr.clone(), entry(one)));
    IpSet { comment: said(&read.comment), entries: entries.collect() }
}

/// A guest's.
pub(super) fn guest(read: &GuestFirewall) -> Firewall {
    Firewall {
        options: read.options.clone(),
        aliases: aliases(&read.aliases),
        ipsets: read.ipsets.iter().map(|(name, one)| (name.clone(), ipset(one))).collect(),
        rules: rules(&read.rules),
        ..Firewall::default()
    }
}

fn rules(read: &[FirewallRule]) -> Vec<Rule> {
    read.iter()
        .map(|rule| {
            let mut fields = rule.0.clone();
            let enabled = fields.remove("enable").is_some_and(|enable| enable == "1");
            Rule { fields, enabled }
        })
        .collect()
}
