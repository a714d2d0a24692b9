//! What a blueprint asks of the policy: tags of its guests, a rule per flow, terminals, and tests of all of it.
//!
//! A guest that somebody in the tailnet has access to is a member, and bears `tag:infra-INVENTORY-GUEST`: a tag takes its device away
//! from whoever joined it, so that no rule about people reaches it. Between members nothing is ever granted: they talk
//! over their bridge, past Proxmox's firewall. The tests say so to the control plane, which refuses a policy that
//! fails one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::decide::Packet;
use super::edit::edit;
use super::policy::Policy;
use super::section::{Block, Section};
use crate::blueprint::{Blueprint, Flow, Party, PolicyStyle, Tailnet};
use crate::model::{EnvironmentName, GuestName, PortRange, Transport};

/// A port that nobody declares and nobody listens on (RFC 863, discard): stands for "anything else" in tests.
const WITNESS: u16 = 9;

/// Who has a device in the tailnet. A test about a tag or a login that has none fails, however right the policy is
/// (Headscale: "resolved to no IP addresses"; Tailscale: "must be a valid user with registered machines").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// Tags of devices.
    pub tags: BTreeSet<String>,
    /// Logins of untagged devices.
    pub users: BTreeSet<String>,
}

impl Presence {
    /// Whether a test may name it. Autogroups are none of what tests document as their source.
    fn has(&self, who: &str, groups: &BTreeMap<String, Vec<String>>) -> bool {
        match groups.get(who) {
            Some(members) => members.iter().any(|member| self.users.contains(member)),
            None => self.tags.contains(who) || self.users.contains(who),
        }
    }
}

/// The tag of a guest. It bears the inventory's name, as a tailnet may serve several that call guests alike, and
/// begins with a letter, as every tag has to.
#[must_use]
pub fn tag_of(inventory: &EnvironmentName, guest: &GuestName) -> String {
    format!("tag:infra-{inventory}-{guest}")
}

/// The tags of [`members`].
fn member_tags(blueprint: &Blueprint) -> BTreeSet<String> {
    members(blueprint).iter().map(|guest| tag_of(&blueprint.name, guest)).collect()
}

/// Guests that join the tailnet: those that somebody in it has access to, and those that are to join anyway.
#[must_use]
pub fn members(blueprint: &Blueprint) -> BTreeSet<GuestName> {
    let Some(tailnet) = &blueprint.tailnet else { return BTreeSet::new() };
    let reached = ways(blueprint).into_iter().map(|way| way.to);
    reached.chain(tailnet.members.iter().cloned()).filter(|guest| blueprint.guests.contains_key(guest)).collect()
}

/// A flow from the tailnet to a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    from: String,
    to: GuestName,
    /// Of `to`.
    tag: String,
    transport: Transport,
    ports: (u16, u16),
}

fn ways(blueprint: &Blueprint) -> BTreeSet<Way> {
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
        rules(tailnet.style, &ways),
        Block { key: "ssh".into(), entries: terminals(tailnet, &ways) },
    ];
    let bare = Section { blocks: blocks.iter().filter(|block| !block.entries.is_empty()).cloned().collect() };
    let granted = edit("{}", "x", &bare).ok().and_then(|text| Policy::read(&text).ok()).unwrap_or_default();
    let granted =
        Policy { groups: [outside.groups.clone(), granted.groups].into_iter().flatten().collect(), ..granted };
    blocks.push(Block { key: "tests".into(), entries: tests(&ways, &members, &granted, presence) });
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

/// One rule per source and guest.
fn rules(style: PolicyStyle, ways: &BTreeSet<Way>) -> Block {
    let mut pairs: BTreeMap<(&str, &str), BTreeMap<Transport, Vec<String>>> = BTreeMap::new();
    for Way { from, tag, transport, ports: (first, last), .. } in ways {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        pairs.entry((from, tag)).or_default().entry(*transport).or_default().push(range);
    }
    let mut entries = Vec::new();
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
    let with = ways.iter().filter(|way| way.transport == Transport::Tcp && (way.ports.0..=way.ports.1).contains(&22));
    let pairs: BTreeSet<(&str, &str)> = with.map(|way| (way.from.as_str(), way.tag.as_str())).collect();
    pairs
        .into_iter()
        .map(|(from, to)| spaced(&json!({"action": action, "src": [from], "dst": [to], "users": ssh.users})))
        .collect()
}

