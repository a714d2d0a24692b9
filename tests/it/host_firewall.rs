//! A host's own firewall as the operator declares it: planned, guarded, and never set against whoever asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infra::adapters::{Https, HttpsTarget, Ssh, SshSettings, SshTarget, Trust};
use infra::blueprint::Blueprint;
use infra::diag::Diagnostics;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::hardware::graphics_card;
use infra::lab::rules::host_firewall::{Packet, Verdict, judge};
use infra::lab::scenario::{HostSpec, SiteSpec};
use infra::lab::world::{Firewall, Guest, GuestKind, IpSet, IpSetEntry, Rule, Version, World};
use infra::lab::{Lab, LabOptions, Scenario};
use infra::model::change::Risk;
use infra::model::guard::GuardAct;
use infra::model::step::{Op, Undo};
use infra::plan::{Plan, Request, Scope, build};
use infra::ports::{Api as _, Clock, Command, Method, Shell};
use infra::proxmox::endpoints::VERSION;
use infra::resources::Part;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::random_inventory::{inventory, usual};
use crate::rig::{Rig, VirtualClock, blueprint};

/// Somebody who is not on the host's own network, which PVE always lets in.
const OPERATOR: &str = "203.0.113.7";

/// What of a host this suite is about.
const FIREWALLS: [&str; 2] = ["host_firewall.hq", "datacenter_firewall.hq"];

fn rig() -> Rig {
    rig_of(Version::default())
}

fn rig_of(version: Version) -> Rig {
    let operator = Some(OPERATOR.parse().unwrap());
    Rig::with(Scenario { operator, version, ..Scenario::example() }, 0)
}

fn read(firewall: Value) -> Result<Blueprint, Diagnostics> {
    let mut document: Value = serde_json::from_str(&inventory(&[usual(false)])).expect("it is JSON");
    document["hosts"]["hq"]["firewall"] = firewall;
    blueprint(&document.to_string())
}

