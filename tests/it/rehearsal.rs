//! A rehearsal says beforehand what an apply then does.

use std::collections::BTreeSet;

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::faults::Fault;
use infra::lab::world::{Guest, GuestKind, Version, World};
use infra::model::step::Op;
use infra::plan::{Memory, Plan, Scope};
use infra::rehearsal::{Report, Request, Verdict, rehearse};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::random_inventory::{RandomGuest, changed, guests, inventory, usual};
use crate::rig::{Rig, blueprint};

fn read(guests: &[RandomGuest]) -> Blueprint {
    blueprint(&inventory(guests)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Rehearses `plan` on a twin of what is there now.
async fn rehearse_now(rig: &Rig, goal: &Blueprint, plan: &Plan) -> Report {
    let observed = rig.observe(goal).await;
    let request = Request {
        blueprint: goal,
        observed: &observed,
        plan,
        memory: &Memory::new(),
        scope: &Scope::default(),
        allowed: &Default::default(),
        unfinished: &rig.unfinished(goal),
        parallelism: rig.parallelism,
        now: infra::ports::Clock::now(&*rig.clock),
    };
    rehearse(&request).unwrap()
}

async fn plan_of(rig: &Rig, goal: &Blueprint) -> Plan {
    rig.plan(goal).await.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A failure in the host's words, without the id of its task and the last lines of its log.
fn plain(failure: &str) -> String {
    let word = |word: &str| if word.contains("UPID:") { "UPID".to_owned() } else { word.to_owned() };
    failure.lines().next().unwrap_or_default().split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What a rehearsal says, and what an apply then does.
struct Both {
    report: Report,
    rehearsed: BTreeSet<String>,
    applied: BTreeSet<String>,
    converged: bool,
}

/// Rehearses a plan and carries it out, on a host that `moved` meanwhile.
async fn both(rig: &Rig, goal: &Blueprint, plan: Plan, moved: impl FnOnce(&mut World)) -> Both {
    rig.site.change(moved).unwrap();
    let held = rig.site.look(Clone::clone).unwrap();
    let report = rehearse_now(rig, goal, &plan).await;
    let after = rig.site.look(Clone::clone).unwrap();
    assert_eq!(World { now_ms: 0, ..held }, World { now_ms: 0, ..after }, "a rehearsal changed the host");
    let rehearsed = report.quick.failures().map(|(step, why)| plain(&format!("{}: {why}", step.id))).collect();
    let done = rig.carry_out(goal, plan, OnFailure::Keep, &Stop::default()).await;
    let applied = done.failures.iter().map(|failure| plain(failure)).collect();
    let again = rig.plan(goal).await;
    let converged = done.ended == Ended::Done && again.is_ok_and(|again| again.is_empty() && again.gaps.is_empty());
    Both { report, rehearsed, applied, converged }
}

impl Both {
    /// The host fails where the rehearsal failed, with the same words.
    fn fail_alike(&self, words: &str) {
        assert_eq!(self.report.verdict(), Verdict::Failed, "{:?} {:#?}", self.applied, self.report.unlike);
        assert!(self.rehearsed.iter().any(|failure| failure.contains(words)), "{words}: {:#?}", self.rehearsed);
        assert_eq!(self.rehearsed, self.applied);
    }

    fn are_clean(&self) {
        assert_eq!(self.report.verdict(), Verdict::Clean, "{:#?}", self.report.quick);
        assert_eq!(self.applied, BTreeSet::new());
        assert!(self.converged);
    }
}

#[test]
fn a_clean_rehearsal_of_a_bare_host_is_a_clean_apply() {
    run(async {
        let rig = Rig::new(0);
        let goal = read(&[usual(true), usual(false)]);
        let both = both(&rig, &goal, plan_of(&rig, &goal).await, |_| {}).await;
        both.are_clean();
        assert_eq!(both.report.unlike, Vec::<String>::new());
        assert!(both.report.quick.took < both.report.slow.took);
        let report = rehearse_now(&rig, &goal, &plan_of(&rig, &goal).await).await;
        assert_eq!(report.unlike, Vec::<String>::new(), "the twin of a host with guests is like it, too");
    });
}

/// A host with guests, and a plan that changes all of them.
async fn with_an_update() -> (Rig, Blueprint, Plan) {
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
    let rig = Rig::new(0);
    let done = rig.apply(&read(&before)).await;
    assert_eq!(done.ended, Ended::Done, "{:?}", done.failures);
    let goal = read(&after);
    let plan = plan_of(&rig, &goal).await;
    (rig, goal, plan)
}

#[test]
fn a_clean_rehearsal_of_an_update_is_a_clean_apply() {
    run(async {
        let (rig, goal, plan) = with_an_update().await;
        both(&rig, &goal, plan, |_| {}).await.are_clean();
    });
}

/// A bare host for one container, and its plan.
async fn bare() -> (Rig, Blueprint, Plan) {
    let rig = Rig::new(0);
    let goal = read(&[usual(false)]);
    let plan = plan_of(&rig, &goal).await;
    (rig, goal, plan)
}

#[test]
fn a_missing_privilege_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let less = |world: &mut World| {
            world.access.roles.get_mut("Infra").unwrap().remove("VM.Config.Disk");
        };
        both(&rig, &goal, plan, less).await.fail_alike("Permission check failed");
    });
}

#[test]
fn a_full_storage_fails_in_the_twin_as_on_the_host() {
    run(async {
        let rig = Rig::new(0);
        let goal = read(&[usual(true)]);
        let plan = plan_of(&rig, &goal).await;
        rig.faults(vec![Fault::Full { node: "pve1".into(), storage: "local-zfs".into() }]);
        both(&rig, &goal, plan, |_| {}).await.fail_alike("out of space");
    });
}

#[test]
fn a_full_storage_for_files_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        rig.faults(vec![Fault::Full { node: "pve1".into(), storage: "local".into() }]);
        both(&rig, &goal, plan, |_| {}).await.fail_alike("download failed: exit code 3");
    });
}

