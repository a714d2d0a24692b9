//! `infra verify` as a person runs it, and its script in a real bash.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use infra::verify::{Seen, read, script};
use serde_json::Value;

use crate::desk::{Desk, Served};
use crate::lab_run::put;

/// How every connection ended, by `FROM -> TO:PORT`.
fn verdicts(text: &str) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let trials = document["trials"].as_array().expect("trials").iter();
    let way = |trial: &Value| format!("{} -> {}:{}", text(&trial["from"]), text(&trial["to"]), trial["port"]);
    trials.map(|trial| (way(trial), text(&trial["verdict"]))).collect()
}

/// Proof of the promise: what is declared is open, what is not is closed, and a rule that somebody takes away is found
/// by the plan and by those who suffer from it.
#[test]
fn a_rule_removed_behind_our_back_is_drift_and_fails_verify() {
    let desk = Desk::new();
    let lab = Served::start(&desk, &[]);
    let run = |code: i32, args: &[&str]| {
        desk.run(code, &[args, &["-i", "inventories/vrooli", "-i", lab.inventory()]].concat())
    };
    run(0, &["prepare", "--yes"]);
    run(0, &["apply", "--yes"]);
    let sound = verdicts(&run(0, &["verify", "--output", "json"]));
    assert_eq!(sound["proj-x -> plan-hq:4000"], "skipped", "the gateway is not deployed yet");
    assert_eq!(sound["proj-x -> proj-y:22"], "pass");
    assert_eq!(sound["plan-hq -> proj-x:22"], "pass", "it reaches nobody, and knows its neighbours");
    assert_eq!(sound["proj-x -> proj-y:9100"], "skipped", "nobody listens there");
    assert!(sound.values().all(|verdict| verdict == "pass" || verdict == "skipped"), "{sound:?}");

    // What keeps everybody out whom no flow names.
    put(&lab.ready["api"], "/nodes/pve1/lxc/105/firewall/options", "policy_in", "ACCEPT");
    let plan = run(2, &["plan", "--detailed-exitcode"]);
    assert!(plan.contains("guest_firewall.proj-y") && plan.contains("[drift]"), "{plan}");
    // The way is barred twice: it is still closed, and one of the bars is gone.
    let text = run(1, &["verify", "--output", "json"]);
    assert!(text.contains("guest_firewall.proj-y"), "{text}");
    assert_eq!(verdicts(&text)["proj-x -> proj-y:22"], "pass");
    for vmid in [104, 105] {
        put(&lab.ready["api"], &format!("/nodes/pve1/lxc/{vmid}/firewall/options"), "enable", "0");
    }
    // The host looks at its files every ten seconds.
    let mut looks = (0..30).map(|_| verdicts(&run(1, &["verify", "--output", "json"])));
    let broken = looks.find(|seen| seen["proj-x -> proj-y:22"] == "fail").expect("the way is open");
    assert_eq!(broken["proj-x -> vrooli-dev:22"], "pass");

    run(0, &["apply", "--yes"]);
    run(0, &["verify"]);
}

#[test]
fn a_real_bash_tells_open_from_refused() {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let open = TcpListener::bind((loopback, 0)).unwrap();
    let shut = TcpListener::bind((loopback, 0)).unwrap();
    // a queue that is full answers nobody
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from((loopback, 0)).into()).unwrap();
    full.listen(0).unwrap();
    let full_at = full.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(full_at).unwrap();
    let [open_at, shut_at] = [&open, &shut].map(|listener| listener.local_addr().unwrap());
    let targets = [open_at, shut_at, full_at].map(|at| (loopback, at.port()));
    drop(shut);
    let output = Command::new("sh").args(["-c", &script(targets)]).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seen = read(&targets, &text(&output.stdout), &text(&output.stderr)).unwrap().seen;
    assert_eq!(targets.map(|target| seen[&target].clone()), [Seen::Open, Seen::Refused, Seen::Silent]);
}

#[test]
fn a_guest_without_bash_proves_nothing() {
    let programs = tempfile::tempdir().unwrap();
    for program in ["cat", "timeout"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(found.trim(), programs.path().join(program)).unwrap();
    }
    let targets = [(IpAddr::V4(Ipv4Addr::LOCALHOST), 9)];
    let output = Command::new("/bin/sh").args(["-c", &script(targets)]).env("PATH", programs.path()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let why = read(&targets, &text(&output.stdout), &text(&output.stderr)).unwrap_err();
    assert!(why.contains("`bash`"), "{why}");
}
