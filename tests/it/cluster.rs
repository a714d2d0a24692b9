//! Three hosts of one cluster, planned and applied: through any node, with one node off, without quorum, and
//! while guests move.

use std::sync::Arc;
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::diag::Diagnostics;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::faults::{Fault, RequestEffect};
use infra::lab::rules::{lose_node, regain_node};
use infra::lab::world::{Version, World};
use infra::lab::{DirectApi, Scenario};
use infra::model::change::Action;
use infra::plan::{Plan, stale};
use infra::ports::{Api, Clock, Method, Request};
use serde_json::{Value, json};

use crate::rig::{Rig, blueprint};

const SECRET: &str = "infra@pve!lab=00000000-0000-4000-8000-00000000beef";

/// A VM on a1, containers on a2 and a3, the cards of a1 and a2 under one name.
fn inventory(memory_gib: u32) -> Value {
    let host = |n: u32| {
        let mut host = json!({
            "address": format!("192.168.10.{}", 10 + n),
            "node": format!("a{n}"),
            "cluster": "alpha",
            "api": { "token_id": "infra@pve!lab", "token": "secret:alpha", "fingerprint": (["00"; 32].join(":")) },
            "ssh": { "user": "root" },
            "storage": { "guests": "local-zfs", "files": "local", "datasets": "rpool/containers" },
            "network": { "bridge": "vmbr0", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1" },
        });
        if n < 3 {
            host["gpus"] = json!({ "rtx4090": { "id": "10de:2684" } });
        }
        host
    };
    let guest = |kind: &str, image: &str, host: &str, vmid: u32| {
        json!({
            "kind": kind, "image": image, "host": host, "vmid": vmid, "address": format!("10.0.0.{}", vmid - 80),
            "cores": 2, "memory": format!("{memory_gib}GiB"), "disk": "8GiB",
        })
    };
    json!({
        "schema": 1,
        "name": "clustered",
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"],
        "hosts": { "h1": host(1), "h2": host(2), "h3": host(3) },
        "images": {
            "ubuntu": {
                "url": "https://example.com/u-1.img",
                "sha256": "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579",
                "file": "u-1.qcow2",
            },
            "debian": { "template": "debian-12-standard_12.12-1_amd64.tar.zst" },
        },
        "guests": {
            "vm1": guest("vm", "ubuntu", "h1", 101),
            "ct2": guest("container", "debian", "h2", 102),
            "ct3": guest("container", "debian", "h3", 103),
        },
    })
}

fn of(inventory: &Value) -> Blueprint {
    blueprint(&inventory.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn rig(pace: u32) -> Rig {
    Rig::with(Scenario::cluster(), pace)
}

async fn applied(rig: &Rig, blueprint: &Blueprint) {
    let run = rig.apply(blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let again = planned(rig, blueprint).await;
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);
}

async fn planned(rig: &Rig, blueprint: &Blueprint) -> Plan {
    rig.plan(blueprint).await.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What is planned, as `update ct.ct2`.
fn changes(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(|change| format!("{:?} {}", change.action, change.addr).to_lowercase()).collect()
}

fn gaps(plan: &Plan) -> Vec<String> {
    plan.gaps.iter().map(|gap| format!("{}: {}", gap.addr, gap.why)).collect()
}

/// A migration by somebody else.
async fn migrate(rig: &Rig, kind: &str, vmid: u32, from: &str, to: &str) {
    let api = DirectApi::new(Arc::clone(&rig.site), SECRET.to_owned().into());
    let path = format!("/nodes/{from}/{kind}/{vmid}/migrate");
    let mut params = vec![("target".to_owned(), to.to_owned())];
    match kind {
        "qemu" => {
            params.extend([("online".to_owned(), "1".to_owned()), ("with-local-disks".to_owned(), "1".to_owned())])
        }
        _ => params.push(("restart".to_owned(), "1".to_owned())),
    }
    let answer = api.send(&Request { method: Method::Post, path, params }).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.reason);
}

fn node_of(rig: &Rig, vmid: u32) -> String {
    rig.site.look(|world| world.guests[&vmid].node.clone()).unwrap()
}

fn words(problems: &Diagnostics) -> String {
    problems.iter().map(|p| format!("{} {} {} {}", p.code, p.summary, p.causes.join(" "), p.hints.join(" "))).collect()
}

#[tokio::test]
async fn a_cluster_of_any_release_converges() {
    for version in Version::ALL {
        let rig = Rig::with(Scenario { version, ..Scenario::cluster() }, 0);
        applied(&rig, &of(&inventory(2))).await;
        applied(&rig, &of(&inventory(4))).await;
    }
}

#[tokio::test]
async fn three_hosts_of_one_cluster_converge_and_share_pool_and_mapping() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    let (pools, mappings) = rig.site.look(|world| (world.pools.clone(), world.mappings.clone())).unwrap();
    assert_eq!(pools.values().map(|pool| pool.guests.len()).sum::<usize>(), 3);
    let map = &mappings["rtx4090"].map;
    assert_eq!(map.len(), 2, "one entry per node that has the card");
    assert!(map[0].contains("node=a1") && map[0].contains("path=0000:01:00"), "{map:?}");
    assert!(map[1].contains("node=a2") && map[1].contains("path=0000:41:00"), "{map:?}");
    assert_eq!((node_of(&rig, 101), node_of(&rig, 102), node_of(&rig, 103)), ("a1".into(), "a2".into(), "a3".into()));
}

/// The API of two of the three hosts cannot be reached from here, while their nodes are up.
#[tokio::test]
async fn a_host_whose_own_door_is_shut_is_planned_and_changed_through_another_node() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    for (shut, memory) in [(["h1", "h2"], 3), (["h2", "h3"], 4), (["h1", "h3"], 5)] {
        rig.shut(&shut);
        let wanted = of(&inventory(memory));
        let plan = planned(&rig, &wanted).await;
        assert_eq!(plan.changes.len(), 3, "{shut:?}: {:?} {:?}", changes(&plan), gaps(&plan));
        applied(&rig, &wanted).await;
    }
}

#[tokio::test]
async fn guests_of_an_offline_node_are_unknown_and_the_rest_still_plans() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    rig.site.change(|world| lose_node(world, "a2")).unwrap();
    let wanted = of(&inventory(4));
    let plan = planned(&rig, &wanted).await;
    assert_eq!(changes(&plan), ["restart vm.vm1", "update ct.ct3"]);
    let gaps = gaps(&plan);
    assert!(gaps.iter().any(|gap| gap.starts_with("ct.ct2: ") && gap.contains("`a2` is offline")), "{gaps:?}");
    assert!(plan.orphans.is_empty() && plan.changes.iter().all(|c| c.action != Action::Destroy));
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);

    // What left the inventory while its node is off is neither proposed for deletion nor forgotten.
    let mut smaller = inventory(4);
    smaller["guests"].as_object_mut().unwrap().remove("ct2");
    let plan = planned(&rig, &of(&smaller)).await;
    assert_eq!(
        changes(&plan),
        ["update firewall_ipset.alpha:infra_clustered_guests"],
        "it is no guest of ours any more"
    );

    rig.site.change(|world| regain_node(world, "a2")).unwrap();
    applied(&rig, &wanted).await;
}

