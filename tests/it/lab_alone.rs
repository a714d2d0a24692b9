//! A lab that nobody wrote an inventory for: its file is all that is known of its hosts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::desk::{Desk, Served};

/// What an operator adds: images and guests, and nothing of hosts.
pub const GUESTS: &str = r#"
images:
  ubuntu:
    url: https://images.example.org/jammy/release-20250516/jammy.img
    sha256: "5d9c24a1c1ee9e93a4a2bb6ca0e8be1d4cd0fbd3b0e1f9f8c3d7d6b1a0f1e2d3"
    file: jammy-20250516.qcow2
  debian: { template: debian-12-standard_12.12-1_amd64.tar.zst }
guests:
  ai:
    kind: vm
    host: pve1
    vmid: 100
    address: 10.0.0.10
    cores: 8
    memory: 16GiB
    disk: 40GiB
    image: ubuntu
    gpus: [rtx4090]
  web:
    kind: container
    host: pve1
    vmid: 101
    address: 10.0.0.11
    cores: 2
    memory: 1GiB
    disk: 8GiB
    image: debian
    datasets: [{ name: web, mount: /srv, quota: 5GiB }]
"#;

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn the_line_of_a_served_lab_has_the_promised_keys() {
    let desk = Desk::empty();
    let lab = Served::start(&desk, &[]);
    assert!(keys(&lab.ready).is_superset(&["api", "ssh", "inventory"].into()), "{}", lab.ready);
    assert_eq!(keys(&lab.ready["api"]), ["fingerprint", "token", "token_id", "url"].into());
    assert_eq!(keys(&lab.ready["ssh"]), ["host", "host_key", "identity_file", "port", "user"].into());
    let url = lab.ready["api"]["url"].as_str().expect("a text");
    let port = url.strip_prefix("https://127.0.0.1:").expect("a door on loopback");
    assert!(port.parse::<u16>().is_ok(), "{url}");
    assert!(std::path::Path::new(lab.ready["ssh"]["identity_file"].as_str().expect("a path")).is_file());
}

#[test]
fn guests_alone_are_planned_and_applied_on_it() {
    let desk = Desk::empty();
    let lab = Served::start(&desk, &[]);
    assert!(lab.inventory().ends_with(".infra/lab/example/inventory.yaml"), "{}", lab.inventory());
    std::fs::write(desk.path("my-guests.yaml"), GUESTS).expect("a file");
    let run =
        |code: i32, args: &[&str]| desk.run(code, &[args, &["-i", lab.inventory(), "-i", "my-guests.yaml"]].concat());
    assert_eq!(run(0, &["validate"]), "example is sound: 1 host, 2 guests\n");
    let plan = run(2, &["plan", "--detailed-exitcode"]);
    for addr in ["vm.ai", "ct.web", "pci_mapping.pve1:rtx4090", "dataset.pve1:rpool/containers/web"] {
        assert!(plan.contains(addr), "{addr}: {plan}");
    }
    assert!(run(0, &["apply", "--yes"]).contains("a last look found everything"));
    assert!(run(0, &["plan", "--detailed-exitcode"]).starts_with("No changes."));
    assert_eq!(run(0, &["status"]).matches("running").count(), 2);
    // The other order says the same: neither part has anything of the other.
    assert!(desk.run(0, &["plan", "-i", "my-guests.yaml", "-i", lab.inventory()]).starts_with("No changes."));
}

#[test]
fn a_scenario_alone_is_described_in_full_as_well() {
    let desk = Desk::empty();
    let mut scenario = infra::lab::Scenario::example();
    scenario.sites[0].hosts[0].name = "box".to_owned();
    std::fs::write(desk.path("small.json"), serde_json::to_string(&scenario).expect("JSON")).expect("a file");
    let lab = Served::start(&desk, &["--scenario", "small.json"]);
    std::fs::write(desk.path("my-guests.yaml"), GUESTS.replace("host: pve1", "host: box")).expect("a file");
    let plan = desk.run(0, &["plan", "-i", lab.inventory(), "-i", "my-guests.yaml"]);
    assert!(plan.contains("vm.ai") && plan.contains("dataset.box:rpool/containers/web"), "{plan}");
}

#[test]
fn a_host_that_does_not_answer_is_not_needed_for_another() {
    let desk = Desk::empty();
    let lab = Served::start(&desk, &[]);
    std::fs::write(desk.path("my-guests.yaml"), GUESTS).expect("a file");
    // Nothing listens on port 1 of loopback.
    let far = r#"
hosts:
  far:
    address: 127.0.0.1
    api: { port: 1, token_id: "infra@pve!lab", token: secret:lab-pve1, fingerprint: "FINGERPRINT" }
    ssh: { port: 1, host_key: "HOST_KEY" }
    storage: { guests: local-zfs, files: local }
    network: { bridge: vmbr0, subnet: 10.1.0.0/24, gateway: 10.1.0.1 }
"#;
    let text = |part: &str, key: &str| lab.ready[part][key].as_str().expect("a text").to_owned();
    let far = far.replace("FINGERPRINT", &text("api", "fingerprint")).replace("HOST_KEY", &text("ssh", "host_key"));
    std::fs::write(desk.path("far.yaml"), far).expect("a file");
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml", "-i", "far.yaml"];
    let near = [&["apply", "--yes", "--limit", "pve1"], &reach[..]].concat();
    assert!(desk.run(0, &near).contains("a last look found everything"));
    assert!(desk.run(0, &near).starts_with("No changes."));
    let status = desk.run(0, &[&["status", "--limit", "pve1"], &reach[..]].concat());
    assert!(status.contains("online") && !status.contains("far"), "{status}");
    desk.run(1, &[&["status", "--limit", "far"], &reach[..]].concat());
}
