//! Firewall rules in the words of the API, and how a list of them is brought into order.
//!
//! PVE inserts every new rule at position 0 and ignores `pos`, and a PUT with `moveto` ignores every
//! other field (observed on 9.2.11). So a list is written last rule first, on top of the old ones, which
//! go afterwards: at no moment does the guest have fewer rules than before.

use std::collections::BTreeMap;

use super::difference::Fields;
use super::operations::{answer, call, check, equals};
use crate::blueprint::{Rule, Verdict};
use crate::model::observed::FirewallRule;
use crate::model::step::Op;
use crate::proxmox::Endpoint;

/// PVE's word for a verdict.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "ACCEPT",
        Verdict::Drop => "DROP",
        Verdict::Reject => "REJECT",
    }
}

/// A rule in the words of the API.
pub fn api_rule(rule: &Rule) -> FirewallRule {
    let list = |networks: &[ipnet::IpNet]| networks.iter().map(network).collect::<Vec<_>>().join(",");
    let mut fields = BTreeMap::from([
        ("type".to_owned(), if rule.inbound { "in" } else { "out" }.to_owned()),
        ("action".to_owned(), verdict(rule.verdict).to_owned()),
        ("enable".to_owned(), "1".to_owned()),
    ]);
    let optional = [
        ("source", list(&rule.source)),
        ("dest", list(&rule.dest)),
        ("proto", rule.protocol.clone().unwrap_or_default()),
        ("dport", rule.ports.clone().unwrap_or_default()),
        ("comment", rule.comment.trim().to_owned()),
    ];
    for (name, value) in optional {
        if !value.is_empty() {
            fields.insert(name.to_owned(), value);
        }
    }
    FirewallRule(fields)
}

/// A rule that stands for a whole security group.
pub fn group_rule(group: &str) -> FirewallRule {
    FirewallRule(BTreeMap::from([
        ("type".to_owned(), "group".to_owned()),
        ("action".to_owned(), group.to_lowercase()),
        ("enable".to_owned(), "1".to_owned()),
    ]))
}

/// A single address without its `/32`, as PVE prints it.
fn network(network: &ipnet::IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

/// One rule as a person reads it.
pub fn show(rule: &FirewallRule) -> String {
    let get = |name: &str| rule.0.get(name).map(String::as_str);
    let mut words = Vec::new();
    if get("enable") == Some("0") {
        words.push("(off)".to_owned());
    }
    words.push(get("type").unwrap_or_default().to_owned());
    let action = get("action").unwrap_or_default();
    words.push(get("macro").map_or_else(|| action.to_owned(), |name| format!("{name}({action})")));
    for (name, word) in [
        ("source", "from"),
        ("dest", "to"),
        ("proto", "by"),
        ("dport", "port"),
        ("sport", "from port"),
        ("iface", "on"),
    ] {
        if let Some(value) = get(name) {
            words.push(format!("{word} {value}"));
        }
    }
    for (name, value) in &rule.0 {
        if ![
            "type",
            "action",
            "enable",
            "macro",
            "source",
            "dest",
            "proto",
            "dport",
            "sport",
            "iface",
            "comment",
            "pos",
            "digest",
            "ipversion",
        ]
        .contains(&name.as_str())
        {
            words.push(format!("{name} {value}"));
        }
    }
    if let Some(comment) = get("comment") {
        words.push(format!("# {comment}"));
    }
    words.join(" ")
}

/// Rules as fields, one per position.
pub fn fields(rules: &[FirewallRule]) -> Fields {
    rules.iter().enumerate().map(|(index, rule)| (format!("rules[{index:02}]"), show(rule))).collect()
}

/// Where a list of rules is: its endpoints, and the parts of their path.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Adds a rule on top.
    pub create: &'a Endpoint,
    /// Reads the rule at a position.
    pub read: &'a Endpoint,
    /// Removes the rule at a position.
    pub delete: &'a Endpoint,
    /// The parts of the path before the position.
    pub at: &'a [&'a str],
}