#[test]
fn a_taken_number_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let taken = |world: &mut World| {
            world.guests.insert(200, Guest::new(GuestKind::Qemu, "pve1", [("name".into(), "theirs".into())].into()));
        };
        both(&rig, &goal, plan, taken).await.fail_alike("200 already exists");
    });
}

#[test]
fn a_guest_that_somebody_locked_meanwhile_fails_in_the_twin_as_on_the_host() {
    run(async {
        let backup = |world: &mut World| {
            world.guests.get_mut(&200).unwrap().config.insert("lock".into(), "backup".into());
        };
        // A setting is sent with the digest of what it was made from, and that is what PVE holds against first.
        let (rig, goal, plan) = with_an_update().await;
        both(&rig, &goal, plan, backup).await.fail_alike("file change by other user");

        let rig = Rig::new(0);
        assert_eq!(rig.apply(&read(&[usual(true)])).await.ended, Ended::Done);
        let goal = read(&[RandomGuest { disk_gib: 32, ..usual(true) }]);
        let plan = plan_of(&rig, &goal).await;
        both(&rig, &goal, plan, backup).await.fail_alike("is locked (backup)");
    });
}

#[test]
fn a_setting_for_root_alone_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, mut plan) = bare().await;
        let creates = plan.steps.iter_mut().find(|step| step.id.0 == "ct.g0/create").unwrap();
        for op in &mut creates.ops {
            if let Op::Task { request, .. } = op {
                request.params.push(("hookscript".into(), "local:snippets/x".into()));
            }
        }
        both(&rig, &goal, plan, |_| {}).await.fail_alike("root@pam");
    });
}

#[test]
fn a_missing_bridge_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let gone = |world: &mut World| {
            world.nodes.get_mut("pve1").unwrap().networks.remove("vmbr0");
        };
        both(&rig, &goal, plan, gone).await.fail_alike("bridge 'vmbr0' does not exist");
    });
}

#[test]
fn a_card_that_is_gone_fails_in_the_twin_as_on_the_host() {
    run(async {
        let rig = Rig::new(0);
        let goal = read(&[usual(true)]);
        let plan = plan_of(&rig, &goal).await;
        let gone = |world: &mut World| {
            world.nodes.get_mut("pve1").unwrap().pci.retain(|address, _| !address.starts_with("0000:01:00"));
        };
        let both = both(&rig, &goal, plan, gone).await;
        assert_eq!(both.report.verdict(), Verdict::Failed);
        assert_eq!(both.rehearsed, both.applied);
    });
}

#[test]
fn a_storage_that_takes_no_disks_any_more_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let less = |world: &mut World| {
            world.storages.get_mut("local-zfs").unwrap().content.remove("rootdir");
        };
        both(&rig, &goal, plan, less).await.fail_alike("local-zfs");
    });
}

#[test]
fn a_template_that_is_offered_no_more_fails_in_the_twin_as_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let gone = |world: &mut World| world.appliances.retain(|one| !one.template.starts_with("debian-12"));
        both(&rig, &goal, plan, gone).await.fail_alike("no such template");
    });
}

/// Two guests with one address are no matter of Proxmox: neither of the two fails.
#[test]
fn a_foreign_guest_with_the_same_address_fails_neither_in_the_twin_nor_on_the_host() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let foreign = |world: &mut World| {
            let net = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.0.0.20/24,type=veth";
            let config = [("hostname".into(), "theirs".into()), ("net0".into(), net.into())];
            world.guests.insert(900, Guest::new(GuestKind::Lxc, "pve1", config.into()));
        };
        let both = both(&rig, &goal, plan, foreign).await;
        both.are_clean();
        assert!(both.report.untwinned.iter().any(|one| one.what.contains("900")), "{:#?}", both.report.untwinned);
    });
}