fn declared(firewall: Value) -> Blueprint {
    read(firewall).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn usual_firewall() -> Blueprint {
    declared(json!({ "allow_from": ["203.0.113.0/24", "2001:db8::/32"] }))
}

async fn plan(rig: &Rig, blueprint: &Blueprint) -> Result<Plan, Diagnostics> {
    let observed = rig.observe(blueprint).await;
    build(&Request {
        blueprint,
        observed: &observed,
        memory: &std::collections::BTreeMap::new(),
        scope: &Scope {
            part: Part::Hosts,
            targets: FIREWALLS.map(|addr| addr.parse().unwrap()).into(),
            ..Scope::default()
        },
        allowed: &Default::default(),
        unfinished: &rig.unfinished(blueprint),
    })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn prepare(rig: &Rig, blueprint: &Blueprint) -> Plan {
    let plan = plan(rig, blueprint).await.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let done = rig.carry_out(blueprint, plan.clone(), OnFailure::Keep, &Stop::default()).await;
    assert_eq!(done.ended, Ended::Done, "{:#?}", done.failures);
    plan
}

fn look<T>(rig: &Rig, look: impl FnOnce(&World) -> T) -> T {
    rig.site.look(look).unwrap()
}

fn entries(rig: &Rig) -> Vec<String> {
    look(rig, |world| world.firewall.ipsets["management"].entries.keys().cloned().collect())
}

fn gets_in(world: &World, source: &str, port: u16) -> bool {
    let node = world.nodes.values().next().unwrap();
    let packet = Packet { source: source.parse().unwrap(), protocol: "tcp", port: Some(port) };
    let local = Some("192.168.10.0/24".parse().unwrap());
    judge(&world.firewall, &node.firewall, ("192.168.10.2", local), packet) == Verdict::Accept
}

#[test]
fn everything_is_denied_but_what_the_operator_needs() {
    for version in [Version::V8_4, Version::V9_1, Version::V9_2] {
        let (rig, goal) = (rig_of(version), usual_firewall());
        run(async {
            let plan = prepare(&rig, &goal).await;
            let addrs: Vec<String> = plan.changes.iter().map(|change| change.addr.to_string()).collect();
            assert_eq!(addrs, FIREWALLS);
            assert!(plan.changes.iter().all(|change| change.risk == Risk::Reachability));
            assert!(plan.notes.iter().any(|note| note.contains("is switched on")), "{:#?}", plan.notes);
            look(&rig, |world| {
                for (source, port, expected) in [
                    (OPERATOR, 22, true),
                    (OPERATOR, 8006, true),
                    (OPERATOR, 443, true),
                    ("2001:db8::7", 443, true),
                    ("2001:db8::7", 22, true),
                    (OPERATOR, 111, false),
                    ("198.51.100.1", 22, false),
                    ("198.51.100.1", 443, false),
                    ("198.51.100.1", 8006, false),
                ] {
                    assert_eq!(gets_in(world, source, port), expected, "{source} to {port}");
                }
            });
            let again = self::plan(&rig, &goal).await.unwrap();
            assert!(again.is_empty() && again.gaps.is_empty(), "{again:#?}");
        });
    }
}

#[test]
fn steps_are_guarded_both_ways_and_the_switch_goes_last() {
    let (rig, goal) = (rig(), usual_firewall());
    let plan = run(plan(&rig, &goal)).unwrap();
    for step in &plan.steps {
        let Undo::Ops { ops: undo } = &step.undo else { panic!("{} has no undo", step.id) };
        for ops in [&step.ops, undo] {
            assert!(matches!(ops.first(), Some(Op::Guard { act: GuardAct::Arm, .. })));
            assert!(matches!(ops.last(), Some(Op::Guard { act: GuardAct::Disarm, .. })));
        }
    }
    let writes: Vec<String> = plan
        .steps
        .iter()
        .flat_map(|step| &step.ops)
        .filter_map(|op| match op {
            Op::Call { request, .. } => Some(format!("{} {}", request.method, request.path)),
            _ => None,
        })
        .collect();
    assert_eq!(writes.last().unwrap(), "PUT /cluster/firewall/options");
}

#[test]
fn whoever_would_lock_themselves_out_is_refused_with_the_place() {
    let rig = rig();
    let goal = declared(json!({ "allow_from": ["198.51.100.0/24"] }));
    let problems = run(plan(&rig, &goal)).unwrap_err();
    let problem = problems.iter().find(|problem| problem.code == "plan.locked-out").expect("it is refused");
    assert!(problem.causes[0].contains(OPERATOR) && problem.primary.is_some(), "{problem:#?}");
    assert!(problem.hints[0].contains(OPERATOR));
    // What is declared is right, and what is there already would keep us out all the same.
    let goal = usual_firewall();
    let set = |entry: IpSetEntry| IpSet { entries: [(OPERATOR.to_owned(), entry)].into(), ..IpSet::default() };
    for (name, entry) in
        [("blacklist", IpSetEntry::default()), ("management", IpSetEntry { nomatch: true, ..IpSetEntry::default() })]
    {
        let rig = self::rig();
        rig.site.change(|world| drop(world.firewall.ipsets.insert(name.to_owned(), set(entry)))).unwrap();
        let problems = run(plan(&rig, &goal)).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.causes.iter().any(|cause| cause.contains(name))),
            "{problems:#?}"
        );
    }
}

/// Between plan and apply the operator moves: the second look of `apply` is the same plan, made anew.
#[test]
fn the_plan_is_refused_again_when_we_come_from_elsewhere() {
    let (rig, goal) = (rig(), usual_firewall());
    assert!(run(plan(&rig, &goal)).is_ok());
    rig.site.change(|world| world.operator = Some("198.51.100.1".parse().unwrap())).unwrap();
    let problems = run(plan(&rig, &goal)).unwrap_err();
    assert!(problems.iter().any(|problem| problem.code == "plan.locked-out"), "{problems:#?}");
}