/// The first host speaks for the site: pools, mappings, groups. Another one has to, where that one is off.
#[tokio::test]
async fn what_the_cluster_shares_is_changed_through_another_node_when_the_first_is_off() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    rig.site.change(|world| lose_node(world, "a1")).unwrap();
    let mut wanted = inventory(2);
    wanted["firewall"] = json!({ "groups": { "apart": { "comment": "apart", "rules": [
        { "direction": "in", "action": "drop", "source": "10.0.0.0/24" }
    ] } } });
    wanted["guests"]["ct3"]["firewall"] = json!({ "groups": ["apart"] });
    let wanted = of(&wanted);
    let plan = planned(&rig, &wanted).await;
    assert!(changes(&plan).iter().any(|change| change.starts_with("create") && change.contains("apart")), "{plan:#?}");
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    assert!(rig.site.look(|world| world.firewall.groups.contains_key("apart")).unwrap());
}

#[tokio::test]
async fn without_quorum_the_plan_refuses_before_the_first_write() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    rig.faults(vec![Fault::NoQuorum]);
    let same = planned(&rig, &of(&inventory(2))).await;
    assert!(same.is_empty(), "what is as it should be needs no quorum");
    let before = rig.site.look(World::clone).unwrap();
    let problems = rig.plan(&of(&inventory(4))).await.unwrap_err();
    let said = words(&problems);
    assert!(said.contains("plan.no-quorum `alpha` has no quorum"), "{said}");
    assert!(said.contains("cluster not ready - no quorum?") && said.contains("pvecm status"), "{said}");
    let mut more = inventory(2);
    more["guests"]["new"] = more["guests"]["ct3"].clone();
    more["guests"]["new"]["vmid"] = json!(110);
    more["guests"]["new"]["address"] = json!("10.0.0.99");
    assert!(words(&rig.plan(&of(&more)).await.unwrap_err()).contains("plan.no-quorum"), "creations are refused, too");
    assert_eq!(rig.site.look(|world| world.tasks.len()).unwrap(), before.tasks.len());
}