/// One test per source, since of several with the same source Tailscale has been seen to judge them together
/// (tailscale/tailscale#8250), and with single ports, since it refuses ranges in tests (recorded by Headscale's
/// `policytest-port-shape-range`).
fn tests(ways: &BTreeSet<Way>, members: &BTreeSet<String>, granted: &Policy, presence: &Presence) -> Vec<String> {
    let mut sources: BTreeSet<String> = ways.iter().map(|way| way.from.clone()).collect();
    sources.extend(members.iter().cloned());
    let present = |who: &str| presence.has(who, &granted.groups);
    let targets: Vec<&String> = members.iter().filter(|tag| present(tag)).collect();
    let mut entries = Vec::new();
    for from in sources.iter().filter(|from| present(from)) {
        let (mut accept, mut deny) = (BTreeSet::new(), BTreeSet::new());
        for to in targets.iter().copied().filter(|to| *to != from) {
            let at = |port: u16| (port, format!("{to}:{port}"));
            let here = ways.iter().filter(|way| way.tag == *to);
            let mut ports: BTreeSet<u16> = here.clone().flat_map(|way| [way.ports.0, way.ports.1]).collect();
            accept.extend(here.filter(|way| way.from == **from).flat_map(|way| [at(way.ports.0), at(way.ports.1)]));
            ports.extend([22, WITNESS]);
            let reached = |port: u16| {
                [Transport::Tcp, Transport::Udp].iter().any(|transport| {
                    let packet = Packet { from, to, transport: *transport, port };
                    granted.rules.is_some() && granted.decide(&packet).is_reachable()
                })
            };
            deny.extend(ports.into_iter().filter(|port| !reached(*port)).map(at));
        }
        if accept.is_empty() && deny.is_empty() {
            continue;
        }
        let mut test = json!({"src": from});
        for (key, list) in [("accept", accept), ("deny", deny)] {
            if !list.is_empty() {
                let mut list: Vec<(u16, String)> = list.into_iter().collect();
                list.sort_by(|(a, to), (b, other)| {
                    (to.rsplit_once(':').map(|to| to.0), a).cmp(&(other.rsplit_once(':').map(|to| to.0), b))
                });
                test[key] = json!(list.into_iter().map(|(_, at)| at).collect::<Vec<_>>());
            }
        }
        entries.push(spaced(&test));
    }
    entries
}

/// JSON on one line, with a space behind commas and colons.
fn spaced(value: &serde_json::Value) -> String {
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

/// Whether a flow says that `packet` may reach its guest.
pub(super) fn declared(blueprint: &Blueprint, policy: &Policy, packet: &Packet<'_>) -> bool {
    let covers = |way: &Way| {
        way.from == packet.from
            || policy.groups.get(&way.from).is_some_and(|members| members.iter().any(|member| member == packet.from))
    };
    ways(blueprint).iter().any(|way| {
        let ports = PortRange::new(way.ports.0, way.ports.1);
        way.tag == packet.to
            && way.transport == packet.transport
            && ports.is_some_and(|ports| ports.contains(packet.port))
            && covers(way)
    })
}

/// What the rest of a policy lets through to guests although no flow says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Who gets through.
    pub from: String,
    /// Where to.
    pub to: GuestName,
    /// By which rule, as a sentence.
    pub by: String,
    /// Whether it is from one guest of the inventory to another: their isolation is broken.
    pub between_guests: bool,
}