#[test]
fn what_is_not_ours_stays_and_is_shown() {
    let (rig, goal) = (rig(), usual_firewall());
    let foreign = |dport: &str| Rule {
        enabled: true,
        fields: [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", dport), ("comment", "mine")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    rig.site
        .change(|world| {
            world.nodes.values_mut().next().unwrap().firewall.rules = vec![foreign("9100"), foreign("9101")];
            let set = world.firewall.ipsets.entry("management".to_owned()).or_default();
            set.entries.insert("192.0.2.0/24".to_owned(), IpSetEntry::default());
        })
        .unwrap();
    run(async {
        let plan = prepare(&rig, &goal).await;
        assert!(plan.notes.iter().any(|note| note.contains("9100") && note.contains("not ours")), "{:#?}", plan.notes);
        assert!(plan.notes.iter().any(|note| note.contains("192.0.2.0/24")), "{:#?}", plan.notes);
        let rules = || look(&rig, |world| world.nodes.values().next().unwrap().firewall.rules.clone());
        assert_eq!(rules().len(), 6, "ours for IPv4 and IPv6, names by TCP and UDP, and the two that were there");
        assert_eq!(&rules()[4..], [foreign("9100"), foreign("9101")]);
        assert_eq!(entries(&rig), ["192.0.2.0/24", "2001:db8::/32", "203.0.113.0/24"]);
        // Somebody puts a rule on top: ours are still there, wherever they are.
        rig.site
            .change(|world| world.nodes.values_mut().next().unwrap().firewall.rules.insert(0, foreign("7")))
            .unwrap();
        assert!(self::plan(&rig, &goal).await.unwrap().is_empty());
        // Another place, and a rule more: ours are replaced where they are, and nothing else.
        let more = declared(json!({
            "allow_from": ["203.0.113.0/28"],
            "rules": [{ "action": "accept", "source": "192.0.2.9", "protocol": "tcp", "ports": 9100, "comment": "scrape" }],
        }));
        prepare(&rig, &more).await;
        assert_eq!(entries(&rig), ["192.0.2.0/24", "203.0.113.0/28"]);
        assert_eq!(rules().len(), 7);
        assert_eq!(&rules()[4..], [foreign("7"), foreign("9100"), foreign("9101")]);
        assert!(self::plan(&rig, &more).await.unwrap().is_empty());
    });
}

/// Every list of a host's rules that is there while a plan's requests are carried out on paper, as Proxmox does it: a
/// POST inserts on top, whatever it says of its place.
fn lists_in_between(plan: &Plan, there: Vec<BTreeMap<String, String>>) -> Vec<Vec<BTreeMap<String, String>>> {
    let mut list = there;
    let mut seen = vec![list.clone()];
    for op in plan.steps.iter().flat_map(|step| &step.ops) {
        let Op::Call { request, .. } = op else { continue };
        let Some((_, position)) = request.path.split_once("/firewall/rules") else { continue };
        if !request.path.starts_with("/nodes/") {
            continue;
        }
        let position = || position.trim_start_matches('/').parse::<usize>().unwrap();
        let params = || request.params.iter().cloned();
        match request.method {
            Method::Post => list.insert(0, params().collect()),
            Method::Put => list[position()].extend(params()),
            Method::Delete => drop(list.remove(position())),
            Method::Get => {}
        }
        seen.push(list.clone());
    }
    seen
}

#[test]
fn while_a_hosts_rules_are_replaced_no_packet_meets_what_neither_list_says() {
    // What lets one address in and refuses its network gets one more address, and refuses a larger network.
    let rule = |action: &str, source: &str, comment: &str| json!({ "action": action, "source": source, "protocol": "tcp", "ports": 9100, "comment": comment });
    let goal = |rules: Value| declared(json!({ "allow_from": ["203.0.113.0/24"], "rules": rules }));
    let old = goal(json!([rule("accept", "192.0.2.9", "a"), rule("drop", "192.0.2.0/24", "b")]));
    let new = goal(json!([
        rule("accept", "192.0.2.9", "a"),
        rule("accept", "192.0.2.10", "c"),
        rule("drop", "192.0.0.0/16", "d"),
        rule("accept", "192.0.0.0/8", "e"),
    ]));
    let rig = rig();
    run(async {
        prepare(&rig, &old).await;
        let foreign = [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", "9100"), ("comment", "mine")];
        let foreign =
            Rule { enabled: true, fields: foreign.map(|(name, value)| (name.to_owned(), value.to_owned())).into() };
        rig.site
            .change(|world| world.nodes.values_mut().next().unwrap().firewall.rules.insert(0, foreign.clone()))
            .unwrap();
        let plan = self::plan(&rig, &new).await.unwrap();
        let there = look(&rig, |world| {
            let rules = world.nodes.values().next().unwrap().firewall.rules.iter();
            let on = |rule: &Rule| ("enable".to_owned(), u8::from(rule.enabled).to_string());
            rules.map(|rule| rule.fields.clone().into_iter().chain([on(rule)]).collect()).collect()
        });
        let lists = lists_in_between(&plan, there);
        let says = |list: &[BTreeMap<String, String>], source: &str| {
            let source: std::net::IpAddr = source.parse().unwrap();
            let holds = |rule: &BTreeMap<String, String>| {
                let network = rule.get("source").map(|text| {
                    text.parse::<ipnet::IpNet>().unwrap_or_else(|_| text.parse::<std::net::IpAddr>().unwrap().into())
                });
                rule["enable"] != "0"
                    && rule.get("dport").is_none_or(|port| port == "9100")
                    && network.is_none_or(|network| network.contains(&source))
            };
            list.iter().find(|rule| holds(rule)).map(|rule| rule["action"].clone())
        };
        let (first, last) = (&lists[0], &lists[lists.len() - 1]);
        assert!(lists.len() > 6, "{lists:#?}");
        for source in ["192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.9.9", "192.9.9.9", OPERATOR, "198.51.100.1"] {
            for list in &lists {
                let now = says(list, source);
                assert!(now == says(first, source) || now == says(last, source), "{source}: {now:?} in {list:#?}");
            }
        }
        prepare(&rig, &new).await;
        let rules = look(&rig, |world| world.nodes.values().next().unwrap().firewall.rules.clone());
        let others = rules.iter().filter(|rule| rule.fields.get("comment").is_some_and(|comment| comment == "mine"));
        assert_eq!((others.count(), rules.last()), (1, Some(&foreign)), "ours on top, and what is not ours stays");
    });
}

#[test]
fn the_switch_is_not_thrown_blindly() {
    let rule = json!({ "action": "accept", "source": "192.0.2.9", "protocol": "udp", "ports": 111, "comment": "nfs" });
    let (rig, goal) = (rig(), declared(json!({ "allow_from": ["203.0.113.0/24"], "rules": [rule] })));
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let on = Firewall { options: [option("enable", "1"), option("policy_in", "REJECT")].into(), ..Firewall::default() };
    rig.site
        .change(|world| {
            let node = world.nodes.keys().next().unwrap().clone();
            let config = [("hostname".to_owned(), "theirs".to_owned())].into();
            let theirs = Guest::new(GuestKind::Lxc, &node, config);
            for (vmid, firewall) in [(900, on.clone()), (901, Firewall::default())] {
                world.guests.insert(vmid, theirs.clone());
                world.guest_firewalls.insert(vmid, firewall);
            }
            world.guest_firewalls.insert(902, on.clone());
        })
        .unwrap();
    run(async {
        let plan = self::plan(&rig, &goal).await.unwrap();
        let notes = plan.notes.join("\n");
        assert!(notes.contains("900") && notes.contains("what comes in: REJECT"), "{notes}");
        assert!(!notes.contains("901"), "its firewall is off: {notes}");
        assert!(
            notes.contains("nobody reaches on hq any more: tcp 111 (rpcbind); udp 111 (rpcbind) but from 192.0.2.9"),
            "{notes}"
        );
        rig.site
            .change(|world| drop(world.firewall.options.insert("policy_out".to_owned(), "DROP".to_owned())))
            .unwrap();
        let problems = self::plan(&rig, &goal).await.unwrap_err();
        assert!(problems.iter().any(|problem| problem.code == "plan.stale-policy-out"), "{problems:#?}");
        // Whoever lives with it already meant it.
        rig.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "1".to_owned()))).unwrap();
        let plan = self::plan(&rig, &goal).await.unwrap();
        assert!(!plan.notes.join("\n").contains("nobody reaches"), "{:#?}", plan.notes);
    });
}