#[tokio::test]
async fn quorum_that_goes_while_an_apply_runs_is_a_failure_in_proxmoxs_words() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    let wanted = of(&inventory(4));
    let plan = planned(&rig, &wanted).await;
    rig.faults(vec![Fault::NoQuorum]);
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Failed);
    assert!(run.failures.iter().any(|why| why.contains("Permission denied")), "{:#?}", run.failures);
    rig.site.change(|world| world.without_quorum = false).unwrap();
    applied(&rig, &wanted).await;
}

#[tokio::test]
async fn a_guest_on_another_node_is_reported_and_never_made_a_second_time() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    migrate(&rig, "lxc", 102, "a2", "a3").await;
    let same = planned(&rig, &of(&inventory(2))).await;
    assert!(same.is_empty() && same.gaps.is_empty(), "{:?} {:?}", changes(&same), gaps(&same));
    let note = same.notes.iter().find(|note| note.contains("ct.ct2")).expect("a note");
    for words in ["is on node a3", "places it on a2", "pct migrate 102 a2", "`host: h3`"] {
        assert!(note.contains(words), "{note}");
    }
    let wanted = of(&inventory(4));
    applied(&rig, &wanted).await;
    assert_eq!(node_of(&rig, 102), "a3", "it is changed where it is");
    assert_eq!(rig.site.look(|world| world.guests.len()).unwrap(), 3);

    // Its own host off, it is still changed: another node knows the way.
    rig.site.change(|world| lose_node(world, "a2")).unwrap();
    let wanted = of(&inventory(3));
    let plan = planned(&rig, &wanted).await;
    assert!(changes(&plan).contains(&"update ct.ct2".to_owned()), "{:?} {:?}", changes(&plan), gaps(&plan));
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);

    // Written down where it is, nothing is said any more.
    rig.site.change(|world| regain_node(world, "a2")).unwrap();
    let mut moved = inventory(3);
    moved["guests"]["ct2"]["host"] = json!("h3");
    let plan = planned(&rig, &of(&moved)).await;
    assert!(!plan.notes.iter().any(|note| note.contains("is on node")), "{:?}", plan.notes);
}

#[tokio::test]
async fn a_guest_that_moves_between_plan_and_apply_makes_the_plan_stale() {
    let rig = rig(0);
    applied(&rig, &of(&inventory(2))).await;
    let wanted = of(&inventory(4));
    let saved = planned(&rig, &wanted).await;
    migrate(&rig, "lxc", 103, "a3", "a1").await;
    let moved = stale(&saved, &planned(&rig, &wanted).await);
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0].addr.to_string(), "ct.ct3");
    assert_eq!(moved[0].what, "it was on node a3 when the plan was made, and is on a1 now");
}

#[tokio::test]
async fn a_guest_that_moves_during_an_apply_is_a_typed_failure_and_the_next_apply_converges() {
    let rig = rig(100);
    applied(&rig, &of(&inventory(2))).await;
    let wanted = of(&inventory(4));
    let plan = planned(&rig, &wanted).await;
    migrate(&rig, "lxc", 102, "a2", "a1").await;
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Failed);
    assert_eq!(run.failures.len(), 1, "the other guests are none of its business: {:#?}", run.failures);
    assert!(run.failures[0].contains("CT is locked (migrate)"), "{:#?}", run.failures);
    rig.clock.sleep(Duration::from_secs(60)).await;
    applied(&rig, &wanted).await;
    assert_eq!(node_of(&rig, 102), "a1");

    // Gone from under the plan altogether: nothing is guessed, nothing is made anew.
    let wanted = of(&inventory(3));
    let plan = planned(&rig, &wanted).await;
    migrate(&rig, "lxc", 103, "a3", "a1").await;
    rig.clock.sleep(Duration::from_secs(60)).await;
    let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
    assert!(
        run.failures[0].contains("Configuration file 'nodes/a3/lxc/103.conf' does not exist"),
        "{:#?}",
        run.failures
    );
    applied(&rig, &wanted).await;
    assert_eq!((node_of(&rig, 103), rig.site.look(|world| world.guests.len()).unwrap()), ("a1".into(), 3));
}

