//! Services on the lab, as a person deploys them: once, proved by use, one alone, put back when it does not get well.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::desk::Desk;

const PRIVAXAI: &str = "inventories/privaxai";

fn applied() -> Desk {
    let desk = Desk::with("inventories/privaxai");
    desk.run(0, &["apply", "--deploy", "--lab", "-i", PRIVAXAI, "--yes"]);
    desk
}

/// Containers of the guest by name, each with its id: one that was made anew has another.
fn containers(desk: &Desk) -> BTreeMap<String, String> {
    let listed = desk.run(
        0,
        &[
            "ssh",
            "inference",
            "--lab",
            "-i",
            PRIVAXAI,
            "--",
            "docker",
            "ps",
            "--format",
            "{{.Names}} {{.ID}} {{.Status}}",
        ],
    );
    let line = |line: &str| {
        let mut words = line.split(' ');
        let named = (words.next()?.to_owned(), words.next()?.to_owned());
        line.ends_with("(healthy)").then_some(named)
    };
    listed.lines().filter_map(line).collect()
}

#[test]
fn a_stack_is_deployed_once_and_proved_by_use() {
    let desk = Desk::with("inventories/privaxai");
    desk.run(0, &["prepare", "--lab", "-i", PRIVAXAI, "--yes"]);
    desk.run(0, &["apply", "--deploy", "--lab", "-i", PRIVAXAI, "--yes"]);
    let again = desk.run(0, &["apply", "--deploy", "--lab", "-i", PRIVAXAI, "--yes"]);
    assert!(again.starts_with("No changes."), "{again}");
    let deployed = desk.run(0, &["deploy", "--lab", "-i", PRIVAXAI, "--yes"]);
    assert!(deployed.starts_with("No changes."), "{deployed}");
    assert_eq!(containers(&desk).len(), 5, "{:?}", containers(&desk));
    let verified = desk.run(0, &["verify", "--lab", "-i", PRIVAXAI, "--full"]);
    for word in ["tokens/s", "GPU for qwen2.5-coder:7b", "it is recorded as"] {
        assert!(verified.contains(word), "nothing about {word}: {verified}");
    }
}

#[test]
fn one_service_alone_is_touched_and_what_does_not_get_well_is_put_back() {
    let desk = applied();
    let before = containers(&desk);
    desk.edit("inventories/privaxai/inventory.yaml", "loaded: 1 }", "loaded: 1, keep_alive: 2h }");
    desk.edit(
        "inventories/privaxai/inventory.yaml",
        "      - tensorzero\n",
        "      - { name: tensorzero, with: { max_tokens: 512 } }\n",
    );
    let one = desk.run(0, &["deploy", "--lab", "-i", PRIVAXAI, "--tags", "ollama", "--yes", "--full"]);
    assert!(one.contains("- OLLAMA_KEEP_ALIVE=30m") && one.contains("+ OLLAMA_KEEP_ALIVE=2h"), "{one}");
    let after = containers(&desk);
    let changed: Vec<&String> =
        after.iter().filter(|(name, id)| before.get(*name) != Some(id)).map(|(name, _)| name).collect();
    assert_eq!(changed, ["ollama-ollama-1"]);
    desk.run(0, &["deploy", "--lab", "-i", PRIVAXAI, "--yes"]);

    // A template of the operator's own that makes a configuration which the gateway does not start with.
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/tensorzero/tensorzero.toml.j2");
    let text = std::fs::read_to_string(template).unwrap();
    let own = desk.path("templates/tensorzero");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("tensorzero.toml.j2"), text.replace("[gateway]", "[gateway")).unwrap();
    let well = containers(&desk);
    let failed = desk.command(&["deploy", "--lab", "-i", PRIVAXAI, "--tags", "tensorzero", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(3), "{said}");
    assert!(said.contains("Failed to parse config file"), "what failed is not told: {said}");
    let back = containers(&desk);
    assert_eq!(back.keys().collect::<Vec<_>>(), well.keys().collect::<Vec<_>>(), "not all is well again");
    assert_eq!(back["ollama-ollama-1"], well["ollama-ollama-1"]);
    std::fs::remove_file(own.join("tensorzero.toml.j2")).unwrap();
    let again = desk.run(0, &["deploy", "--lab", "-i", PRIVAXAI, "--yes"]);
    assert!(again.starts_with("No changes."), "what was put back is not what was there: {again}");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Where a text is in a document, key by key.
fn places(value: &Value, text: &str, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(own) if own.contains(text) => found.push(at.to_owned()),
        Value::Array(all) => all.iter().for_each(|own| places(own, text, at, found)),
        Value::Object(all) => all.iter().for_each(|(key, own)| places(own, text, &format!("{at} {key}"), found)),
        _ => {}
    }
}