#[test]
fn drift_is_seen_and_mended() {
    let (rig, goal) = (rig(), usual_firewall());
    run(async {
        prepare(&rig, &goal).await;
        rig.site
            .change(|world| {
                world.firewall.options.insert("policy_in".to_owned(), "ACCEPT".to_owned());
                world.firewall.ipsets.get_mut("management").unwrap().entries.clear();
                let host = &mut world.nodes.values_mut().next().unwrap().firewall;
                host.options.insert("enable".to_owned(), "0".to_owned());
                host.rules.clear();
            })
            .unwrap();
        let plan = prepare(&rig, &goal).await;
        let fields: BTreeSet<String> =
            plan.changes.iter().flat_map(|change| &change.fields).map(|field| field.path.clone()).collect();
        for field in ["policy_in", "enable", "management 203.0.113.0/24", "rules[in ACCEPT from 203.0.113.0/24"] {
            assert!(fields.iter().any(|path| path.starts_with(field)), "{field}: {fields:?}");
        }
        assert!(self::plan(&rig, &goal).await.unwrap().is_empty());
    });
}

#[test]
fn undo_leaves_every_byte_as_it_was() {
    let (rig, goal) = (rig(), usual_firewall());
    run(async {
        let before =
            look(&rig, |world| (world.firewall.clone(), world.nodes.values().next().unwrap().firewall.clone()));
        let mut plan = plan(&rig, &goal).await.unwrap();
        // Something after both of them fails.
        let mut last = plan.steps.last().unwrap().clone();
        last.id = infra::model::step::StepId("datacenter_firewall.hq/fail".to_owned());
        last.needs = plan.steps.iter().map(|step| step.id.clone()).collect();
        last.ops = vec![Op::Exec { argv: vec!["false".to_owned()] }];
        last.undo = Undo::nothing("a test");
        plan.steps.push(last);
        let done = rig.carry_out(&goal, plan, OnFailure::Rollback, &Stop::default()).await;
        assert_eq!(done.ended, Ended::RolledBack, "{:#?}", done.failures);
        let after = look(&rig, |world| (world.firewall.clone(), world.nodes.values().next().unwrap().firewall.clone()));
        assert_eq!(after, before);
    });
}