#[tokio::test]
async fn a_running_migration_is_waited_for_and_not_planned_over() {
    let rig = rig(100);
    applied(&rig, &of(&inventory(2))).await;
    migrate(&rig, "lxc", 102, "a2", "a3").await;
    let plan = rig.plan_at_once(&of(&inventory(4))).await.unwrap();
    let gaps = gaps(&plan);
    assert!(gaps.iter().any(|gap| gap.starts_with("ct.ct2: a task is working on it: vzmigrate")), "{gaps:?}");
}

/// Reads are repeated on 595, 596 and 599; a write never, and what became of it is looked up.
#[tokio::test]
async fn gateway_errors_are_read_again_and_never_written_again() {
    for status in [595, 596, 599] {
        let rig = rig(0);
        let once =
            |method, path: &str, nth, effect| Fault::Request { method: Some(method), path: path.into(), nth, effect };
        let reason = match status {
            595 => "Connection refused",
            596 => "Connection timed out",
            _ => "Too many redirections",
        };
        let answer = || RequestEffect::Answer { status, reason: reason.to_owned() };
        applied(&rig, &of(&inventory(2))).await;
        let before = rig.site.requests();
        rig.faults((1..=3).map(|nth| once(Method::Get, "/cluster/resources", nth, answer())).collect());
        let plan = planned(&rig, &of(&inventory(2))).await;
        assert!(plan.gaps.is_empty() && plan.is_empty(), "{status}: {:?}", gaps(&plan));
        assert!(rig.site.requests() > before + 3);

        // The write is carried out and its answer is lost on the way: it must not be sent a second time.
        let lost = RequestEffect::AnswerAfter { status, reason: reason.to_owned() };
        let wanted = of(&inventory(4));
        let plan = planned(&rig, &wanted).await;
        if status == 595 {
            // Nothing has reached the other node: that, and only that, may be sent again.
            rig.faults(vec![once(Method::Put, "/nodes/a3/lxc/103/config", 1, answer())]);
        } else {
            rig.faults(vec![once(Method::Put, "/nodes/a3/lxc/103/config", 1, lost)]);
        }
        let digest = |world: &World| infra::lab::rules::digest(&world.guests[&103]);
        let sent = rig.site.look(digest).unwrap();
        let run = rig.carry_out(&wanted, plan, OnFailure::Keep, &Stop::default()).await;
        assert_eq!(run.ended, Ended::Done, "{status}: {:#?}", run.failures);
        assert_ne!(rig.site.look(digest).unwrap(), sent);
        applied(&rig, &wanted).await;
    }
}

/// What a whole plan makes of each gateway error at its writes, wherever it strikes.
#[tokio::test]
async fn no_guest_is_made_twice_whatever_a_proxy_answers_to_its_creation() {
    for (status, reason) in [(595, "No route to host"), (596, "Broken pipe"), (599, "Too many redirections")] {
        for after in [false, true] {
            // 595 is what a proxy says before it sends anything: it never comes after the deed.
            if after && status == 595 {
                continue;
            }
            let rig = rig(0);
            let reason = reason.to_owned();
            let effect = match after {
                true => RequestEffect::AnswerAfter { status, reason },
                false => RequestEffect::Answer { status, reason },
            };
            let path = "/nodes/*/*".to_owned();
            rig.faults(vec![Fault::Request { method: Some(Method::Post), path, nth: 2, effect }]);
            let run = rig.apply(&of(&inventory(2))).await;
            assert_eq!(run.ended, Ended::Done, "{status} {after}: {:#?}", run.failures);
            let created = |world: &World| {
                let mut made: Vec<String> = world
                    .tasks
                    .iter()
                    .filter(|task| matches!(task.kind.as_str(), "qmcreate" | "vzcreate"))
                    .map(|task| task.id.clone())
                    .collect();
                made.sort();
                made
            };
            assert_eq!(rig.site.look(created).unwrap(), ["101", "102", "103"], "{status} {after}");
        }
    }
}
