//! Safety rule 6: what can cut our own path is armed with a timed revert on the host before it is made, and
//! disarmed only after connecting anew. A read-only command never confirms or cancels it.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::Scenario;
use infra::lab::faults::{CommandEffect, Fault};
use infra::lab::shell::run_line;
use infra::lab::world::{Firewall, IpSet, IpSetEntry, World};
use infra::model::change::{Action, Change, Risk, Via};
use infra::model::guard::{Guard, GuardAct, GuardedFile};
use infra::model::step::{Op, Step, StepId, Undo};
use infra::plan::{Plan, Scope};
use infra::ports::Clock as _;
use infra::proxmox::endpoints::{CLUSTER_FIREWALL_OPTIONS_SET, IPSET_ENTRY_CREATE};

use crate::random_inventory::{inventory, usual};
use crate::rig::{Rig, Run, blueprint};

/// Somebody who is not on the host's own network, which PVE always lets in.
const OPERATOR: &str = "203.0.113.7";

fn rig() -> Rig {
    rig_of(0)
}

fn rig_of(pace: u32) -> Rig {
    let operator = Some(OPERATOR.parse().unwrap());
    let rig = Rig::with(Scenario { operator, ..Scenario::example() }, pace);
    // Nobody is in it: PVE has the set all the same.
    rig.site.change(|world| drop(world.firewall.ipsets.insert("management".to_owned(), IpSet::default()))).unwrap();
    rig
}

fn goal() -> Blueprint {
    blueprint(&inventory(&[usual(false)])).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn guard(blueprint: &Blueprint) -> Guard {
    let host = blueprint.hosts.values().next().unwrap();
    let file = |path: String, present| GuardedFile { path, present };
    Guard {
        name: "firewall".to_owned(),
        files: vec![
            file("/etc/pve/firewall/cluster.fw".to_owned(), true),
            file(format!("/etc/pve/nodes/{}/host.fw", host.node), false),
        ],
        then: Vec::new(),
        seconds: 300,
    }
}

fn guarded(blueprint: &Blueprint, ops: Vec<Op>) -> Vec<Op> {
    let guard = guard(blueprint);
    let hosts = blueprint.hosts.keys().cloned().collect();
    let part = |act| Op::Guard { guard: guard.clone(), act };
    let mut all = vec![part(GuardAct::Arm)];
    all.extend(ops);
    all.push(part(GuardAct::Reconnect { hosts, after_s: 25, within_s: 30 }));
    all.push(part(GuardAct::Disarm));
    all
}

fn call(request: impl Into<infra::ports::Request>) -> Op {
    Op::Call { request: request.into(), landed: None }
}

fn switch_on() -> Op {
    call(CLUSTER_FIREWALL_OPTIONS_SET.at(&[]).set("enable", 1))
}

fn let_us_in() -> Op {
    call(IPSET_ENTRY_CREATE.at(&["management"]).set("cidr", "203.0.113.0/24"))
}

fn plan(blueprint: &Blueprint, ops: Vec<Op>) -> Plan {
    let host = blueprint.hosts.keys().next().unwrap().clone();
    let addr: infra::model::Addr = format!("pool.{host}:test").parse().unwrap();
    let step = Step {
        id: StepId::new(&addr, "set"),
        addr: addr.clone(),
        title: "switch the firewall on".to_owned(),
        host,
        inside: None,
        via: Via::ApiAndSsh,
        ops,
        undo: Undo::nothing("a test"),
        risk: Risk::Reachability,
        needs: Vec::new(),
        exclusive: Vec::new(),
    };
    let change = Change {
        addr: addr.clone(),
        action: Action::Update,
        reason: "test".to_owned(),
        via: Via::ApiAndSsh,
        risk: Risk::Reachability,
        drift: false,
        fields: Vec::new(),
    };
    Plan {
        format: Plan::FORMAT,
        infra: "test".to_owned(),
        inventory: blueprint.name.clone(),
        scope: Scope::default(),
        changes: vec![change],
        steps: vec![step],
        preconditions: BTreeMap::from([(addr, String::new())]),
        orphans: Vec::new(),
        gaps: Vec::new(),
        notes: Vec::new(),
        memory: BTreeMap::new(),
    }
}

async fn carry_out(rig: &Rig, blueprint: &Blueprint, ops: Vec<Op>) -> Run {
    rig.carry_out(blueprint, plan(blueprint, ops), OnFailure::Keep, &Stop::default()).await
}

/// The firewalls of datacenter and hosts, and what systemd and the file system of a host have of ours.
fn state(rig: &Rig) -> (Firewall, Vec<Firewall>, Vec<String>) {
    rig.site
        .look(|world| {
            let hosts = world.nodes.values().map(|node| node.firewall.clone()).collect();
            let files = world.nodes.values().flat_map(|node| {
                let timers = node.units.timers.keys().chain(&node.units.enabled).chain(node.units.restarts.keys());
                let files = node
                    .files
                    .keys()
                    .chain(node.directories.keys())
                    .filter(|path| path.contains("infra-guard") || path.contains("/guard/"));
                timers.chain(files).cloned().collect::<Vec<_>>()
            });
            (world.firewall.clone(), hosts, files.collect())
        })
        .unwrap()
}

fn wait(rig: &Rig, seconds: u64) {
    futures_lite(rig.clock.sleep(Duration::from_secs(seconds)));
    rig.site.look(|_| ()).unwrap();
}

fn futures_lite<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn on_host(rig: &Rig, line: &str) -> (i32, String) {
    let run = |world: &mut World| {
        let node = world.nodes.keys().next().unwrap().clone();
        let output = run_line(world, &node, line, b"");
        (output.code, String::from_utf8(output.stdout).unwrap())
    };
    rig.site.change(run).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    futures_lite(future)
}

#[test]
fn a_change_that_lets_us_in_is_confirmed_and_nothing_of_the_guard_is_left() {
    let (rig, goal) = (rig(), goal());
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), switch_on()])));
    assert_eq!(done.ended, Ended::Done, "{:#?}", done.failures);
    let (cluster, _, left) = state(&rig);
    assert_eq!(cluster.options["enable"], "1");
    assert_eq!(left, Vec::<String>::new());
    // Long after the time that it was guarded for.
    wait(&rig, 1000);
    assert_eq!(state(&rig).0.options["enable"], "1");
    assert_eq!(on_host(&rig, "systemctl is-active infra-guard-firewall.timer"), (4, "inactive\n".to_owned()));
}