/// Everything that rules of others let through to members although no flow says so, each source and guest once;
/// `own` is our section of `policy`.
#[must_use]
pub fn leaks(blueprint: &Blueprint, policy: &Policy, own: &Section) -> Vec<Leak> {
    let ours: BTreeSet<&str> = own.blocks.iter().flat_map(|block| &block.entries).map(String::as_str).collect();
    let rules = policy.rules.iter().flatten().filter(|rule| !ours.contains(rule.text.as_str())).cloned().collect();
    let policy = &Policy { rules: Some(rules), ..policy.clone() };
    let members = members(blueprint);
    let own = member_tags(blueprint);
    let mut sources: BTreeSet<String> = own.clone();
    sources.extend(ways(blueprint).into_iter().map(|way| way.from));
    let named = policy.rules.iter().flatten().flat_map(|rule| rule.src.iter().cloned());
    sources.extend(named.map(|src| if src == "*" { "autogroup:member".to_owned() } else { src }));
    let mut ports: BTreeSet<u16> = ways(blueprint).iter().flat_map(|way| [way.ports.0, way.ports.1]).collect();
    ports.extend([22, WITNESS]);
    // Rules of others may be about ports that we know nothing of.
    let lists = policy.rules.iter().flatten().flat_map(|rule| &rule.dst).map(|(_, ports)| ports.as_str());
    for list in lists {
        let bare = list.rsplit(':').next().unwrap_or(list);
        ports.extend(bare.split([',', '-']).filter_map(|port| port.parse::<u16>().ok()));
    }
    let mut leaks = Vec::new();
    for to in &members {
        let tag = tag_of(&blueprint.name, to);
        for from in sources.iter().filter(|from| **from != tag) {
            let packets = ports.iter().flat_map(|port| {
                [Transport::Tcp, Transport::Udp].map(|transport| Packet { from, to: &tag, transport, port: *port })
            });
            let leak = packets.into_iter().find_map(|packet| {
                let decision = policy.decide(&packet);
                let leak = decision.is_reachable() && !declared(blueprint, policy, &packet);
                leak.then(|| decision.to_string())
            });
            if let Some(by) = leak {
                leaks.push(Leak { from: from.clone(), to: to.clone(), by, between_guests: own.contains(from) });
            }
        }
    }
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::{FlowOrigin, testing};

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
        Presence { tags, users: ["ann@example.com".to_owned()].into() }
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
        tests: {"src": "group:staff", "accept": ["tag:infra-test-plan-hq:53"], "deny": ["tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-plan-hq", "deny": ["tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-proj-x", "deny": ["tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:53", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-y:9", "tag:infra-test-proj-y:22"]}
        tests: {"src": "tag:infra-test-proj-y", "deny": ["tag:infra-test-plan-hq:9", "tag:infra-test-plan-hq:22", "tag:infra-test-plan-hq:53", "tag:infra-test-plan-hq:3000", "tag:infra-test-plan-hq:3010", "tag:infra-test-proj-x:9", "tag:infra-test-proj-x:22"]}
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
    fn what_others_define_is_left_to_them() {
        let outside = Policy::read(r#"{"tagOwners": {"tag:phone": []}, "groups": {"group:staff": []}}"#).unwrap();
        let lines = wanted(&blueprint(""), &outside, &Presence::default()).lines().join("\n");
        assert!(!lines.contains("tagOwners: \"tag:phone\"") && !lines.contains("groups:"), "{lines}");
    }

    #[test]
    fn rules_of_others_that_open_more_are_found() {
        let blueprint = blueprint("");
        let with = |rules: &str| {
            let section = wanted(&blueprint, &Policy::default(), &Presence::default());
            leaks(&blueprint, &Policy::read(&edit(rules, "x", &section).unwrap()).unwrap(), &section)
        };
        assert_eq!(with("{\"grants\": []}"), []);
        assert_eq!(with(r#"{"grants": [{"src": ["autogroup:member"], "dst": ["autogroup:self"], "ip": ["*"]}]}"#), []);
        let all = with(r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}"#);
        assert!(all.iter().any(|leak| leak.between_guests && leak.from == "tag:infra-test-proj-x"), "{all:?}");
        let one =
            with(r#"{"acls": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:infra-test-proj-x:8443"]}]}"#);
        assert!(one.iter().any(|leak| leak.from == "group:ops"), "{one:?}");
        assert!(one.iter().all(|leak| !leak.between_guests && leak.by.contains("8443")), "{one:?}");
        // Ours is then the only list of rules, so that not everything gets through.
        assert_eq!(with("{}"), []);
    }
}
