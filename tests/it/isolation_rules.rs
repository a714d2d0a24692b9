//! What follows from flows, on a host: who reaches whom, what becomes of rules of others, of drift and of the end.

use std::collections::BTreeSet;
use std::net::IpAddr;

use infra::blueprint::{Blueprint, Party};
use infra::exec::Ended;
use infra::lab::Scenario;
use infra::lab::rules::guest_firewall::{Interface, Packet, judge};
use infra::lab::rules::host_firewall::Verdict;
use infra::lab::world::{Firewall, IpSetEntry, Rule, World};
use infra::model::{Addr, Vmid};
use infra::plan::{Plan, Request, Scope, build, teardown};
use infra::resources::{Allowed, Part};
use serde_json::{Value, json};

use crate::rig::{Rig, blueprint};

/// Where we come from: not on the hosts' own network, which PVE always lets in.
const OPERATOR: &str = "203.0.113.7";

const GUESTS: [(&str, u32, &str); 4] =
    [("plan", 100, "10.0.0.10"), ("x", 104, "10.0.0.21"), ("y", 105, "10.0.0.22"), ("ops", 110, "10.0.0.30")];
/// Ports that somebody could try: of services, SSH, DHCP, and one that nobody has.
const PORTS: [u16; 8] = [22, 68, 3000, 4000, 4222, 8222, 9100, 31337];

