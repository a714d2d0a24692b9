//! What a blueprint asks of the policy: tags of its guests, a rule per flow, terminals, and tests of all of it.
//!
//! A guest that somebody in the tailnet has access to is a member, and bears `tag:infra-INVENTORY-GUEST`: a tag takes
//! its device away from whoever joined it, so that no rule about people reaches it. Between members nothing is ever
//! granted: they talk over their bridge, past Proxmox's firewall. The tests say so to the control plane, which refuses
//! a policy that fails one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::json;

use super::assertions::{HOST_PORTS, tests};
use super::edit::edit;
use super::lockout::host_addresses;
use super::policy::Policy;
use super::presence::Presence;
use super::section::{Block, Section};
use crate::blueprint::{Blueprint, Flow, Host, Party, PolicyStyle, Tailnet};
use crate::model::{EnvironmentName, GuestName, Transport};

/// The tag of a guest. It bears the inventory's name, as a tailnet may serve several that call guests alike, and
/// begins with a letter, as every tag has to.
#[must_use]
pub fn tag_of(inventory: &EnvironmentName, guest: &GuestName) -> String {
    format!("tag:infra-{inventory}-{guest}")
}

/// The tags of [`members`].
pub(super) fn member_tags(blueprint: &Blueprint) -> BTreeSet<String> {
    members(blueprint).iter().map(|guest| tag_of(&blueprint.name, guest)).collect()
}

/// Guests that join the tailnet: those that somebody in it has access to, and those that are to join anyway.
#[must_use]
pub fn members(blueprint: &Blueprint) -> BTreeSet<GuestName> {
    blueprint.tailnet_members()
}

/// Whether terminals of a guest go over Tailscale SSH: somebody may reach its port 22, and the inventory asks for it.
#[must_use]
pub fn has_terminals(blueprint: &Blueprint, guest: &GuestName) -> bool {
    let asked = blueprint.tailnet.as_ref().is_some_and(|tailnet| tailnet.ssh.is_some());
    asked && ways(blueprint).iter().any(|way| way.to == *guest && way.is_terminal())
}

/// A flow from the tailnet to a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) from: String,
    pub(super) to: GuestName,
    /// Of `to`.
    pub(super) tag: String,
    pub(super) transport: Transport,
    pub(super) ports: (u16, u16),
}

impl Way {
    fn is_terminal(&self) -> bool {
        self.transport == Transport::Tcp && (self.ports.0..=self.ports.1).contains(&22)
    }
}

pub(super) fn ways(blueprint: &Blueprint) -> BTreeSet<Way> {
    let way = |flow: &Flow| match (&flow.from, &flow.to) {
        (Party::Tailnet(from), Party::Guest(to)) => Some(Way {
            from: from.clone(),
            to: to.clone(),
            tag: tag_of(&blueprint.name, to),
            transport: flow.transport,
            ports: (flow.ports.first(), flow.ports.last()),
        }),
        _ => None,
    };
    blueprint.flows.iter().filter_map(way).collect()
}

/// Our section of the policy whose other part is `outside`; empty without a tailnet.
#[must_use]
pub fn wanted(blueprint: &Blueprint, outside: &Policy, presence: &Presence) -> Section {
    let Some(tailnet) = &blueprint.tailnet else { return Section::default() };
    let (ways, members) = (ways(blueprint), member_tags(blueprint));
    let mut blocks = vec![
        Block { key: "groups".into(), entries: named(&tailnet.groups, &outside.groups) },
        Block { key: "tagOwners".into(), entries: owners(tailnet, &ways, &members, outside) },
        rules(tailnet.style, &ways, operators(blueprint, tailnet, presence)),
        Block { key: "ssh".into(), entries: terminals(tailnet, &ways) },
    ];
    let bare = Section { blocks: blocks.iter().filter(|block| !block.entries.is_empty()).cloned().collect() };
    let own = edit("{}", "x", &bare).ok().and_then(|text| Policy::read(&text).ok()).unwrap_or_default();
    // The control plane runs tests on the whole policy, so they are made for the whole of it.
    let whole = Policy {
        groups: [outside.groups.clone(), own.groups].into_iter().flatten().collect(),
        rules: Some(own.rules.into_iter().chain(outside.rules.clone()).flatten().collect()),
        ..outside.clone()
    };
    blocks.push(Block { key: "tests".into(), entries: tests(blueprint, &ways, &whole, presence) });
    // A policy without any list of rules lets everything through: then ours is there even if it is empty.
    let list = |block: &Block| outside.rules.is_none() && ["grants", "acls"].contains(&block.key.as_str());
    blocks.retain(|block| !block.entries.is_empty() || list(block));
    Section { blocks }
}

