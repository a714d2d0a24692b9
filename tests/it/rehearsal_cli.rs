//! `--rehearse` on the command line: what is said, with which exit code, and that nothing is touched.

use std::path::Path;

use infra::lab::Scenario;
use infra::model::Size;
use serde_json::Value;

use crate::desk::{Desk, Served};
use crate::lab_alone::GUESTS;

/// A host in a process of its own, and guests for it. With `full`, its storage for files takes no image.
fn desk(full: bool) -> (Desk, Served) {
    let desk = Desk::empty();
    let mut scenario = Scenario { any_download: true, ..Scenario::example() };
    if full {
        // The system takes 12 GiB of it.
        scenario.sites[0].hosts[0].root = Size::mib(12 * 1024 + 100);
    }
    std::fs::write(desk.path("lab.json"), serde_json::to_string(&scenario).expect("JSON")).expect("a file");
    std::fs::write(desk.path("my-guests.yaml"), GUESTS).expect("a file");
    let lab = Served::start(&desk, &["--scenario", "lab.json", "--state-dir", "host"]);
    (desk, lab)
}

/// Every file below a directory, with its content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

/// The world of the host as it is kept, without what time it is.
fn world(desk: &Desk) -> Value {
    let files = files(&desk.path("host"));
    let (_, kept) = files.iter().find(|(path, _)| path.contains("/site-")).expect("a world");
    let mut world: Value = serde_json::from_slice(kept).expect("JSON");
    world.as_object_mut().expect("an object").remove("now_ms").expect("a time");
    // The firewall's daemon looks at its files by itself.
    for node in world["nodes"].as_object_mut().expect("nodes").values_mut() {
        node["enforced"]["looked_ms"] = Value::Null;
    }
    world
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn what_would_fail_is_said_and_nothing_is_touched() {
    let (desk, lab) = desk(true);
    // That its root file system is full preflight knows beforehand.
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml", "--ignore-check", "system-space"];
    let with = |verb: &[&str]| -> Vec<String> { verb.iter().chain(&reach).map(|arg| (*arg).to_owned()).collect() };
    let run = |code: i32, verb: &[&str]| desk.run(code, &with(verb).iter().map(String::as_str).collect::<Vec<_>>());
    run(0, &["plan", "--out", "p.json"]);
    let (host, mine) = (world(&desk), files(&desk.path(".infra")));

    let said = run(1, &["plan", "--rehearse"]);
    assert!(said.contains("failed") && said.contains("download failed: exit code 3"), "{said}");
    assert!(said.contains("Would fail: ") && said.contains("that hang on it are not run"), "{said}");
    assert!(said.contains("Not rehearsed:") && said.contains("no host was touched"), "{said}");
    let refused = run(1, &["apply", "--rehearse", "--yes"]);
    assert!(refused.contains("Would fail: "), "{refused}");
    run(1, &["apply", "p.json", "--rehearse", "--yes"]);
    let answer = json(&run(1, &["apply", "--rehearse", "--yes", "--output", "json"]));
    assert_eq!((&answer["outcome"], &answer["rehearsal"]["verdict"]), (&"not-rehearsed".into(), &"failed".into()));
    assert_eq!(answer["run"], Value::Null);
    let answer = json(&run(1, &["plan", "--rehearse", "--output", "json"]));
    let steps = answer["rehearsal"]["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step["outcome"] == "not-run"), "{steps:#?}");

    assert_eq!(host, world(&desk), "a write reached the host");
    assert_eq!(mine, files(&desk.path(".infra")), "a rehearsal was remembered");
    let temporary = desk.path("tmp");
    std::fs::create_dir(&temporary).expect("a directory");
    let mut command = desk.command(&[&["plan", "--rehearse"][..], &reach].concat());
    let output = command.env("TMPDIR", &temporary).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files(&temporary), [], "its journal goes with it");
    assert_eq!(std::fs::read_dir(&temporary).expect("a directory").count(), 0);
}

#[test]
fn a_clean_rehearsal_is_followed_by_the_apply() {
    let (desk, lab) = desk(false);
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml"];
    let run = |code: i32, verb: &[&str]| desk.run(code, &[verb, &reach].concat());
    let said = run(2, &["plan", "--rehearse", "--detailed-exitcode"]);
    assert!(said.contains("Clean: ") && said.contains("Takes "), "{said}");
    run(0, &["plan", "--out", "p.json"]);
    let applied = run(0, &["apply", "p.json", "--rehearse", "--yes"]);
    let (clean, done) = (applied.find("Clean: ").expect("rehearsed"), applied.find("Applied: ").expect("applied"));
    assert!(clean < done, "{applied}");
    // Nothing to do is nothing to rehearse.
    let again = run(0, &["plan", "--rehearse", "--detailed-exitcode"]);
    assert!(again.starts_with("No changes.") && !again.contains("Rehearsed"), "{again}");
    let history = desk.run(0, &["history", "-i", lab.inventory(), "-i", "my-guests.yaml"]);
    assert_eq!(history.matches("converged").count(), 1, "the rehearsals are no runs: {history}");
}

#[test]
fn a_rehearsal_is_part_of_both_documents_and_of_their_schemas() {
    let (desk, lab) = desk(false);
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml"];
    let run = |verb: &[&str]| json(&desk.run(0, &[verb, &reach].concat()));
    let plan = run(&["plan", "--rehearse", "--output", "json"]);
    let applied = run(&["apply", "--rehearse", "--yes", "--output", "json"]);
    for (document, schema) in [(&plan, "plan"), (&applied, "run")] {
        let rehearsal = &document["rehearsal"];
        assert_eq!(rehearsal["verdict"], "clean");
        assert!(rehearsal["seconds"]["least"].as_f64() < rehearsal["seconds"]["most"].as_f64());
        assert!(!rehearsal["assumptions"].as_array().expect("a list").is_empty());
        let schema = json(&desk.run(0, &["schema", schema]));
        let keys = schema["$defs"]["RehearsalDocument"]["properties"].as_object().expect("properties");
        for key in rehearsal.as_object().expect("an object").keys() {
            assert!(keys.contains_key(key), "{key} is not in the schema");
        }
    }
    assert_eq!(applied["outcome"], "converged");
}