/// Operations that turn `old` rules into `new` ones.
pub fn rewrite(place: Place<'_>, old: &[FirewallRule], new: &[FirewallRule]) -> Vec<Op> {
    // What both lists end with stays where it is: a rule added on top costs one call.
    let kept = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| show(old) == show(new)).count();
    let (gone, added) = (&old[..old.len() - kept], &new[..new.len() - kept]);
    let mut ops: Vec<Op> = added
        .iter()
        .rev()
        .map(|rule| call(place.create.at(place.at).set_all(rule.0.iter().map(|(name, value)| (name.as_str(), value)))))
        .collect();
    for (index, rule) in gone.iter().enumerate().rev() {
        let position = (added.len() + index).to_string();
        let path: Vec<&str> = place.at.iter().copied().chain([position.as_str()]).collect();
        // A rule that somebody added meanwhile moves all below it: never remove one unseen.
        let expect = rule.0.iter().map(|(name, value)| equals(name, value)).collect();
        ops.push(check(answer(place.read.at(&path), expect), "the rules were changed by somebody else meanwhile"));
        ops.push(call(place.delete.at(&path)));
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::step::{Condition, Matcher};
    use crate::proxmox::endpoints::{GROUP_RULE, GROUP_RULE_CREATE, GROUP_RULE_DELETE};

    fn rules(ports: &[&str]) -> Vec<FirewallRule> {
        let rule = |port: &&str| {
            api_rule(&Rule {
                inbound: true,
                verdict: Verdict::Accept,
                source: vec!["10.0.0.1/32".parse().unwrap()],
                dest: Vec::new(),
                protocol: Some("tcp".into()),
                ports: Some((*port).to_owned()),
                comment: String::new(),
            })
        };
        ports.iter().map(rule).collect()
    }

    /// What PVE does with the calls: a POST inserts at 0, a DELETE removes at its position.
    fn carried_out(old: &[FirewallRule], new: &[FirewallRule]) -> (Vec<FirewallRule>, usize) {
        let mut list = old.to_vec();
        let place = Place { create: &GROUP_RULE_CREATE, read: &GROUP_RULE, delete: &GROUP_RULE_DELETE, at: &["g"] };
        let ops = rewrite(place, old, new);
        for op in &ops {
            let request = match op {
                Op::Call { request, .. } => request,
                Op::Await { condition: Condition::Answer { request, expect }, .. } => {
                    let position: usize = request.path.rsplit('/').next().unwrap().parse().unwrap();
                    let there = &list[position].0;
                    assert!(expect.iter().all(|e| matches!(&e.is, Matcher::Equals(value) if there[&e.key] == *value)));
                    continue;
                }
                other => panic!("{other:?}"),
            };
            match request.method {
                crate::ports::Method::Post => list.insert(0, FirewallRule(request.params.iter().cloned().collect())),
                _ => {
                    let position: usize = request.path.rsplit('/').next().unwrap().parse().unwrap();
                    list.remove(position);
                }
            }
            assert!(list.len() >= old.len().min(new.len()), "never fewer rules than before");
        }
        (list, ops.iter().filter(|op| matches!(op, Op::Call { .. })).count())
    }

    #[test]
    fn post_inserts_firewall_rules_at_0_so_lists_are_written_last_first() {
        for (old, new) in [
            (&[][..], &["1", "2", "3"][..]),
            (&["1", "2"], &["2", "1"]),
            (&["1", "2", "3"], &["9", "3"]),
            (&["1", "2", "3"], &[]),
            (&["1"], &["1"]),
        ] {
            let (old, new) = (rules(old), rules(new));
            assert_eq!(carried_out(&old, &new).0, new);
        }
        assert_eq!(carried_out(&rules(&["1", "2"]), &rules(&["0", "1", "2"])).1, 1);
    }

    #[test]
    fn single_address_is_written_without_its_prefix() {
        assert_eq!(rules(&["22"])[0].0["source"], "10.0.0.1");
    }
}