#[test]
fn while_a_revert_is_pending_nothing_is_planned_and_looking_does_not_touch_it() {
    let (rig, goal) = (rig(), usual_firewall());
    run(async {
        let whole = plan(&rig, &goal).await.unwrap();
        // Whoever made the change died before they could confirm it.
        let mut cut = whole.clone();
        for step in &mut cut.steps {
            step.ops.retain(|op| !matches!(op, Op::Guard { act: GuardAct::Reconnect { .. } | GuardAct::Disarm, .. }));
        }
        cut.steps.truncate(1);
        let done = rig.carry_out(&goal, cut, OnFailure::Keep, &Stop::default()).await;
        assert_eq!(done.ended, Ended::Done);
        let armed = || {
            look(&rig, |world| world.nodes.values().any(|node| node.files.keys().any(|path| path.ends_with("/armed"))))
        };
        assert!(armed());
        for _ in 0..5 {
            let seen = plan(&rig, &goal).await.unwrap();
            assert!(seen.steps.is_empty() && !seen.gaps.is_empty(), "{seen:#?}");
            assert!(seen.notes.iter().any(|note| note.contains("is about to take back")), "{:#?}", seen.notes);
            let guests = rig.plan(&goal).await.unwrap();
            assert!(guests.notes.iter().any(|note| note.contains("is about to take back")), "{:#?}", guests.notes);
        }
        assert!(armed(), "looking neither confirms nor cancels it");
        rig.clock.sleep(std::time::Duration::from_secs(301)).await;
        let seen = plan(&rig, &goal).await.unwrap();
        assert!(seen.notes.iter().any(|note| note.contains("has taken back")), "{:#?}", seen.notes);
        assert_eq!(seen.steps.len(), 2, "and it is planned anew");
        prepare(&rig, &goal).await;
        assert!(plan(&rig, &goal).await.unwrap().notes.is_empty(), "nothing of it is left");
    });
}

