//! `infra verify` as a person runs it, and its script in a real bash.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use infra::blueprint::Blueprint;
use infra::model::GuestName;
use infra::verify::{
    Client, LIFE_S, Record, Seen, Verdict, Visit, judge_names, listener_script, lookups, names_script, question, read,
    read_listeners, script, sites_script,
};
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

/// How everything else ended, by `KIND FROM: WHAT`.
fn proofs(text: &str) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["proofs"].as_array().expect("proofs").iter();
    let what = |one: &Value| format!("{} {}: {}", text(&one["of"]), text(&one["from"]), text(&one["what"]));
    all.map(|one| (what(one), text(&one["verdict"]))).collect()
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
    // Names are looked up from inside: the host is its guests' gateway, and its own firewall lets them ask.
    let proofs = proofs(&run(0, &["verify", "--output", "json"]));
    assert_eq!(proofs["name-server proj-x: debian.org at 10.0.0.1"], "pass", "{proofs:?}");
    assert_eq!(proofs["udp guests: ways over UDP"], "unproven");
    let junit = run(0, &["verify", "--output", "junit"]);
    assert!(junit.contains("classname=\"name-server\"") && junit.contains("cannot be proved: "), "{junit}");

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
    let over_six = self::proofs(&run(1, &["verify", "--output", "json"]));
    assert_eq!(over_six["ipv6 proj-x: proj-y over IPv6"], "fail", "its link-local address is open, too: {over_six:?}");
    assert_eq!(over_six["ipv6 proj-x: vrooli-dev over IPv6"], "pass");

    run(0, &["apply", "--yes"]);
    run(0, &["verify"]);
    // A listener for a moment proves closed what nobody listens on. Last, as the listeners outlive the answer.
    let listened = verdicts(&run(0, &["verify", "--listen", "--output", "json"]));
    assert_eq!(listened["proj-x -> proj-y:9100"], "pass", "{listened:?}");
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

fn names_blueprint() -> Blueprint {
    let (blueprint, _) = crate::inventories::check(&crate::inventories::vrooli());
    blueprint.expect("the reference inventory is sound")
}

/// Runs a script as a guest would.
fn inside(script: &str) -> (String, String) {
    let output = Command::new("sh").args(["-c", script]).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_name_server_is_asked_with_a_real_question_by_a_real_bash() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let mut heard = [0; 600];
        let (length, who) = server.recv_from(&mut heard).unwrap();
        let mut answer = heard[..length].to_vec();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
        // A zero, a line break and a percent sign among its bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 10, 37]);
        server.send_to(&answer, who).unwrap();
        heard[..length].to_vec()
    });
    let blueprint = names_blueprint();
    let mut wanted = lookups(&blueprint, &blueprint.guests[&"proj-x".parse::<GuestName>().unwrap()]);
    wanted.servers.truncate(1);
    wanted.system.clear();
    wanted.servers[0].server = Ipv4Addr::LOCALHOST.into();
    wanted.servers[0].name = "ten-chars1.example.com".into();
    let (stdout, stderr) = inside(&names_script(&wanted, port));
    let heard = answering.join().unwrap();
    assert_eq!(heard, question("ten-chars1.example.com", Record::A), "one datagram, byte for byte");
    let proofs = judge_names(&blueprint, &"proj-x".parse().unwrap(), &wanted, Ok(&stdout), |_| None);
    assert_eq!((proofs[0].verdict, proofs[0].says.as_str()), (Verdict::Pass, "it answers"), "{stdout}{stderr}");
    // Nobody is there any more.
    let (stdout, _) = inside(&names_script(&wanted, port));
    let proofs = judge_names(&blueprint, &"proj-x".parse().unwrap(), &wanted, Ok(&stdout), |_| None);
    assert_eq!(proofs[0].verdict, Verdict::Fail, "{stdout}");
}

#[test]
fn a_real_perl_listens_for_a_moment() {
    if Command::new("perl").arg("-v").output().is_err() {
        println!("not run: install perl");
        return;
    }
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let [taken_at, free_at] = [&taken, &free].map(|one| one.local_addr().unwrap().port());
    drop(free);
    // For two seconds instead of many.
    let script = listener_script(&[taken_at, free_at].into()).replacen(&format!("' {LIFE_S} "), "' 2 ", 1);
    let (stdout, stderr) = inside(&script);
    assert_eq!(read_listeners(&stdout, &stderr), Ok([free_at].into()), "a port that is taken is left alone");
    let connects = || TcpStream::connect((Ipv4Addr::LOCALHOST, free_at)).is_ok();
    assert!(connects());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while connects() {
        assert!(std::time::Instant::now() < until, "it ends by itself");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(read_listeners("", "sh: 1: perl: not found").is_err());
}

#[test]
fn a_site_is_visited_with_a_real_curl() {
    use std::io::{Read, Write};
    if Command::new("curl").arg("-V").output().is_err() {
        println!("not run: install curl");
        return;
    }
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = proxy.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let visits = (0..2).map(|_| {
            let (mut visitor, _) = proxy.accept().unwrap();
            let mut heard = [0; 2000];
            let length = visitor.read(&mut heard).unwrap();
            visitor.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8_lossy(&heard[..length]).into_owned()
        });
        visits.collect::<Vec<_>>()
    });
    let address = Ipv4Addr::LOCALHOST.into();
    let visit = [Visit { site: "login.example.com".into(), address, port, secure: false }];
    for client in [Client::Curl, Client::Openssl] {
        let (stdout, stderr) = inside(&sites_script(&visit, client));
        assert!(stdout.contains(" 401") && stdout.contains("= login.example.com 0"), "{client:?}: {stdout}{stderr}");
    }
    let heard = answering.join().unwrap();
    assert!(heard.iter().all(|request| request.contains("Host: login.example.com")), "{heard:?}");
}