/// Entries of an object; what others have under the same name is left to them.
fn named(own: &BTreeMap<String, Vec<String>>, others: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let own = own.iter().filter(|(name, _)| !others.contains_key(*name));
    own.map(|(name, who)| format!("{}: {}", json!(name), spaced(&json!(who)))).collect()
}

fn owners(tailnet: &Tailnet, ways: &BTreeSet<Way>, members: &BTreeSet<String>, outside: &Policy) -> Vec<String> {
    let mut tags: BTreeMap<String, Vec<String>> = tailnet.tags.clone();
    let used = ways.iter().map(|way| way.from.clone()).chain(tailnet.owners.iter().cloned());
    for tag in members.iter().cloned().chain(used.filter(|who| who.starts_with("tag:"))) {
        // A tag that owns others is not among its own owners.
        let owners = tailnet.owners.iter().filter(|owner| **owner != tag).cloned().collect();
        tags.entry(tag).or_insert(owners);
    }
    named(&tags, &outside.tag_owners)
}

/// Rules by which hosts are administered over the tailnet: one per operator and host, for its API and SSH.
fn operators(blueprint: &Blueprint, tailnet: &Tailnet, presence: &Presence) -> Vec<String> {
    let mut entries = Vec::new();
    for host in blueprint.hosts.values() {
        let addresses = host_addresses(host, presence);
        for from in tailnet.operators.iter().flatten().filter(|_| !addresses.is_empty()) {
            let ports = host_ports(host);
            entries.push(spaced(&match tailnet.style {
                PolicyStyle::Grants => {
                    let ip: Vec<String> = ports.iter().map(|port| format!("tcp:{port}")).collect();
                    json!({"src": [from], "dst": addresses, "ip": ip})
                }
                PolicyStyle::Acls => {
                    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
                    let to = addresses.iter().map(|address| match address {
                        IpAddr::V4(address) => format!("{address}:{ports}"),
                        IpAddr::V6(address) => format!("[{address}]:{ports}"),
                    });
                    json!({"action": "accept", "proto": "tcp", "src": [from], "dst": to.collect::<Vec<_>>()})
                }
            }));
        }
    }
    entries
}

/// Ports that a host is administered by: as it is reached, unless that is a tunnel of this machine's.
fn host_ports(host: &Host) -> BTreeSet<u16> {
    let direct = |name: &str| name != "localhost" && !name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let ssh = host.access.ssh.as_ref().filter(|ssh| direct(&ssh.host)).map(|ssh| ssh.port);
    let api = Some(&host.access.api).filter(|api| direct(&api.host)).map(|api| api.port);
    HOST_PORTS.into_iter().chain(ssh).chain(api).collect()
}

/// One rule per source and guest, after those of operators.
fn rules(style: PolicyStyle, ways: &BTreeSet<Way>, operators: Vec<String>) -> Block {
    let mut pairs: BTreeMap<(&str, &str), BTreeMap<Transport, Vec<String>>> = BTreeMap::new();
    for Way { from, tag, transport, ports: (first, last), .. } in ways {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        pairs.entry((from, tag)).or_default().entry(*transport).or_default().push(range);
    }
    let mut entries = operators;
    for ((from, to), ports) in pairs {
        match style {
            PolicyStyle::Grants => {
                let ip: Vec<String> = ports
                    .iter()
                    .flat_map(|(transport, ranges)| ranges.iter().map(move |range| format!("{transport}:{range}")))
                    .collect();
                entries.push(spaced(&json!({"src": [from], "dst": [to], "ip": ip})));
            }
            PolicyStyle::Acls => entries.extend(ports.iter().map(|(transport, ranges)| {
                let dst = format!("{to}:{}", ranges.join(","));
                spaced(&json!({"action": "accept", "proto": transport.as_str(), "src": [from], "dst": [dst]}))
            })),
        }
    }
    let key = match style {
        PolicyStyle::Grants => "grants",
        PolicyStyle::Acls => "acls",
    };
    Block { key: key.into(), entries }
}