fn inventory() -> Value {
    let mut guests = serde_json::Map::new();
    for (name, vmid, address) in GUESTS {
        let entry = json!({
            "kind": "container", "image": "debian", "host": "hq", "vmid": vmid, "address": address, "cores": 1,
            "memory": "1GiB", "disk": "8GiB", "services": ["node-exporter"],
        });
        guests.insert(name.to_owned(), entry);
    }
    guests["plan"]["memory"] = json!("16GiB");
    guests["plan"]["disk"] = json!("64GiB");
    guests["plan"]["keyctl"] = json!(true);
    guests["plan"]["services"] = json!(["litellm", "nats", "ollama", "open-webui"]);
    guests["plan"]["exposes"] = json!({ "open-webui": ["10.0.0.0/24", "192.168.10.0/24"], "ssh": ["192.168.10.0/24"] });
    for project in ["x", "y"] {
        guests[project]["uses"] = json!(["plan/litellm", "plan/nats"]);
    }
    guests["ops"]["uses"] = json!(["x/node-exporter", "y/node-exporter", "plan/nats/monitoring"]);
    guests["ops"]["internet"] = json!(false);
    json!({
        "schema": 1,
        "name": "flows",
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"],
        "hosts": { "hq": {
            "address": "192.0.2.2", "node": "pve1",
            "api": { "token_id": "infra@pve!lab", "token": "secret:hq", "fingerprint": (["00"; 32].join(":")) },
            "ssh": { "user": "root" },
            "storage": { "guests": "local-zfs", "files": "local" },
            "network": { "bridge": "vmbr0", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1" },
            "firewall": { "allow_from": [format!("{OPERATOR}/32")] },
        } },
        "images": { "debian": { "template": "debian-12-standard_12.12-1_amd64.tar.zst" } },
        "guests": guests,
    })
}

fn read(inventory: &Value) -> Blueprint {
    blueprint(&inventory.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn rig() -> Rig {
    Rig::with(Scenario { operator: Some(OPERATOR.parse().unwrap()), ..Scenario::example() }, 0)
}

/// Sets the hosts' firewalls, as `infra prepare` does: without it nothing of all that is enforced.
async fn switched_on(rig: &Rig, goal: &Blueprint) {
    let observed = rig.observe(goal).await;
    let plan = build(&Request {
        blueprint: goal,
        observed: &observed,
        memory: &Default::default(),
        scope: &Scope {
            part: Part::Hosts,
            targets: ["host_firewall.hq", "datacenter_firewall.hq"].map(|addr| addr.parse().unwrap()).into(),
            ..Scope::default()
        },
        allowed: &Allowed::default(),
        unfinished: &BTreeSet::new(),
    })
    .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let run = rig.carry_out(goal, plan, infra::exec::OnFailure::Keep, &infra::exec::Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
}

async fn applied(rig: &Rig, goal: &Blueprint) {
    if world(rig).firewall.options.get("enable").is_none_or(|enable| enable == "0") {
        switched_on(rig, goal).await;
    }
    let run = rig.apply(goal).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let plan = rig.plan(goal).await.unwrap();
    assert!(plan.changes.is_empty() && plan.gaps.is_empty(), "{:#?} {:#?}", plan.changes, plan.gaps);
}

fn world(rig: &Rig) -> World {
    rig.site.look(Clone::clone).unwrap()
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// Whether the firewall of a guest's card sees what passes it.
fn filtered(world: &World, vmid: u32) -> bool {
    world.guests[&vmid].config["net0"].split(',').any(|option| option == "firewall=1")
}

/// Whether a first packet passes, at whichever of the two ends is a guest.
fn passes(world: &World, (from, to): (&str, &str), protocol: &str, port: u16) -> bool {
    let cluster = &world.firewall;
    let whose = |address: &str| GUESTS.iter().find(|(_, _, own)| *own == address).map(|(_, vmid, _)| *vmid);
    let (source, dest): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let none = Firewall::default();
    [(from, false), (to, true)].into_iter().all(|(end, inbound)| {
        let Some(vmid) = whose(end) else { return true };
        let firewall = world.guest_firewalls.get(&vmid).unwrap_or(&none);
        let interface = Interface { number: 0, filtered: filtered(world, vmid), address: end.parse().ok(), firewall };
        let packet = Packet { inbound, source, dest, protocol, port: Some(port) };
        judge(cluster, interface, "192.0.2.0/24".parse().ok(), packet) == Verdict::Accept
    })
}

/// Every pair of guests and every port that passes, as text.
fn reachable(world: &World) -> BTreeSet<String> {
    let mut pairs = BTreeSet::new();
    for (from, _, source) in GUESTS {
        for (to, _, dest) in GUESTS.iter().filter(|(to, ..)| *to != from) {
            for (protocol, port) in PORTS.iter().flat_map(|port| [("tcp", *port), ("udp", *port)]) {
                if passes(world, (source, dest), protocol, port) {
                    pairs.insert(format!("{from} > {to} {protocol} {port}"));
                }
            }
        }
    }
    pairs
}

/// What the inventory says about pairs of guests.
fn declared(goal: &Blueprint) -> BTreeSet<String> {
    let flows = goal.flows.iter().filter_map(|flow| match (&flow.from, &flow.to) {
        (Party::Guest(from), Party::Guest(to)) => Some(format!("{from} > {to} {} {}", flow.transport, flow.ports)),
        _ => None,
    });
    flows.collect()
}

#[test]
fn guests_reach_one_another_as_declared_and_in_no_other_way() {
    let (rig, goal) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &goal).await;
        let world = world(&rig);
        assert_eq!(reachable(&world), declared(&goal));
        assert_eq!(declared(&goal).len(), 7);
        // The LAN reaches what is exposed to it, guests that are in an exposed network do not.
        assert!(passes(&world, ("192.168.10.9", "10.0.0.10"), "tcp", 3000));
        assert!(passes(&world, ("10.0.0.200", "10.0.0.10"), "tcp", 3000), "somebody else in that network");
        assert!(!passes(&world, ("10.0.0.21", "10.0.0.10"), "tcp", 3000));
        assert!(!passes(&world, ("192.168.10.9", "10.0.0.10"), "tcp", 4000));
        // Out to what is public and to the name server, and to nothing else that is private.
        for (dest, protocol, port, out) in [
            ("1.1.1.1", "tcp", 443, true),
            ("10.0.0.1", "udp", 53, true),
            ("10.0.0.1", "tcp", 8006, false),
            ("192.168.10.9", "tcp", 22, false),
            ("100.64.0.7", "tcp", 22, false),
            ("fd00::1", "tcp", 22, false),
        ] {
            assert_eq!(passes(&world, ("10.0.0.21", dest), protocol, port), out, "{dest} {port}");
        }
        assert!(!passes(&world, ("10.0.0.30", "1.1.1.1"), "tcp", 443), "ops may not");
        // Nobody speaks with another's address.
        let own = &world.guest_firewalls[&104];
        let filtered = filtered(&world, 104);
        let interface = Interface { number: 0, filtered, address: "10.0.0.21".parse().ok(), firewall: own };
        let spoofed = |source: &str| {
            let (source, dest) = (source.parse().unwrap(), "10.0.0.10".parse().unwrap());
            judge(
                &world.firewall,
                interface,
                None,
                Packet { inbound: false, source, dest, protocol: "tcp", port: Some(4000) },
            )
        };
        assert_eq!((spoofed("10.0.0.21"), spoofed("10.0.0.22")), (Verdict::Accept, Verdict::Drop));
        // Neither a card without a firewall nor a datacenter whose firewall is off is taken for what it is not.
        let somewhere = "x > ops tcp 31337".to_owned();
        let mut bare = world.clone();
        for vmid in [104, 110] {
            let net0 = bare.guests.get_mut(&vmid).unwrap().config.get_mut("net0").unwrap();
            *net0 = net0.replace("firewall=1", "firewall=0");
        }
        assert!(reachable(&bare).contains(&somewhere));
        let mut off = world.clone();
        off.firewall.options.insert("enable".to_owned(), "0".to_owned());
        assert!(reachable(&off).contains(&somewhere) && !reachable(&world).contains(&somewhere));
    });
}

fn foreign(port: &str) -> Rule {
    let fields = [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", port), ("comment", "for a while")];
    Rule { enabled: true, fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
}

fn notes(plan: &Plan) -> String {
    plan.notes.join("\n")
}

#[test]
fn a_rule_of_somebody_else_is_kept_and_shown_and_comes_after_ours() {
    let (rig, goal) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &goal).await;
        rig.site
            .change(|world| world.guest_firewalls.get_mut(&105).unwrap().rules.insert(0, foreign("31337")))
            .unwrap();
        let plan = rig.plan(&goal).await.unwrap();
        let [change] = &plan.changes[..] else { panic!("{:#?}", plan.changes) };
        assert_eq!((change.addr.to_string().as_str(), change.fields.len()), ("guest_firewall.y", 1));
        assert!(change.fields[0].path == "order" && change.fields[0].drift, "{:#?}", change.fields);
        assert!(change.fields[0].from.to_string().contains("31337"), "{:#?}", change.fields);
        assert!(notes(&plan).contains("31337") && notes(&plan).contains("nobody declared"), "{}", notes(&plan));
        applied(&rig, &goal).await;
        let rules = world(&rig).guest_firewalls[&105].rules.clone();
        assert_eq!(rules.last(), Some(&foreign("31337")), "kept, below ours");
        assert_eq!(reachable(&world(&rig)), declared(&goal), "and it opens nothing between guests");
        assert!(notes(&rig.plan(&goal).await.unwrap()).contains("31337"), "every plan shows it");
    });
}

#[test]
fn who_gets_into_a_set_or_takes_a_rule_away_is_found_out() {
    let (rig, goal) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &goal).await;
        rig.site
            .change(|world| {
                let set = world.firewall.ipsets.get_mut("infra_flows_plan_nats_monitoring").unwrap();
                set.entries.insert("10.0.0.21".to_owned(), IpSetEntry::default());
                world.firewall.groups.get_mut("infra_flows_ew").unwrap().rules.remove(0);
            })
            .unwrap();
        let plan = rig.plan(&goal).await.unwrap();
        let said: BTreeSet<String> =
            plan.changes.iter().flat_map(|c| c.fields.iter().map(move |f| format!("{} {}", c.addr, f.path))).collect();
        let expected = [
            "firewall_group.hq:infra_flows_ew rules[in DROP from +dc/infra_flows_guests]",
            "firewall_ipset.hq:infra_flows_plan_nats_monitoring entries[10.0.0.21]",
        ];
        assert_eq!(said, expected.map(str::to_owned).into());
        assert!(plan.changes.iter().all(|change| change.drift));
        applied(&rig, &goal).await;
        assert_eq!(reachable(&world(&rig)), declared(&goal));
    });
}