#[test]
fn an_old_host_is_rehearsed_as_an_old_host() {
    run(async {
        let rig = Rig::of(Version::V8_4, 0);
        let goal = read(&[usual(true), usual(false)]);
        let both = both(&rig, &goal, plan_of(&rig, &goal).await, |_| {}).await;
        both.are_clean();
        assert_eq!(both.report.unlike, Vec::<String>::new());
    });
}

/// That a task fails on its way nobody knows beforehand, and nobody claims to.
#[test]
fn what_no_twin_can_know_is_not_claimed() {
    run(async {
        let (rig, goal, plan) = bare().await;
        rig.faults(vec![Fault::Task { kind: "vzcreate".into(), nth: 1, text: "the disk is broken".into() }]);
        let both = both(&rig, &goal, plan, |_| {}).await;
        assert_eq!(both.report.verdict(), Verdict::Clean);
        assert!(both.applied.iter().any(|failure| failure.contains("the disk is broken")));
        assert!(both.report.untwinned.iter().any(|one| one.what.contains("failing hardware")));
    });
}

/// Steps that hang on a failed one are named with it.
#[test]
fn what_hangs_on_a_failure_is_said() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let taken = |world: &mut World| {
            world.guests.insert(200, Guest::new(GuestKind::Qemu, "pve1", [("name".into(), "theirs".into())].into()));
        };
        let both = both(&rig, &goal, plan, taken).await;
        let skipped: Vec<String> =
            both.report.quick.skipped().map(|(step, why)| format!("{}: {why}", step.id)).collect();
        assert!(skipped.iter().any(|line| line.starts_with("ct.g0/start: ")), "{skipped:#?}");
    });
}

/// What a rehearsal says of its time follows from the tempo and is the same each time.
#[test]
fn a_rehearsal_says_the_same_twice() {
    run(async {
        let (rig, goal, plan) = bare().await;
        let (first, second) = (rehearse_now(&rig, &goal, &plan).await, rehearse_now(&rig, &goal, &plan).await);
        assert_eq!((first.quick.took, first.slow.took), (second.quick.took, second.slow.took));
        assert_eq!((first.quick.calls, first.untwinned), (second.quick.calls, second.untwinned));
    });
}

/// What may have moved on the host since the plan was made.
fn moves() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["nothing", "nothing", "privilege", "number", "full", "bridge", "content", "lock"])
}

fn moved(kind: &str, world: &mut World) {
    match kind {
        "privilege" => {
            world.access.roles.get_mut("Infra").unwrap().remove("VM.Config.Network");
        }
        "number" if !world.guests.contains_key(&200) => {
            world.guests.insert(200, Guest::new(GuestKind::Lxc, "pve1", [("hostname".into(), "theirs".into())].into()));
        }
        "full" => {
            let free = world.space("pve1", "local-zfs").1;
            world.nodes.get_mut("pve1").unwrap().zfs.datasets.get_mut("rpool/data").unwrap().used += free;
        }
        "bridge" => {
            world.nodes.get_mut("pve1").unwrap().networks.remove("vmbr0");
        }
        "content" => {
            world.storages.get_mut("local-zfs").unwrap().content.clear();
        }
        "lock" => {
            if let Some(guest) = world.guests.get_mut(&200) {
                guest.config.insert("lock".into(), "backup".into());
            }
        }
        _ => {}
    }
}

#[test]
fn random_rehearsals_agree_with_what_apply_then_does() {
    let config = Config { cases: 32, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]));
    let two = guests().prop_flat_map(|before| (Just(before.clone()), changed(&before), moves(), any::<bool>()));
    let seen = std::cell::RefCell::new((0, 0));
    runner
        .run(&two, |(before, after, what, fresh)| {
            run(async {
                // One after the other, as which steps run beside one that fails is a matter of time.
                let mut rig = Rig::new(0);
                rig.parallelism = 1;
                if !fresh {
                    let done = rig.apply(&read(&before)).await;
                    prop_assert_eq!(done.ended, Ended::Done, "{:?}", done.failures);
                }
                let goal = read(&after);
                let plan = plan_of(&rig, &goal).await;
                let both = both(&rig, &goal, plan, |world| moved(what, world)).await;
                let clean = both.report.verdict() == Verdict::Clean;
                prop_assert_eq!(clean, both.converged, "{}: {:#?} {:#?}", what, both.rehearsed, both.applied);
                prop_assert_eq!(&both.rehearsed, &both.applied, "{}", what);
                let mut seen = seen.borrow_mut();
                if clean {
                    seen.0 += 1
                } else {
                    seen.1 += 1
                }
                Ok(())
            })
        })
        .unwrap();
    let (clean, failed) = *seen.borrow();
    println!("{clean} clean rehearsals and {failed} that failed, each as the host then did");
    assert!(clean > 10 && failed > 5);
}
