//! Firewall rules in the words of the API, and how a list of them is brought into order.
//!
//! PVE inserts every new rule at position 0 and ignores `pos`, and a PUT with `moveto` ignores every
//! other field (observed on 9.2.11). So a list is written last rule first, on top of the old ones, which
//! go afterwards. Rules are known by what they do, and not by where they stand.

use std::collections::BTreeMap;

use super::difference::Fields;
use super::operations::{answer, call, call_until, check, equals};
use crate::blueprint::{Rule, Verdict};
use crate::model::observed::FirewallRule;
use crate::model::step::{Condition, Op};
use crate::proxmox::Endpoint;
use crate::proxmox::endpoints::Call;

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
pub fn group_rule(group: &str, comment: &str) -> FirewallRule {
    FirewallRule(BTreeMap::from([
        ("comment".to_owned(), comment.to_owned()),
        ("type".to_owned(), "group".to_owned()),
        ("action".to_owned(), group.to_lowercase()),
        ("enable".to_owned(), "1".to_owned()),
    ]))
}

/// A single address without its `/32`, as PVE prints it.
pub fn network(network: &ipnet::IpNet) -> String {
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

/// What a rule does, wherever it stands, whoever wrote it and whether it is on.
pub fn identity(rule: &FirewallRule) -> String {
    let FirewallRule(mut fields) = rule.clone();
    fields.remove("comment");
    fields.remove("enable");
    show(&FirewallRule(fields))
}

/// Rules as fields: by what they do, and not by where they stand. The value is whether a rule is on, and its comment.
pub fn fields(rules: &[FirewallRule]) -> Fields {
    let mut fields = Fields::new();
    for rule in rules {
        let off = rule.0.get("enable").is_some_and(|enable| enable == "0");
        let comment = rule.0.get("comment").map(|comment| format!(" # {comment}")).unwrap_or_default();
        let value = format!("{}{comment}", if off { "off" } else { "on" });
        let path = format!("rules[{}]", identity(rule));
        let again = (2..).map(|n| format!("{path}#{n}"));
        let free = std::iter::once(path.clone()).chain(again).find(|path| !fields.contains_key(path));
        fields.insert(free.expect("there are more numbers than rules"), value);
    }
    fields.insert(ORDER.to_owned(), IN_ORDER.to_owned());
    fields
}

const ORDER: &str = "order";
const IN_ORDER: &str = "as declared, ours first";

/// As [`fields`], of those rules that are ours, in a list where others may stand between them: `order` says what stands
/// where it should not.
pub fn fields_among(
    there: &[FirewallRule],
    wanted: &[FirewallRule],
    is_ours: impl Fn(&FirewallRule) -> bool,
) -> Fields {
    let ours: Vec<FirewallRule> = there.iter().filter(|rule| is_ours(rule)).cloned().collect();
    let mut fields = fields(&ours);
    let place = |rule: &FirewallRule| wanted.iter().position(|wanted| identity(wanted) == identity(rule));
    let known: Vec<(usize, &FirewallRule)> = ours.iter().filter_map(|rule| Some((place(rule)?, rule))).collect();
    let swapped = known.windows(2).find(|pair| pair[0].0 > pair[1].0);
    let above = there.iter().take_while(|rule| !is_ours(rule)).last().filter(|_| !ours.is_empty());
    let between = there.windows(2).find(|pair| !is_ours(&pair[0]) && is_ours(&pair[1])).map(|pair| &pair[0]);
    let wrong = match (above.or(between), swapped) {
        (Some(foreign), _) => Some(format!("`{}` stands above ours", show(foreign))),
        (None, Some(pair)) => Some(format!("`{}` stands above `{}`", identity(pair[0].1), identity(pair[1].1))),
        (None, None) => None,
    };
    fields.extend(wrong.map(|wrong| (ORDER.to_owned(), wrong)));
    fields
}

/// Where a list of rules is: its endpoints, and the parts of their path.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Adds a rule on top.
    pub create: &'a Endpoint,
    /// Reads the rule at a position.
    pub read: &'a Endpoint,
    /// Changes the rule at a position.
    pub update: &'a Endpoint,
    /// Removes the rule at a position.
    pub delete: &'a Endpoint,
    /// The parts of the path before the position.
    pub at: &'a [&'a str],
}

impl Place<'_> {
    fn request(&self, endpoint: &Endpoint, position: usize) -> Call {
        let position = position.to_string();
        let path: Vec<&str> = self.at.iter().copied().chain([position.as_str()]).collect();
        endpoint.at(&path)
    }

    /// Whether this rule is at this position.
    pub fn is(&self, position: usize, rule: &FirewallRule) -> Condition {
        let expect = rule.0.iter().map(|(name, value)| equals(name, value)).collect();
        answer(self.request(self.read, position), expect)
    }
}

