//! Firewalls as they were read.

use crate::lab::world::{Firewall, Rule, SecurityGroup};
use crate::model::observed::{ClusterFirewall, FirewallRule, GuestFirewall};

/// The datacenter's.
pub(super) fn cluster(read: &ClusterFirewall) -> Firewall {
    let group = |group: &crate::model::observed::FirewallGroup| SecurityGroup {
        comment: Some(group.comment.clone()).filter(|comment| !comment.is_empty()),
        rules: rules(&group.rules),
    };
    Firewall {
        options: read.options.clone(),
        groups: read.groups.iter().map(|(name, one)| (name.clone(), group(one))).collect(),
        ..Firewall::default()
    }
}

/// A guest's.
pub(super) fn guest(read: &GuestFirewall) -> Firewall {
    Firewall { options: read.options.clone(), rules: rules(&read.rules), ..Firewall::default() }
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