#[test]
fn the_hosts_own_port_for_ssh_is_opened_where_it_is_another_one() {
    let mut document: Value = serde_json::from_str(&inventory(&[usual(false)])).unwrap();
    document["hosts"]["hq"]["ssh"]["port"] = json!(2222);
    document["hosts"]["hq"]["firewall"] = json!({ "allow_from": [OPERATOR] });
    let goal = blueprint(&document.to_string()).unwrap();
    let host = goal.hosts.values().next().unwrap();
    let ports: Vec<u16> = host.firewall.as_ref().unwrap().ports.iter().copied().collect();
    assert_eq!(ports, [443, 2222]);
}

/// What Proxmox's own compiler and packet simulator answered, 9.2: first packets from outside to the host itself.
#[test]
fn who_gets_in_at_a_host_is_as_proxmoxs_own_compiler_has_it() {
    let Some(bytes) = crate::contract::shared("firewall-verdicts-9.2.jsonl.gz") else {
        println!("not run: the recorded verdicts are not there");
        return;
    };
    let text = String::from_utf8(bytes).unwrap();
    let mut asked = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let cluster = infra::lab::world::firewall_file::read(case["files"]["cluster.fw"].as_str().unwrap_or_default());
        let own = infra::lab::world::firewall_file::read(case["files"]["host.fw"].as_str().unwrap_or_default());
        let local = case["local_network"].as_str().unwrap().parse().ok();
        for query in case["queries"].as_array().unwrap().iter().filter(|q| q["from"] == "outside" && q["to"] == "host")
        {
            let packet = Packet {
                source: query["source"].as_str().unwrap().parse().unwrap(),
                protocol: query["proto"].as_str().unwrap(),
                port: query["dport"].as_u64().and_then(|port| u16::try_from(port).ok()),
            };
            let verdict = judge(&cluster, &own, (query["dest"].as_str().unwrap(), local), packet);
            assert_eq!(
                format!("{verdict:?}").to_uppercase(),
                query["verdict"].as_str().unwrap(),
                "{}: {query}",
                case["id"]
            );
            asked += 1;
        }
    }
    println!("{asked} packets to hosts judged as Proxmox judges them");
    assert!(asked > 100);
}

/// pve-firewall looks at its files every ten seconds, and the kernel asks nobody whose connection stands.
#[test]
fn a_firewall_is_in_force_ten_seconds_late_and_lets_live_what_stands() {
    let (rig, goal) = (rig(), usual_firewall());
    let doors = rig.doors(&goal);
    let host = goal.hosts.keys().next().unwrap();
    let shell = doors.shell(host).unwrap();
    let gets_in = |shell: &dyn Shell| run(shell.run(&Command::new(["true"]))).is_ok();
    let wait = |seconds| run(rig.clock.sleep(std::time::Duration::from_secs(seconds)));
    assert!(gets_in(&**shell), "a connection that stands from now on");
    rig.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "1".to_owned()))).unwrap();
    wait(8);
    assert!(gets_in(&*shell.anew().unwrap()), "it is set, and not in force yet");
    wait(5);
    assert!(!gets_in(&*shell.anew().unwrap()));
    assert!(run(doors.own(host).unwrap().anew().unwrap().read(&VERSION.at(&[]).request())).is_err());
    assert!(gets_in(&**shell), "what stands lives on");
    rig.site.change(|world| drop(world.firewall.options.remove("enable"))).unwrap();
    wait(11);
    assert!(gets_in(&*shell.anew().unwrap()));
}