#[test]
fn a_change_that_locks_us_out_is_taken_back_by_the_host_and_the_run_fails() {
    let (rig, goal) = (rig(), goal());
    let before = state(&rig);
    let began = rig.clock.now();
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![switch_on()])));
    assert_eq!(done.ended, Ended::Failed);
    let why = &done.failures[0];
    assert!(why.contains("no new SSH connection to hq"), "{why}");
    assert!(why.contains("hq has taken the change back and can be reached again"), "{why}");
    assert_eq!(state(&rig), before, "the host is as it was");
    assert!(
        on_host(&rig, "true").0 == 0 && rig.clock.now().duration_since(began).as_secs() < 200,
        "it was asked to at once"
    );
}

/// Nothing of ours reaches the host any more: not even the connection that stood.
#[test]
fn a_host_that_cannot_be_asked_takes_the_change_back_when_its_time_is_up() {
    let (rig, goal) = (rig(), goal());
    let before = state(&rig);
    rig.faults(vec![Fault::Command { line: "systemctl start*".to_owned(), nth: 0, effect: CommandEffect::LostBefore }]);
    let began = rig.clock.now();
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![switch_on()])));
    assert_eq!(done.ended, Ended::Failed);
    assert!(done.failures[0].contains("has taken the change back"), "{:#?}", done.failures);
    assert!(rig.clock.now().duration_since(began).as_secs() >= 300, "only its own timer was left");
    assert_eq!(state(&rig), before);
}

/// Who arms and dies leaves what the guarded operations up to there left.
fn dies_after(rig: &Rig, blueprint: &Blueprint, ops: usize) {
    let all = guarded(blueprint, vec![switch_on()]);
    // A run that is cut off after so many operations; those that were begun are done.
    let cut: Vec<Op> = all.into_iter().take(ops).collect();
    let stop = Stop::default();
    run(async {
        let done = rig.carry_out(blueprint, plan(blueprint, cut), OnFailure::Keep, &stop).await;
        assert_eq!(done.ended, Ended::Done, "{:#?}", done.failures);
    });
}

#[test]
fn whoever_dies_after_arming_or_after_the_change_leaves_it_to_the_host() {
    let goal = goal();
    for died_after in [1, 2] {
        let rig = rig();
        let before = state(&rig);
        dies_after(&rig, &goal, died_after);
        assert!(on_host(&rig, "test -e /var/lib/infra/guard/firewall/armed").0 == 0);
        wait(&rig, 299);
        let enabled = state(&rig).0.options.contains_key("enable");
        assert_eq!(enabled, died_after == 2, "not before its time");
        wait(&rig, 2);
        let (cluster, hosts, _) = state(&rig);
        assert_eq!((cluster, hosts), (before.0.clone(), before.1.clone()), "died after operation {died_after}");
        assert!(on_host(&rig, "test -e /var/lib/infra/guard/firewall/reverted").0 == 0);
        assert!(!on_host(&rig, "systemctl is-enabled infra-guard-firewall.timer").1.contains("enabled"));
    }
}