/// Terminals for whoever reaches port 22.
fn terminals(tailnet: &Tailnet, ways: &BTreeSet<Way>) -> Vec<String> {
    let Some(ssh) = &tailnet.ssh else { return Vec::new() };
    let action = if ssh.check { "check" } else { "accept" };
    let with = ways.iter().filter(|way| way.is_terminal());
    let pairs: BTreeSet<(&str, &str)> = with.map(|way| (way.from.as_str(), way.tag.as_str())).collect();
    pairs
        .into_iter()
        .map(|(from, to)| spaced(&json!({"action": action, "src": [from], "dst": [to], "users": ssh.users})))
        .collect()
}

/// JSON on one line, with a space behind commas and colons.
pub(super) fn spaced(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(list) => format!("[{}]", list.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(object) => {
            let pairs: Vec<String> =
                object.iter().map(|(key, value)| format!("{}: {}", json!(key), spaced(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::conflicts::{Conflict, conflicts};
    use super::super::decide::Packet;
    use super::super::leaks::{LeakKind, leaks};
    use super::*;
    use crate::blueprint::{FlowOrigin, testing};
    use crate::model::PortRange;
    use crate::model::tailnet::TailnetDevice;

    fn blueprint(more: &str) -> Blueprint {
        let mut blueprint = testing::with(&format!(
            "tailnet: {{ key: secret:t, groups: {{ staff: [ann@example.com] }}, members: [proj-x, proj-y]{more} }}\n\
             guests: {{ proj-y: {{ {}, vmid: 105, address: 10.0.0.124 }} }}",
            testing::CONTAINER
        ));
        let span = blueprint.tailnet.as_ref().unwrap().span;
        blueprint.flows.clear();
        for (from, transport, first, last) in [
            ("tag:phone", Transport::Tcp, 22, 22),
            ("tag:phone", Transport::Tcp, 3000, 3010),
            ("group:staff", Transport::Udp, 53, 53),
        ] {
            blueprint.flows.push(Flow {
                from: Party::Tailnet(from.into()),
                to: Party::Guest("plan-hq".parse().unwrap()),
                transport,
                ports: PortRange::new(first, last).unwrap(),
                why: FlowOrigin::Access("ssh".parse().unwrap(), "ssh".parse().unwrap()),
                span,
            });
        }
        blueprint
    }

    fn everybody() -> Presence {
        let tags = ["tag:phone", "tag:infra-test-plan-hq", "tag:infra-test-proj-x", "tag:infra-test-proj-y"]
            .map(str::to_owned)
            .into();
        Presence { tags, users: ["ann@example.com".to_owned()].into(), devices: Vec::new() }
    }

    #[test]
    fn flows_become_tags_rules_and_tests() {
        let section = wanted(&blueprint(", ssh: { users: [root] }"), &Policy::default(), &everybody());
        let lines = section.lines().join("\n");
        insta::assert_snapshot!(lines, @r#"
        groups: "group:staff": ["ann@example.com"]
        tagOwners: "tag:infra-test-plan-hq": ["autogroup:admin"]
        tagOwners: "tag:infra-test-proj-x": ["autogroup:admin"]
        tagOwners: "tag:infra-test-proj-y": ["autogroup:admin"]
        tagOwners: "tag:phone": ["autogroup:admin"]
        grants: {"src": ["group:staff"], "dst": ["tag:infra-test-plan-hq"], "ip": ["udp:53"]}
        grants: {"src": ["tag:phone"], "dst": ["tag:infra-test-plan-hq"], "ip": ["tcp:22", "tcp:3000-3010"]}
        ssh: {"action": "accept", "src": ["tag:phone"], "dst": ["tag:infra-test-plan-hq"], "users": ["root"]}
        tests: {"src": "ann@example.com", "accept": ["tag:infra-test-plan-hq:53"], "deny": ["tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-plan-hq", "deny": ["192.168.10.2:22", "192.168.10.2:8006", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-proj-x", "deny": ["192.168.10.2:22", "192.168.10.2:8006", "tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:53", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-proj-y", "deny": ["192.168.10.2:22", "192.168.10.2:8006", "tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:53", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22"]}
        tests: {"src": "tag:phone", "accept": ["tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010"], "deny": ["tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:53", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        "#);
    }

    #[test]
    fn acls_say_the_same_as_grants() {
        let section =
            |style: &str| wanted(&blueprint(&format!(", policy: {style}")), &Policy::default(), &Presence::default());
        let policy = |style: &str| Policy::read(&edit("{}", "x", &section(style)).unwrap()).unwrap();
        let (grants, acls) = (policy("grants"), policy("acls"));
        for from in ["tag:phone", "group:staff", "ann@example.com", "tag:infra-test-proj-x", "tag:other"] {
            for port in [21, 22, 53, 2999, 3000, 3010, 3011] {
                for transport in [Transport::Tcp, Transport::Udp] {
                    let packet = Packet { from, to: "tag:infra-test-plan-hq", transport, port };
                    assert_eq!(
                        grants.decide(&packet).is_reachable(),
                        acls.decide(&packet).is_reachable(),
                        "{packet:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_is_tested_of_whom_the_tailnet_does_not_know() {
        let section = wanted(&blueprint(""), &Policy::default(), &Presence::default());
        assert!(section.blocks.iter().all(|block| block.key != "tests"));
    }

    #[test]
    fn what_others_define_alike_is_left_to_them_and_what_they_define_otherwise_is_a_conflict() {
        let outside = |text: &str| Policy::read(text).unwrap();
        let alike = outside(r#"{"tagOwners": {"tag:phone": []}, "groups": {"group:staff": ["Ann@example.com"]}}"#);
        let lines = wanted(&blueprint(""), &alike, &Presence::default()).lines().join("\n");
        assert!(!lines.contains("tagOwners: \"tag:phone\"") && !lines.contains("groups:"), "{lines}");
        // Nobody said in the inventory who may give `tag:phone`.
        assert_eq!(conflicts(&blueprint(""), &alike), []);
        let other = outside(r#"{"groups": {"group:staff": ["ann@example.com", "eve@example.com"]}}"#);
        let found = conflicts(&blueprint(""), &other);
        let ours = Some(vec!["ann@example.com".to_owned()]);
        let theirs = vec!["ann@example.com".to_owned(), "eve@example.com".to_owned()];
        assert_eq!(found, [Conflict { name: "group:staff".into(), ours, theirs }]);
        let declared = blueprint(", tags: { phone: ['autogroup:admin'] }");
        assert_eq!(conflicts(&declared, &alike).len(), 1);
    }

    #[test]
    fn the_tag_of_a_guest_is_nobody_elses_to_define() {
        let outside = Policy::read(r#"{"tagOwners": {"tag:infra-test-proj-x": ["autogroup:admin"]}}"#).unwrap();
        let found = conflicts(&blueprint(""), &outside);
        assert_eq!((found.len(), &found[0].ours, found[0].name.as_str()), (1, &None, "tag:infra-test-proj-x"));
    }

    #[test]
    fn two_inventories_that_call_a_guest_alike_have_two_tags() {
        let guest = "plan-hq".parse().unwrap();
        assert_ne!(tag_of(&"a".parse().unwrap(), &guest), tag_of(&"b".parse().unwrap(), &guest));
    }

    #[test]
    fn people_are_tested_one_by_one_as_a_group_proves_nothing_of_one_of_them() {
        let mut there = everybody();
        there.users.insert("bob@example.com".to_owned());
        let mut blueprint = blueprint("");
        blueprint.tailnet.as_mut().unwrap().groups.get_mut("group:staff").unwrap().push("bob@example.com".to_owned());
        let lines = wanted(&blueprint, &Policy::default(), &there).lines();
        let of =
            |who: &str| lines.iter().filter(|line| line.starts_with(&format!("tests: {{\"src\": \"{who}\""))).count();
        assert_eq!((of("group:staff"), of("ann@example.com"), of("bob@example.com")), (0, 1, 1), "{lines:#?}");
    }

    #[test]
    fn what_rules_of_others_open_is_denied_in_no_test() {
        let denied = |outside: &str| {
            let section = wanted(&blueprint(""), &Policy::read(outside).unwrap(), &everybody());
            let lines = section.lines();
            lines.into_iter().find(|line| line.contains("\"src\": \"ann@")).unwrap()
        };
        assert!(denied("{}").contains("tag:infra-test-proj-x:22"));
        let more = r#"{"grants": [{"src": ["ann@example.com"], "dst": ["tag:infra-test-proj-x"], "ip": ["tcp:22"]}]}"#;
        let left = denied(more);
        assert!(!left.contains("tag:infra-test-proj-x:22") && left.contains("tag:infra-test-proj-x:9"), "{left}");
    }

    /// Leaks by these rules of others, with these devices.
    fn leaking(rules: &str, devices: &[TailnetDevice]) -> Vec<super::super::leaks::Leak> {
        let blueprint = blueprint("");
        let section = wanted(&blueprint, &Policy::default(), &Presence::default());
        let merged = Policy::read(&edit(rules, "x", &section).unwrap()).unwrap();
        leaks(&blueprint, &merged, &section, &Presence::of(devices))
    }

    #[test]
    fn rules_of_others_that_open_more_are_found() {
        let with = |rules: &str| leaking(rules, &[]);
        assert_eq!(with("{\"grants\": []}"), []);
        assert_eq!(with(r#"{"grants": [{"src": ["autogroup:member"], "dst": ["autogroup:self"], "ip": ["*"]}]}"#), []);
        let all = with(r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}"#);
        let between = |leak: &super::super::leaks::Leak| leak.kind == LeakKind::BetweenGuests;
        assert!(all.iter().any(|leak| between(leak) && leak.from == "tag:infra-test-proj-x"), "{all:?}");
        let one =
            with(r#"{"acls": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:infra-test-proj-x:8443"]}]}"#);
        assert!(one.iter().any(|leak| leak.from == "group:ops"), "{one:?}");
        assert!(one.iter().all(|leak| leak.kind == LeakKind::IntoGuest && leak.by.contains("8443")), "{one:?}");
        // Ours is then the only list of rules, so that not everything gets through.
        assert_eq!(with("{}"), []);
    }

    #[test]
    fn a_rule_of_others_that_lets_guests_out_is_a_leak_and_refused_for_hosts_and_private_networks() {
        let device = |hostname: &str, tag: &str, address: &str| TailnetDevice {
            hostname: hostname.to_owned(),
            tags: vec![tag.to_owned()],
            addresses: vec![address.to_owned()],
            ..TailnetDevice::default()
        };
        let devices = [
            device("hq", "tag:pve", "100.64.0.2"),
            device("nas", "tag:nas", "100.64.0.3"),
            device("proj-x", "tag:infra-test-proj-x", "100.64.0.4"),
        ];
        let kinds = |src: &str, dst: &str| {
            let rule = format!(r#"{{"acls": [{{"action": "accept", "src": ["{src}"], "dst": ["{dst}"]}}]}}"#);
            let leaks = leaking(&rule, &devices);
            let from_guests = leaks.into_iter().filter(|leak| leak.from == "tag:infra-test-proj-y");
            from_guests.map(|leak| leak.kind).collect::<Vec<_>>()
        };
        for src in ["tag:infra-test-proj-y", "autogroup:tagged", "*", "100.64.0.0/10"] {
            assert_eq!(kinds(src, "tag:pve:443"), [LeakKind::ToHost], "{src}");
            assert_eq!(kinds(src, "tag:other:8006"), [LeakKind::ToHost], "{src}");
            assert_eq!(kinds(src, "100.64.0.2:22"), [LeakKind::ToHost], "{src}");
            assert_eq!(kinds(src, "192.168.10.0/24:*"), [LeakKind::ToHost], "the host is in it: {src}");
            assert_eq!(kinds(src, "192.168.20.0/24:*"), [LeakKind::ToPrivate], "{src}");
            assert_eq!(kinds(src, "tag:nas:445"), [LeakKind::Outward], "{src}");
            assert_eq!(kinds(src, "100.64.0.3:445"), [LeakKind::Outward], "{src}");
            assert_eq!(kinds(src, "autogroup:internet:*"), [LeakKind::Outward], "{src}");
        }
        assert_eq!(kinds("autogroup:member", "tag:pve:8006"), []);
        assert_eq!(kinds("tag:phone", "192.168.10.0/24:*"), []);
    }
}