/// What turns one list into another: first what puts the new rules in force, then what takes the old ones away.
/// Options are set between the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Puts new rules on top.
    pub add: Vec<Op>,
    /// Takes old ones away.
    pub remove: Vec<Op>,
}

impl Rewrite {
    /// One after the other.
    pub fn ops(self) -> Vec<Op> {
        self.add.into_iter().chain(self.remove).collect()
    }
}

/// Operations that turn `old` rules into `new` ones.
pub fn rewrite(place: Place<'_>, old: &[FirewallRule], new: &[FirewallRule]) -> Vec<Op> {
    replace(place, old, new, false, |_| false).ops()
}

/// As [`rewrite`], for rules that may be in force (`live`), and where those that `stays` names are never touched: they
/// end up below what is added.
///
/// While rules in force are replaced, each packet meets what the old list said or what the new one says, never
/// anything else: new rules are laid on top switched off and are switched on from the top down, so that what is in
/// force is always a beginning of the new list and all of the old one; then the old ones go from the bottom up.
pub fn replace(
    place: Place<'_>,
    old: &[FirewallRule],
    new: &[FirewallRule],
    live: bool,
    stays: impl Fn(&FirewallRule) -> bool,
) -> Rewrite {
    // What both lists end with stays where it is: a rule added on top costs one call.
    let kept = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| show(old) == show(new)).count();
    let (gone, added) = (&old[..old.len() - kept], &new[..new.len() - kept]);
    let added: Vec<&FirewallRule> = added.iter().filter(|rule| !(stays(rule) && gone.contains(rule))).collect();
    let mut ops = Rewrite::default();
    let is_on = |rule: &FirewallRule| rule.0.get("enable").is_none_or(|enable| enable != "0");
    // One rule is in force at once or not at all.
    let laid_off = live && added.len() > 1;
    let off = |rule: &FirewallRule| {
        let mut rule = rule.clone();
        if laid_off {
            rule.0.insert("enable".to_owned(), "0".to_owned());
        }
        rule
    };
    for rule in added.iter().rev() {
        let fields = off(rule).0;
        ops.add.push(call(place.create.at(place.at).set_all(fields)));
    }
    const CHANGED: &str = "the rules were changed by somebody else meanwhile";
    if laid_off {
        for (position, rule) in added.iter().enumerate().filter(|(_, rule)| is_on(rule)) {
            ops.add.push(check(place.is(position, &off(rule)), CHANGED));
            let on = place.request(place.update, position).set("enable", 1);
            ops.add.push(call_until(on, place.is(position, rule)));
        }
    }
    for (index, rule) in gone.iter().enumerate().rev().filter(|(_, rule)| !stays(rule)) {
        let position = added.len() + index;
        // A rule that somebody added meanwhile moves all below it: never remove one unseen.
        ops.remove.push(check(place.is(position, rule), CHANGED));
        ops.remove.push(call(place.request(place.delete, position)));
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::step::{Condition, Matcher};
    use crate::proxmox::endpoints::{GROUP_RULE, GROUP_RULE_CREATE, GROUP_RULE_DELETE, GROUP_RULE_UPDATE};

    fn place<'a>(at: &'a [&'a str]) -> Place<'a> {
        Place {
            create: &GROUP_RULE_CREATE,
            read: &GROUP_RULE,
            update: &GROUP_RULE_UPDATE,
            delete: &GROUP_RULE_DELETE,
            at,
        }
    }

    /// `A22` accepts port 22, `D*` drops everything, `f…` is somebody else's.
    fn rules(words: &str) -> Vec<FirewallRule> {
        let rule = |word: &str| {
            let (foreign, word) = word.strip_prefix('f').map_or((false, word), |rest| (true, rest));
            let ports = &word[1..];
            let rule = api_rule(&Rule {
                inbound: true,
                verdict: if word.starts_with('A') { Verdict::Accept } else { Verdict::Drop },
                source: vec!["10.0.0.1/32".parse().unwrap()],
                dest: Vec::new(),
                protocol: (ports != "*").then(|| "tcp".into()),
                ports: (ports != "*").then(|| ports.to_owned()),
                comment: if foreign { "foreign".to_owned() } else { "ours".to_owned() },
            });
            assert!(word.starts_with(['A', 'D']));
            rule
        };
        words.split_whitespace().map(rule).collect()
    }

    fn is_foreign(rule: &FirewallRule) -> bool {
        rule.0["comment"] == "foreign"
    }

    /// Every list that is there in between: a POST inserts at 0, a PUT changes, a DELETE removes at its position.
    fn carried_out(ops: &[Op], old: &[FirewallRule]) -> Vec<Vec<FirewallRule>> {
        let mut list = old.to_vec();
        let mut seen = vec![list.clone()];
        for op in ops {
            let position = |path: &str| path.rsplit('/').next().unwrap().parse::<usize>().unwrap();
            let request = match op {
                Op::Call { request, .. } => request,
                Op::Await { condition: Condition::Answer { request, expect }, .. } => {
                    let there = &list[position(&request.path)].0;
                    assert!(expect.iter().all(|e| matches!(&e.is, Matcher::Equals(value) if there[&e.key] == *value)));
                    continue;
                }
                other => panic!("{other:?}"),
            };
            match request.method {
                crate::ports::Method::Post => list.insert(0, FirewallRule(request.params.iter().cloned().collect())),
                crate::ports::Method::Put => list[position(&request.path)].0.extend(request.params.iter().cloned()),
                _ => {
                    list.remove(position(&request.path));
                }
            }
            seen.push(list.clone());
        }
        seen
    }

    #[test]
    fn post_inserts_firewall_rules_at_0_so_lists_are_written_last_first() {
        for (old, new) in [("", "A1 A2 A3"), ("A1 A2", "A2 A1"), ("A1 A2 A3", "A9 A3"), ("A1 A2 A3", ""), ("A1", "A1")]
        {
            let (old, new) = (rules(old), rules(new));
            let lists = carried_out(&rewrite(place(&["g"]), &old, &new), &old);
            assert_eq!(lists.last(), Some(&new));
            assert!(lists.iter().all(|list| list.len() >= old.len().min(new.len())), "never fewer rules than before");
        }
        let (old, new) = (rules("A1 A2"), rules("A0 A1 A2"));
        assert_eq!(rewrite(place(&["g"]), &old, &new).len(), 1);
    }

    /// What a list says to a packet to `port`; nothing, if it says nothing.
    fn says(list: &[FirewallRule], port: u16) -> Option<String> {
        let port = port.to_string();
        let hit =
            list.iter().find(|rule| rule.0["enable"] != "0" && rule.0.get("dport").is_none_or(|own| *own == port));
        hit.map(|rule| rule.0["action"].clone())
    }

    #[test]
    fn at_no_moment_does_a_packet_meet_what_neither_the_old_nor_the_new_rules_say() {
        let words = ["A1", "D1", "A2", "D2", "D*", "A*", "fA1", "fD2", "fA*"];
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut held = 0;
        for _ in 0..4000 {
            let mut list = |n: usize, kinds: usize| (0..n).map(|_| words[next(kinds)]).collect::<Vec<_>>().join(" ");
            let old = rules(&list(5, 9));
            let ours = rules(&list(4, 6));
            let new: Vec<FirewallRule> =
                ours.into_iter().chain(old.iter().filter(|r| is_foreign(r)).cloned()).collect();
            let Rewrite { add, remove } = replace(place(&["g"]), &old, &new, true, is_foreign);
            let lists = carried_out(&add.into_iter().chain(remove).collect::<Vec<_>>(), &old);
            assert_eq!(lists.last(), Some(&new));
            for list in &lists {
                let foreign = |list: &[FirewallRule]| list.iter().filter(|rule| is_foreign(rule)).count();
                assert_eq!(foreign(list), foreign(&old), "what is not ours is not touched");
                for port in [1, 2, 3] {
                    let now = says(list, port);
                    assert!(now == says(&old, port) || now == says(&new, port), "{port}: {old:?} → {new:?}: {list:?}");
                    held += 1;
                }
            }
        }
        assert!(held > 10_000);
    }

    #[test]
    fn rules_are_known_by_what_they_do_and_those_of_others_stay_below() {
        let (wanted, ours) = (rules("A1 D*"), |rule: &FirewallRule| !is_foreign(rule));
        let order = |there: &str| fields_among(&rules(there), &wanted, ours)["order"].clone();
        assert_eq!(order("A1 D* fA2"), IN_ORDER);
        assert_eq!(order("A1"), IN_ORDER, "what is missing is said by its own field");
        assert!(order("fA2 A1 D*").contains("port 2 # foreign` stands above ours"), "{}", order("fA2 A1 D*"));
        assert!(order("A1 fA2 D*").contains("stands above ours"));
        assert!(order("D* A1").contains("stands above"));
        let there = fields_among(&rules("fA2 A1"), &wanted, ours);
        assert_eq!(there.keys().collect::<Vec<_>>(), ["order", "rules[in ACCEPT from 10.0.0.1 by tcp port 1]"]);
    }

    #[test]
    fn single_address_is_written_without_its_prefix() {
        assert_eq!(rules("A22")[0].0["source"], "10.0.0.1");
    }
}