#[test]
fn a_reboot_in_between_does_not_save_the_change() {
    let (rig, goal) = (rig(), goal());
    let before = state(&rig);
    dies_after(&rig, &goal, 2);
    wait(&rig, 200);
    let node = goal.hosts.values().next().unwrap().node.to_string();
    rig.site.reboot(&node).unwrap();
    // It counts from the boot anew; what was changed is in force until then.
    wait(&rig, 299);
    assert!(state(&rig).0.options.contains_key("enable"));
    wait(&rig, 2);
    assert_eq!(state(&rig).0, before.0);
    // And a second boot finds nothing to do.
    let late = on_host(&rig, "true");
    rig.site.change(|world| drop(world.firewall.options.insert("enable".to_owned(), "1".to_owned()))).unwrap();
    rig.site.reboot(&node).unwrap();
    wait(&rig, 1000);
    assert!(late.0 == 0 && state(&rig).0.options.contains_key("enable"));
}

/// The cluster file system comes late, or has no quorum: the host tries until it can.
#[test]
fn what_cannot_be_taken_back_yet_is_tried_until_it_can() {
    let (rig, goal) = (rig(), goal());
    let before = state(&rig);
    dies_after(&rig, &goal, 2);
    rig.site.change(|world| world.without_quorum = true).unwrap();
    wait(&rig, 400);
    assert!(state(&rig).0.options.contains_key("enable"), "nothing can be written");
    assert_eq!(on_host(&rig, "test -e /var/lib/infra/guard/firewall/reverting").0, 0);
    rig.site.change(|world| world.without_quorum = false).unwrap();
    wait(&rig, 6);
    assert_eq!(state(&rig).0, before.0);
}

#[test]
fn nobody_arms_over_a_revert_that_is_pending() {
    let (rig, goal) = (rig(), goal());
    dies_after(&rig, &goal, 2);
    let again = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in()])));
    assert_eq!(again.ended, Ended::Failed);
    assert!(again.failures[0].contains("is about to take back an earlier change"), "{:#?}", again.failures);
    assert!(!state(&rig).0.ipsets["management"].entries.contains_key("203.0.113.0/24"), "nothing was changed");
    wait(&rig, 301);
    assert!(!state(&rig).0.options.contains_key("enable"), "and the host still took it back");
    // Now there is room for the next, which clears away what the last one left.
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), switch_on()])));
    assert_eq!((done.ended, state(&rig).2), (Ended::Done, Vec::new()), "{:#?}", done.failures);
}

/// The connection is lost at any one command: what was changed is either confirmed or taken back, never left.
#[test]
fn whatever_gets_lost_on_the_way_the_change_is_confirmed_or_taken_back() {
    let goal = goal();
    for effect in [CommandEffect::LostBefore, CommandEffect::LostAfter] {
        for nth in 1..40 {
            let rig = rig();
            let before = state(&rig);
            rig.faults(vec![Fault::Command { line: "*".to_owned(), nth, effect }]);
            let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), switch_on()])));
            wait(&rig, 400);
            let after = state(&rig);
            let what = format!("{effect:?} at command {nth}: {:?} {:#?}", done.ended, done.failures);
            match done.ended {
                Ended::Done => assert_eq!(after.0.options["enable"], "1", "{what}"),
                _ => assert_eq!((&after.0, &after.1), (&before.0, &before.1), "{what}"),
            }
        }
    }
}

#[test]
fn nothing_is_begun_when_half_the_time_is_gone() {
    let (rig, goal) = (rig(), goal());
    let before = state(&rig);
    let wait = Op::Await {
        condition: infra::model::step::Condition::Output { argv: vec!["true".into()], stdout: "never".into() },
        within_s: 160,
        otherwise: "it takes long".to_owned(),
        or_warn: true,
    };
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), wait, switch_on()])));
    assert_eq!(done.ended, Ended::Failed);
    assert!(done.failures[0].contains("longer than half of the 300 s"), "{:#?}", done.failures);
    assert_eq!(state(&rig), before);
}

#[test]
fn the_set_management_counts_only_entries_that_are_meant() {
    let (rig, goal) = (rig(), goal());
    let not = IpSetEntry { nomatch: true, ..IpSetEntry::default() };
    rig.site
        .change(|world| {
            let set = world.firewall.ipsets.get_mut("management").unwrap();
            drop(set.entries.insert(OPERATOR.to_owned(), not));
        })
        .unwrap();
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), switch_on()])));
    assert_eq!(done.ended, Ended::Failed, "an exception keeps us out of the network that we are in");
}

