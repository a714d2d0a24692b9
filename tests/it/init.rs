//! `infra init`: what it writes validates and renders, and nothing is written over.

use std::path::Path;

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn infra(directory: &Path, arguments: &[&str]) -> Answer {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("infra"));
    command.env_clear().env("LANG", "C.UTF-8").env("HOME", directory).current_dir(directory).args(arguments);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn the_first_inventory_validates_and_plans() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path();
    std::fs::create_dir(own.join(".ssh")).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@desk";
    std::fs::write(own.join(".ssh/id_ed25519.pub"), format!("{key}\n")).unwrap();
    let made = infra(own, &["init", "inventories/home", "--address", "192.168.7.2", "--subnet", "10.7.0.0/24"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert_eq!(made.out, "inventories/home/inventory.yaml\n");
    let text = std::fs::read_to_string(own.join("inventories/home/inventory.yaml")).unwrap();
    for said in ["name: home ", "gateway: 10.7.0.1 ", "address: 10.7.0.10\n", key, "node: pve "] {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
    let sound = infra(own, &["validate"]);
    assert_eq!(sound.code, Some(0), "{}", sound.out);
    let plan = infra(own, &["plan", "--lab"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    assert!(plan.out.contains("ct.ops"), "{}", plan.out);

    let again = infra(own, &["init", "inventories/home", "--address", "192.168.7.3"]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(own.join("inventories/home/inventory.yaml")).unwrap(), text);
}

#[test]
fn without_a_terminal_what_only_a_person_knows_is_a_flag() {
    let directory = tempfile::tempdir().unwrap();
    let answer = infra(directory.path(), &["init", "inventories/home"]);
    assert_eq!(answer.code, Some(64));
    assert!(answer.err.contains("--address"), "{}", answer.err);
    let bad =
        infra(directory.path(), &["init", "inventories/home", "--address", "192.168.7.2", "--subnet", "10.7.0.0"]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.err.contains("10.7.0.0") && !directory.path().join("inventories").exists(), "{}", bad.err);
}

#[test]
fn a_service_of_ones_own_validates_and_renders_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path();
    assert_eq!(infra(own, &["init", "inventories/home", "--address", "192.168.7.2"]).code, Some(0));
    let made = infra(own, &["init", "--service", "wiki", "--image", "ghcr.io/requarks/wiki:2.5.308", "--port", "3000"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert_eq!(made.out.lines().count(), 3, "{}", made.out);
    let path = own.join("inventories/home/inventory.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "services: [node-exporter]",
        "nesting: true\n    keyctl: true\n    services: [{ name: wiki, with: { log_level: debug } }]",
    );
    std::fs::write(&path, text).unwrap();
    let sound = infra(own, &["validate"]);
    assert_eq!(sound.code, Some(0), "{}", sound.out);
    let compose = infra(own, &["render", "ops/stacks/wiki/compose.yaml"]);
    assert_eq!(compose.code, Some(0), "{}", compose.err);
    for said in ["ghcr.io/requarks/wiki:2.5.308", "API_KEY_FILE", "wiki_data", "http://127.0.0.1:3000/"] {
        assert!(compose.out.contains(said), "`{said}` is not in\n{}", compose.out);
    }
    assert_eq!(infra(own, &["render", "ops/stacks/wiki/.env.wiki"]).out, "LOG_LEVEL=debug\n");

    let again = infra(own, &["init", "--service", "wiki"]);
    assert!(again.code == Some(1) && again.err.contains("is there already"), "{}", again.err);
    let latest = infra(own, &["init", "--service", "other", "--image", "a/b:latest"]);
    assert!(latest.code == Some(1) && latest.err.contains("latest"), "{}", latest.err);
    assert!(!own.join("templates/other").exists());
    let nothing_said = infra(own, &["init", "--service", "bare"]);
    assert_eq!(nothing_said.code, Some(0), "{}", nothing_said.err);
    assert_eq!(infra(own, &["validate"]).code, Some(0));
}
