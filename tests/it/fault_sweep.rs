//! Something goes wrong at every single write of a run, in every way; then the faults end, and the
//! next apply converges with nothing lost.

use std::collections::BTreeSet;
use std::future::Future as _;
use std::task::Poll;

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::faults::{CommandEffect, Fault, RequestEffect};
use infra::lab::world::World;
use infra::ports::Method;
use serde_json::{Value, json};

use crate::random_inventory::{RandomGuest, inventory, usual};
use crate::rig::{Rig, blueprint};

/// A GPU VM and two containers, and the same with every kind of change that is made in place.
pub fn before_and_after() -> (Blueprint, Blueprint) {
    let before = vec![usual(true), usual(false), usual(false)];
    let mut after = before.clone();
    for guest in &mut after {
        guest.memory_mib = 6144;
        guest.disk_gib = 32;
        guest.ports = vec![22, 8080, 9090];
        guest.tags = vec!["two".into()];
    }
    after[1].keyctl = false;
    after[1].datasets = vec![(Some(3), Some("lz4"), true), (None, None, false)];
    after[2].running = false;
    after[2].tun = false;
    let read = |guests: &[RandomGuest]| blueprint(&inventory(guests)).unwrap_or_else(|p| panic!("{p:#?}"));
    (read(&before), read(&after))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Guests and datasets: what must never get lost.
fn holdings(world: &World) -> BTreeSet<String> {
    let guests = world
        .guests
        .iter()
        .filter(|(_, guest)| guest.lock() != Some("create"))
        .map(|(vmid, _)| format!("guest {vmid}"));
    let datasets = world.nodes.values().flat_map(|node| node.zfs.datasets.keys());
    guests.chain(datasets.map(|name| format!("dataset {name}"))).collect()
}

async fn settle(rig: &Rig, goal: &Blueprint, what: &str) {
    for _ in 0..3 {
        let plan = rig.plan(goal).await.unwrap_or_else(|p| panic!("{what}: {p:#?}"));
        if plan.changes.is_empty() {
            assert!(plan.gaps.is_empty(), "{what}: {:?}", plan.gaps);
            return;
        }
        let run = rig.carry_out(goal, plan, OnFailure::Keep, &Stop::default()).await;
        assert_eq!(run.ended, Ended::Done, "{what}: {:#?}", run.failures);
    }
    panic!("{what}: it does not settle");
}

/// How many times a run of `goal` gives a fault of this pattern the chance to strike.
fn chances(start: Option<&Blueprint>, goal: &Blueprint, matches: impl Fn(&Value) -> bool) -> u32 {
    run(async {
        let rig = Rig::new(0);
        if let Some(start) = start {
            settle(&rig, start, "start").await;
        }
        let plan = rig.plan(goal).await.unwrap_or_else(|p| panic!("{p:#?}"));
        let text = serde_json::to_value(&plan.steps).unwrap();
        let ops = text.as_array().unwrap().iter().flat_map(|step| step["ops"].as_array().unwrap());
        let count = ops.filter(|op| matches(op)).count();
        assert!(count > 0);
        u32::try_from(count).unwrap()
    })
}

fn sweep(faults: impl Fn(u32) -> Fault, writes: impl Fn(&Value) -> bool + Copy, name: &str) -> usize {
    let (before, after) = before_and_after();
    let mut tried = 0;
    for (start, goal) in [(None, &before), (Some(&before), &after)] {
        for nth in 1..=chances(start, goal, writes) {
            run(async {
                let rig = Rig::new(0);
                if let Some(start) = start {
                    settle(&rig, start, "start").await;
                }
                let held = rig.site.look(holdings).unwrap();
                let plan = rig.plan(goal).await.unwrap_or_else(|p| panic!("{p:#?}"));
                rig.faults(vec![faults(nth)]);
                let broken = rig.carry_out(goal, plan, OnFailure::Keep, &Stop::default()).await;
                let what = format!("{name}, write {nth}, {:?}: {:?}", broken.ended, broken.failures);
                rig.faults(Vec::new());
                assert!(rig.site.look(holdings).unwrap().is_superset(&held), "{what}: something is lost");
                settle(&rig, goal, &what).await;
                assert!(rig.site.look(holdings).unwrap().is_superset(&held), "{what}: something is lost");
            });
            tried += 1;
        }
    }
    tried
}

fn request(method: Method, effect: RequestEffect) -> impl Fn(u32) -> Fault {
    move |nth| Fault::Request { method: Some(method), path: "*".into(), nth, effect: effect.clone() }
}

/// Every call of every method that a run sends goes wrong in one way.
fn every_call(effect: &RequestEffect) {
    let mut tried = 0;
    for method in [Method::Post, Method::Put] {
        let sends = move |op: &Value| {
            let word = serde_json::to_value(method).unwrap();
            matches!(op["op"].as_str(), Some("call" | "task")) && op["request"]["method"] == word
        };
        tried += sweep(request(method, effect.clone()), sends, &format!("{method} {effect:?}"));
    }
    println!("{tried} calls with {effect:?}");
    assert!(tried > 100);
}

#[test]
fn every_call_may_get_lost() {
    every_call(&RequestEffect::DropBefore);
}

#[test]
fn every_answer_may_get_lost() {
    every_call(&RequestEffect::DropAfter);
}

#[test]
fn every_call_may_be_refused() {
    every_call(&RequestEffect::Answer { status: 500, reason: "internal error".into() });
}

#[test]
fn every_call_may_be_done_and_called_failed() {
    every_call(&RequestEffect::AnswerAfter { status: 596, reason: "Broken pipe".into() });
}

#[test]
fn every_command_may_get_lost_before_or_after() {
    let mut tried = 0;
    for effect in [CommandEffect::LostBefore, CommandEffect::LostAfter] {
        let fault = move |nth| Fault::Command { line: "*".into(), nth, effect };
        let commands = |op: &Value| matches!(op["op"].as_str(), Some("exec" | "put_file" | "await"));
        tried += sweep(fault, commands, &format!("ssh {effect:?}"));
    }
    println!("{tried} commands");
    assert!(tried > 100);
}

#[test]
fn failed_tasks_are_mended_by_the_next_apply() {
    let (before, _) = before_and_after();
    for kind in ["qmcreate", "vzcreate", "download", "resize", "qmstart", "vzstart", "imgcopy"] {
        for nth in 1..=2 {
            run(async {
                let rig = Rig::new(0);
                let text = format!("{kind} went wrong");
                rig.faults(vec![Fault::Task { kind: kind.into(), nth, text: text.clone() }]);
                let run = rig.apply(&before).await;
                if run.ended != Ended::Done {
                    assert!(run.failures.iter().any(|f| f.contains(&text)), "{kind}: {:?}", run.failures);
                }
                rig.faults(Vec::new());
                settle(&rig, &before, kind).await;
            });
        }
    }
}

/// We are killed between any two moments; the host and its tasks live on.
#[test]
fn being_killed_at_any_moment_is_mended_by_the_next_apply() {
    let (before, after) = before_and_after();
    let mut killed = 0;
    for (start, goal) in [(None, &before), (Some(&before), &after)] {
        for moment in (1..4000).step_by(9) {
            let finished = run(async {
                // Tasks take their time, so that many a moment lies within one.
                let rig = Rig::new(20);
                if let Some(start) = start {
                    settle(&rig, start, "start").await;
                }
                let held = rig.site.look(holdings).unwrap();
                let plan = rig.plan(goal).await.unwrap_or_else(|p| panic!("{p:#?}"));
                let finished = {
                    let stop = Stop::default();
                    let mut run = Box::pin(rig.carry_out(goal, plan, OnFailure::Keep, &stop));
                    let mut polls = 0;
                    std::future::poll_fn(|context| {
                        polls += 1;
                        match run.as_mut().poll(context) {
                            Poll::Ready(_) => Poll::Ready(true),
                            Poll::Pending if polls >= moment => Poll::Ready(false),
                            Poll::Pending => Poll::Pending,
                        }
                    })
                    .await
                };
                let what = format!("killed at moment {moment}");
                settle(&rig, goal, &what).await;
                assert!(rig.site.look(holdings).unwrap().is_superset(&held), "{what}: something is lost");
                finished
            });
            if finished {
                break;
            }
            killed += 1;
        }
    }
    println!("killed {killed} times");
    assert!(killed > 10);
}

/// What is not ours stays byte for byte as it is, whatever goes wrong.
#[test]
fn strangers_are_never_touched() {
    let (before, after) = before_and_after();
    run(async {
        let rig = Rig::new(0);
        settle(&rig, &before, "start").await;
        let stranger = rig.site.look(|world| world.guests[&201].clone()).unwrap();
        rig.site
            .change(|world| {
                let mut copy = stranger.clone();
                copy.config.insert("tags".into(), "somebody-else".into());
                copy.config.insert("description".into(), "not yours".into());
                world.guests.insert(150, copy);
            })
            .unwrap();
        let look = || rig.site.look(|world| json!(world.guests[&150])).unwrap();
        let kept = look();
        settle(&rig, &after, "after").await;
        assert_eq!(look(), kept);
    });
}