/// The script as it is put on a host, run by a real `sh` on real files, and the units held to a real systemd.
#[test]
fn a_real_sh_takes_it_back_and_a_real_systemd_takes_the_units() {
    let goal = goal();
    let rig = rig();
    dies_after(&rig, &goal, 1);
    let text = |path: &str| {
        rig.site
            .look(|world| {
                let node = world.nodes.values().next().unwrap();
                String::from_utf8(node.files[path].content.clone()).unwrap()
            })
            .unwrap()
    };
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| format!("{}{path}", root.path().display());
    let home = "/var/lib/infra/guard/firewall";
    for directory in [home, "/etc/pve/firewall", "/etc/pve/nodes/hq", "/etc/pve/local"] {
        std::fs::create_dir_all(at(directory)).unwrap();
    }
    let node = goal.hosts.values().next().unwrap().node.to_string();
    let host_fw = at(&format!("/etc/pve/nodes/{node}/host.fw"));
    std::fs::create_dir_all(host_fw.rsplit_once('/').unwrap().0).unwrap();
    // systemctl is not for a test to run; everything else is.
    let script =
        text(&format!("{home}/revert")).replace("/var/lib", &at("/var/lib")).replace("/etc/pve", &at("/etc/pve"));
    let script = script.replace("systemctl disable", "true");
    let sh = |script: &str| std::process::Command::new("sh").arg("-c").arg(script).status().unwrap().code();
    let there = |name: &str| std::path::Path::new(&at(&format!("{home}/{name}"))).exists();
    std::fs::write(at(&format!("{home}/0")), "[OPTIONS]\n\nenable: 0\n").unwrap();
    std::fs::write(at("/etc/pve/firewall/cluster.fw"), "[OPTIONS]\n\nenable: 1\n").unwrap();
    std::fs::write(&host_fw, "[RULES]\n").unwrap();
    // Not armed any more: nothing happens.
    assert_eq!(sh(&script), Some(0));
    assert!(std::path::Path::new(&host_fw).exists());
    std::fs::write(at(&format!("{home}/armed")), "").unwrap();
    // The cluster file system is not there yet: it fails, so that systemd tries again.
    std::fs::remove_dir(at("/etc/pve/local")).unwrap();
    assert_eq!(sh(&script), Some(1));
    assert!(there("reverting") && !there("reverted"));
    std::fs::create_dir(at("/etc/pve/local")).unwrap();
    assert_eq!(sh(&script), Some(0));
    assert!(there("reverted") && !there("reverting") && !there("armed"));
    assert_eq!(std::fs::read_to_string(at("/etc/pve/firewall/cluster.fw")).unwrap(), "[OPTIONS]\n\nenable: 0\n");
    assert!(!std::path::Path::new(&host_fw).exists());

    let units = ["infra-guard-firewall.service", "infra-guard-firewall.timer"];
    let files: Vec<String> = units.iter().map(|unit| at(&format!("/{unit}"))).collect();
    for (unit, file) in units.iter().zip(&files) {
        std::fs::write(file, text(&format!("/etc/systemd/system/{unit}"))).unwrap();
    }
    match std::process::Command::new("systemd-analyze").arg("verify").arg("--man=no").args(&files).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let ours: Vec<&str> = said.lines().filter(|line| line.contains("infra-guard")).collect();
            assert!(ours.is_empty(), "{ours:#?}");
        }
        Err(error) => println!("not run: systemd-analyze: {error}"),
    }
}

/// The connection breaks for good in the moment in which the change is confirmed: whatever is said, it is one of two.
#[test]
fn a_confirmation_whose_answer_never_comes_stands_and_is_not_waited_for() {
    let (rig, goal) = (rig(), goal());
    let confirm = "*mv -T /var/lib/infra/guard/firewall/armed /var/lib/infra/guard/firewall/confirmed*";
    let lost = |nth| Fault::Command { line: confirm.to_owned(), nth, effect: CommandEffect::LostAfter };
    rig.faults(vec![lost(0)]);
    let began = rig.clock.now();
    let done = run(carry_out(&rig, &goal, guarded(&goal, vec![let_us_in(), switch_on()])));
    assert_eq!(done.ended, Ended::Failed, "it could not be seen to the end");
    assert!(done.failures[0].contains("the change stands"), "{:#?}", done.failures);
    assert!(rig.clock.now().duration_since(began).as_secs() < 120);
    wait(&rig, 1000);
    assert_eq!(state(&rig).0.options["enable"], "1");
}