/// Our own clients over real TLS and real SSH: whoever is new is kept out, and a door opened anew is new.
#[test]
fn over_real_doors_only_what_stands_lives_on() {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let clock = VirtualClock::new();
        let scenario = Scenario { operator: Some(OPERATOR.parse().unwrap()), ..Scenario::example() };
        let shared: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&clock);
        let lab = Lab::start(LabOptions { scenario, state: None, clock: shared, listen: None }).await.unwrap();
        let host = lab.hosts.values().next().unwrap().clone();
        let target = SshTarget {
            host: host.ssh.host.clone(),
            port: host.ssh.port,
            user: host.ssh.user.clone(),
            host_key: Some(host.ssh.host_key.clone()),
            identities: vec![camino::Utf8PathBuf::from_path_buf(host.ssh.identity.clone()).unwrap()],
            jump: None,
        };
        let shell = Ssh::new(target, SshSettings::isolated());
        let (api, trust) = (&host.api, Trust::Pinned(host.api.fingerprint));
        let api = HttpsTarget::new(&api.host, api.port, trust, &api.token_id, api.token.clone());
        let api = Https::new(&api).unwrap();
        let (command, version) = (Command::new(["printenv", "SSH_CONNECTION"]), VERSION.at(&[]).request());
        let seen = shell.run(&command).await.unwrap();
        assert!(String::from_utf8(seen.stdout).unwrap().starts_with(OPERATOR), "the host sees us come from there");
        assert!(api.anew().unwrap().send(&version).await.is_ok());

        host.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "1".to_owned()))).unwrap();
        clock.sleep(std::time::Duration::from_secs(11)).await;
        assert!(shell.anew().unwrap().run(&command).await.is_err(), "nobody new over SSH");
        assert!(api.anew().unwrap().send(&version).await.is_err(), "nobody new at the API");
        assert!(shell.run(&command).await.is_ok(), "what stands lives on");

        let set = IpSet { entries: [("203.0.113.0/24".to_owned(), IpSetEntry::default())].into(), ..IpSet::default() };
        host.site.change(|world| drop(world.firewall.ipsets.insert("management".to_owned(), set))).unwrap();
        clock.sleep(std::time::Duration::from_secs(11)).await;
        assert!(shell.anew().unwrap().run(&command).await.is_ok());
        assert!(api.anew().unwrap().send(&version).await.is_ok());
        lab.stop().await;
    });
}

/// The command itself, over TLS and SSH, in real time: refused with the line, set, and nothing more to do.
#[test]
fn prepare_refuses_a_firewall_that_locks_us_out_and_sets_one_that_does_not() {
    let desk = Desk::new();
    let card = graphics_card("0000:01:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
    let host = HostSpec::workstation("hq", "pve1", "192.168.10.2").with_pci(card);
    let operator = Some(OPERATOR.parse().unwrap());
    let scenario = Scenario { operator, ..Scenario::of(vec![SiteSpec::single(host)]) };
    std::fs::write(desk.path("lab.json"), serde_json::to_string(&scenario).unwrap()).unwrap();
    let args = |verb: &[&'static str]| {
        let mut args = vec!["prepare", "--lab=lab.json", "-i", "inventories/vrooli"];
        args.extend(["--target", "host_firewall.hq", "--target", "datacenter_firewall.hq"]);
        args.extend(verb);
        args
    };
    let declare = |origin: &str| {
        let from = format!("allow_from: [{origin}]");
        desk.rewrite("inventories/vrooli/hosts.yaml", &[("allow_from: [192.168.10.0/24]", &from)]);
    };
    declare("198.51.100.0/24");
    let refused = desk.command(&args(&["--yes"])).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for words in ["lock us out of host `hq`", OPERATOR, "hosts.yaml:", "allow_from"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    declare("203.0.113.0/24");
    let planned = desk.run(0, &args(&["--dry-run"]));
    assert!(planned.contains("datacenter_firewall.hq"), "{planned}");
    let set = desk.run(0, &args(&["--yes"]));
    assert!(set.contains("datacenter_firewall.hq"), "{set}");
    desk.run(0, &args(&["--dry-run", "--detailed-exitcode"]));
    // Somebody who is let in by nothing does not get in at all any more.
    let world = desk.path(".infra/lab/vrooli/site-hq.json");
    let text = std::fs::read_to_string(&world).unwrap();
    let elsewhere = text.replacen("\"operator\":\"203.0.113.7\"", "\"operator\":\"198.51.100.1\"", 1);
    assert_ne!(text, elsewhere);
    std::fs::write(&world, elsewhere).unwrap();
    desk.run(1, &args(&["--dry-run"]));
}