#[test]
fn a_flow_that_comes_or_goes_changes_what_it_is_about_and_nothing_else() {
    let (rig, before) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &before).await;
        let mut more = inventory();
        more["guests"]["x"]["uses"] = json!(["plan/litellm", "plan/nats", "y/ssh"]);
        more["guests"]["y"]["uses"] = json!(["plan/nats"]);
        let goal = read(&more);
        let plan = rig.plan(&goal).await.unwrap();
        let changed: BTreeSet<String> = plan.changes.iter().map(|change| change.addr.to_string()).collect();
        let expected = [
            "firewall_ipset.hq:infra_flows_plan_litellm_api",
            "firewall_ipset.hq:infra_flows_y_ssh_ssh",
            "guest_firewall.x",
            "guest_firewall.y",
        ];
        assert_eq!(changed, expected.map(str::to_owned).into(), "the gateway's own rules stay");
        applied(&rig, &goal).await;
        assert_eq!(reachable(&world(&rig)), declared(&goal));
    });
}

#[test]
fn nothing_of_ours_is_left_in_the_firewall_at_the_end() {
    let (rig, goal) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &goal).await;
        let observed = rig.observe(&goal).await;
        let guests: BTreeSet<Addr> = GUESTS.iter().map(|(name, ..)| format!("ct.{name}").parse().unwrap()).collect();
        let plan = teardown(&Request {
            blueprint: &goal,
            observed: &observed,
            memory: &Default::default(),
            scope: &Scope::default(),
            allowed: &Allowed { destroy: guests, ..Allowed::default() },
            unfinished: &BTreeSet::new(),
        })
        .unwrap();
        let run = rig.carry_out(&goal, plan, infra::exec::OnFailure::Keep, &infra::exec::Stop::default()).await;
        assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
        let world = world(&rig);
        let Firewall { aliases, ipsets, groups, .. } = &world.firewall;
        // Who may manage the hosts is of the hosts, and stays with them.
        let sets = ipsets.keys().filter(|name| *name != "management").count();
        assert!(aliases.is_empty() && sets == 0 && groups.is_empty(), "{:#?}", world.firewall);
        assert!(GUESTS.iter().all(|(_, vmid, _)| Vmid::try_from(*vmid).is_ok() && !world.guests.contains_key(vmid)));
    });
}

#[test]
fn rules_that_nobody_enforces_are_said_so_with_the_way_out() {
    let (rig, goal) = (rig(), read(&inventory()));
    run(async {
        applied(&rig, &goal).await;
        rig.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "0".to_owned()))).unwrap();
        let said = notes(&rig.plan(&goal).await.unwrap());
        assert!(said.contains("NOT ENFORCED") && said.contains("infra prepare"), "{said}");
        rig.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "1".to_owned()))).unwrap();
        assert!(!notes(&rig.plan(&goal).await.unwrap()).contains("NOT ENFORCED"));
    });
}