#[test]
fn a_secret_is_in_its_file_in_the_guest_and_nowhere_else() {
    let desk = Desk::with("inventories/privaxai");
    let said = |code: i32, verb: &[&str]| {
        let output = desk.command(&[&["-vvv"], verb, &["--lab", "-i", PRIVAXAI]].concat()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{verb:?}\n{out}\n{err}");
        format!("{verb:?}\n{out}\n{err}")
    };
    let mut all = vec![
        said(0, &["plan", "--deploy", "--out", "plan.json", "--full"]),
        said(0, &["apply", "--deploy", "--yes", "--full"]),
    ];
    let store = desk.path(".infra/lab/privaxai/store");
    let made = files(&store).into_iter().find(|path| path.to_string_lossy().contains("inference-clickhouse-password"));
    let made = made.expect("it was made, and kept");
    assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&made).unwrap().trim().to_owned();
    assert!(secret.len() >= 16, "{} characters", secret.len());
    all.extend([
        said(0, &["plan", "--deploy", "--output", "json", "--full"]),
        said(0, &["deploy", "--yes", "--output", "jsonl"]),
        said(0, &["verify", "--output", "json"]),
        said(0, &["status"]),
    ]);
    // One that does not come up says a lot.
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/tensorzero/tensorzero.toml.j2");
    let text = std::fs::read_to_string(template).unwrap();
    std::fs::create_dir_all(desk.path("templates/tensorzero")).unwrap();
    let own = desk.path("templates/tensorzero/tensorzero.toml.j2");
    std::fs::write(&own, text.replace("[gateway]", "[gateway")).unwrap();
    all.push(said(3, &["deploy", "--yes", "--full"]));
    for said in &all {
        assert!(!said.contains(&secret), "it is told: {said}");
    }

    let holders = desk.run(
        0,
        &[
            "ssh",
            "inference",
            "--lab",
            "-i",
            PRIVAXAI,
            "--",
            "grep",
            "-rl",
            &secret,
            "/opt",
            "/etc",
            "/root",
            "/run",
            "/tmp",
            "/var",
        ],
    );
    let mut holders: Vec<&str> = holders.lines().collect();
    holders.sort_unstable();
    let in_use = |path: &&&str| path.starts_with("/opt/stacks/") && !path.starts_with("/opt/stacks/.infra/");
    let used: Vec<&&str> = holders.iter().filter(in_use).collect();
    assert_eq!(used, [&"/opt/stacks/clickhouse/secrets/password", &"/opt/stacks/tensorzero/.env.tensorzero"]);
    let kept = |path: &&str| path.starts_with("/opt/stacks/");
    assert!(holders.iter().all(kept), "{holders:?}");
    for path in holders {
        let mode = desk.run(0, &["ssh", "inference", "--lab", "-i", PRIVAXAI, "--", "stat", "-c", "%a", path]);
        assert!(["400\n", "600\n"].contains(&mode.as_str()), "{path} is {mode}");
    }
    let mut disks = 0;
    for file in files(&desk.path("")) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        if !text.contains(&secret) {
            continue;
        }
        if file == made {
            continue;
        }
        // The lab's disk alone: there in the guest's files, and in what its engine holds for containers.
        let world: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("it is in {}", file.display()));
        let mut found = Vec::new();
        places(&world, &secret, "", &mut found);
        let allowed = |at: &String| at.contains(" files /opt/stacks/") || at.contains(" docker ");
        assert!(!found.is_empty() && found.iter().all(allowed), "{}: {found:?}", file.display());
        disks += 1;
    }
    assert_eq!(disks, 1, "the lab's disk was searched");
}
