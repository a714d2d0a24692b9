//! The main job as a person does it: the program against the lab, one call after the other.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use infra::adapters::{Https, HttpsTarget, Trust};
use infra::ports::{Api, Method, Request};
use serde_json::Value;

use crate::desk::{Desk, Served};

#[test]
fn plan_apply_plan_and_one_edit() {
    let desk = Desk::new();
    assert!(desk.run(2, &["plan", "--lab", "--detailed-exitcode"]).contains("+ create   vm.plan-hq"));
    let applied = desk.run(0, &["apply", "--lab", "--yes"]);
    assert!(applied.contains("a last look found everything as the inventory says"), "{applied}");

    let again = desk.run(0, &["apply", "--lab", "--yes"]);
    assert_eq!(again, "No changes. 37 resources on 1 host are as the inventory says.\n");
    assert_eq!(desk.run(0, &["plan", "--lab", "--detailed-exitcode"]), again);

    let status = desk.run(0, &["status", "--lab"]);
    assert_eq!(status.lines().count(), 6, "one host and five guests: {status}");
    assert_eq!(status.matches("running").count(), 5, "{status}");
    assert_eq!(desk.run(0, &["status", "--lab", "--limit", "hq"]), status);
    desk.run(1, &["status", "--lab", "--limit", "hqq"]);

    let run: Value =
        serde_json::from_str(&desk.run(0, &["apply", "--lab", "--yes", "--output", "json"])).expect("JSON");
    assert_eq!((run["outcome"].as_str(), run["steps"].as_array().map(Vec::len)), (Some("unchanged"), Some(0)), "{run}");
    assert_eq!((run["verb"].as_str(), run["run"].is_null()), (Some("apply"), true), "{run}");

    desk.edit("profiles/plan-hq.yaml", "memory: 32GiB", "memory: 24GiB");
    let plan: Value = serde_json::from_str(&desk.run(0, &["plan", "--lab", "--output", "json"])).expect("JSON");
    let changes = plan["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((changes[0]["addr"].as_str(), changes[0]["drift"].as_bool()), (Some("vm.plan-hq"), Some(false)));

    let history = desk.run(0, &["history", "--lab"]);
    assert_eq!(history.matches("converged").count(), 1, "an apply without changes is no run: {history}");
    assert_eq!(
        desk.run(0, &["history"]),
        "No runs yet in `.infra`; those on the lab are shown with `--lab`.\n",
        "the lab's runs are not those of real hosts"
    );
    let mine = ["history", "--lab", "-i", "inventories/vrooli"];
    assert_eq!(desk.run(0, &mine), history);
    desk.edit("inventories/vrooli/hosts.yaml", "name: vrooli", "name: another");
    assert_eq!(desk.run(0, &mine), "No runs of another on the lab yet in `.infra/lab`.\n");
}

#[test]
fn a_served_lab_is_a_host_like_any_other() {
    let desk = Desk::new();
    let lab = Served::start(&desk, &[]);
    let reach = ["-i", "inventories/vrooli", "-i", lab.inventory()];
    let with = |args: &[&'static str]| -> Vec<String> {
        args.iter().map(ToString::to_string).chain(reach.iter().map(ToString::to_string)).collect()
    };
    let run = |code: i32, args: &[&'static str]| {
        let args = with(args);
        desk.run(code, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let events = run(0, &["apply", "--yes", "--output", "jsonl"]);
    let last: Value = serde_json::from_str(events.lines().last().expect("events")).expect("JSON");
    assert_eq!((last["event"].as_str(), last["outcome"].as_str()), (Some("run_finished"), Some("converged")));

    // `--lab` finds the running one and becomes its client.
    assert!(desk.run(0, &["plan", "--lab"]).starts_with("No changes."));

    // Somebody changes memory behind our back, with a client of their own.
    let memory = |mib: &str| put(&lab.ready["api"], "/nodes/pve1/lxc/104/config", "memory", mib);
    memory("2048");
    let drifted = run(2, &["plan", "--detailed-exitcode"]);
    assert!(drifted.contains("~ update   ct.proj-x"), "{drifted}");
    assert!(drifted.contains("2048 MiB → 4096 MiB  [drift]"), "{drifted}");

    // A saved plan is refused once that is not true any more.
    let saved = desk.path("plan.json");
    let saved = saved.to_str().expect("UTF-8");
    desk.run(0, &["plan", reach[0], reach[1], reach[2], reach[3], "--out", saved]);
    memory("3072");
    let refused = desk.command(&["apply", saved, "--yes", reach[0], reach[1], reach[2], reach[3]]).output();
    let refused = refused.expect("the program starts");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("plan.stale") && said.contains("ct.proj-x") && said.contains("3072 MiB"), "{said}");
    run(0, &["apply", "--yes"]);
    assert!(run(0, &["plan", "--detailed-exitcode"]).starts_with("No changes."));
}

#[test]
fn data_goes_only_by_name_and_yes_does_not_cover_it() {
    let desk = Desk::new();
    desk.run(0, &["apply", "--lab", "--yes"]);
    let refused = desk.command(&["destroy", "--lab", "--yes", "--target", "ct.proj-x"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--allow-destroy ct.proj-x"), "{said}");

    let asks = ["destroy", "--lab", "--target", "ct.proj-x", "--allow-destroy", "ct.proj-x"];
    desk.run(64, &asks);
    desk.run(0, &[&asks[..], &["--yes"]].concat());
    let status = desk.run(0, &["status", "--lab"]);
    assert!(status.lines().any(|line| line.starts_with("proj-x") && line.contains("absent")), "{status}");
    assert_eq!(status.matches("running").count(), 4, "{status}");
}

#[test]
fn without_consent_nothing_is_changed() {
    let desk = Desk::new();
    desk.run(64, &["apply", "--lab"]);
    assert_eq!(desk.run(0, &["history", "--lab"]), "No runs on the lab yet in `.infra/lab`.\n");
    assert!(desk.run(2, &["plan", "--lab", "--detailed-exitcode"]).starts_with("37 to create"));
}

#[test]
fn ctrl_c_stops_cleanly_and_the_next_apply_goes_on() {
    let desk = Desk::new();
    let mut apply = desk.command(&["apply", "--lab", "--yes", "--parallelism", "1"]);
    let mut child = apply.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("done (0.0 s)")), "a step ends");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(kill.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:#?}");
    assert!(rest.iter().any(|line| line.starts_with("stopping:")), "{rest:#?}");

    assert!(desk.run(0, &["history", "--lab"]).contains("interrupted"));
    desk.run(0, &["apply", "--lab", "--yes"]);
    assert!(desk.run(0, &["plan", "--lab", "--detailed-exitcode"]).starts_with("No changes."));
}

#[test]
fn a_plan_of_another_version_is_refused() {
    let desk = Desk::new();
    desk.run(0, &["plan", "--lab", "--out", "plan.json"]);
    let mut plan: Value =
        serde_json::from_slice(&std::fs::read(desk.path("plan.json")).expect("it is there")).expect("JSON");
    plan["infra"] = "0.0.9".into();
    std::fs::write(desk.path("plan.json"), plan.to_string()).expect("a file");
    let refused = desk.command(&["apply", "--lab", "--yes", "plan.json"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("plan.file") && said.contains("infra 0.0.9 made it"), "{said}");
}

#[test]
fn what_left_the_inventory_is_destroyed_by_name_and_nothing_else() {
    let desk = Desk::new();
    desk.run(0, &["apply", "--lab", "--yes"]);
    let path = desk.path("inventories/vrooli/guests.yaml");
    let guests = std::fs::read_to_string(&path).expect("the guests");
    let (before, rest) = guests.split_once("  proj-y:\n").expect("proj-y");
    let (_, after) = rest.split_once("\n\n").expect("another guest");
    // Who uses what is gone would use nothing.
    let rest = format!("{before}{after}").replace("      - proj-y/node-exporter\n", "");
    std::fs::write(&path, rest).expect("the guests");

    let plan = desk.run(0, &["plan", "--lab"]);
    assert!(
        plan.contains("ct.proj-y") && plan.contains("`infra destroy --target ADDR --allow-destroy ADDR`"),
        "{plan}"
    );
    desk.run(1, &["destroy", "--lab", "--yes", "--target", "ct.proj-y"]);
    let destroy = ["destroy", "--lab", "--yes", "--target", "ct.proj-y", "--allow-destroy", "ct.proj-y"];
    let destroyed = desk.run(0, &destroy);
    assert!(destroyed.contains("Removed:"), "{destroyed}");
    let status = desk.run(0, &["status", "--lab"]);
    assert_eq!(status.matches("running").count(), 4, "{status}");
    assert!(!desk.run(0, &["plan", "--lab"]).contains("ct.proj-y"));
    desk.run(1, &destroy);
}

#[test]
fn a_saved_plan_of_a_part_is_carried_out_and_proven_for_that_part() {
    let desk = Desk::new();
    desk.run(0, &["plan", "--lab", "--target", "dataset.hq:rpool/containers", "--out", "part.json"]);
    let applied = desk.run(0, &["apply", "--lab", "--yes", "part.json"]);
    assert!(applied.contains("Applied: 1 of 1 step done"), "{applied}");
    assert!(desk.run(2, &["plan", "--lab", "--detailed-exitcode"]).starts_with("36 to create"));
}

/// A change by somebody else's client.
/// Changes something behind our back, as whoever the lab's token is of.
pub fn put(api: &Value, path: &str, key: &str, value: &str) {
    let text = |key: &str| api[key].as_str().expect("a text").to_owned();
    let url = text("url");
    let (host, port) =
        url.strip_prefix("https://").and_then(|address| address.rsplit_once(':')).expect("the URL of an API");
    let trust = Trust::Pinned(text("fingerprint").parse().expect("a fingerprint"));
    let port = port.parse().expect("a port");
    let target = HttpsTarget::new(host, port, trust, text("token_id"), text("token").into());
    let request =
        Request { method: Method::Put, path: path.to_owned(), params: vec![(key.to_owned(), value.to_owned())] };
    let response = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async { Https::new(&target).expect("a client").send(&request).await })
        .expect("an answer");
    assert_eq!(response.status, 200, "{}", response.reason);
}
