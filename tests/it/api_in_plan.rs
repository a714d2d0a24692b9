//! The plan knows before the host does: every request is held against the API description of the very host.

use std::collections::BTreeMap;
use std::sync::Arc;

use infra::adapters::files::read_inventory;
use infra::blueprint::Blueprint;
use infra::lab::Scenario;
use infra::lab::rules::api_description;
use infra::lab::world::Version;
use infra::model::HostName;
use infra::plan::{ApiCheck, Described, Plan, hold_against_api};
use infra::proxmox::ApiSchema;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::api_description::all_real;
use crate::desk::Desk;
use crate::random_inventory::{changed, guests, inventory};
use crate::rig::{Rig, blueprint};

fn held(plan: &Plan, blueprint: &Blueprint, version: &str, schema: &Arc<ApiSchema>) -> ApiCheck {
    let of = || Described::As { version: version.to_owned(), schema: Arc::clone(schema) };
    let hosts: BTreeMap<HostName, Described> = blueprint.hosts.keys().map(|host| (host.clone(), of())).collect();
    hold_against_api(plan, blueprint, &hosts)
}

/// The lab's own descriptions, and the real ones where they are there.
fn descriptions() -> Vec<(String, Arc<ApiSchema>)> {
    let own = Version::ALL.into_iter().map(|version| {
        let schema = ApiSchema::parse(&api_description(version)).unwrap();
        (format!("lab {}", version.release()), Arc::new(schema))
    });
    let real = all_real().into_iter().flatten().map(|(version, schema)| (version.to_owned(), Arc::new(schema)));
    own.chain(real).collect()
}

#[test]
fn the_labs_description_is_whole_and_of_its_version() {
    for version in Version::ALL {
        let schema = ApiSchema::parse(&api_description(version)).unwrap();
        let create = schema.call(infra::ports::Method::Post, "/nodes/{node}/qemu").unwrap();
        assert_eq!(create.parameters.properties.contains_key("allow-ksm"), version >= Version::V9_1, "{version:?}");
        assert!(schema.calls().count() > 100);
    }
}

#[test]
fn every_request_of_every_plan_fits_every_version() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let descriptions = descriptions();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]));
    let mut hold = |plan: &Plan, blueprint: &Blueprint| {
        for (version, schema) in &descriptions {
            let check = held(plan, blueprint, version, schema);
            assert!(check.problems.is_empty() && check.notes.is_empty(), "{version}: {check:#?}");
            *counts.entry(version).or_default() += check.checked;
        }
    };
    for _ in 0..12 {
        let before = guests().new_tree(&mut runner).unwrap().current();
        let after = changed(&before).new_tree(&mut runner).unwrap().current();
        let rig = Rig::new(0);
        runtime.block_on(async {
            let first = blueprint(&inventory(&before)).unwrap();
            hold(&rig.plan(&first).await.unwrap(), &first);
            rig.apply(&first).await;
            let second = blueprint(&inventory(&after)).unwrap();
            hold(&rig.plan(&second).await.unwrap(), &second);
        });
    }
    let files = read_inventory(&[camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/vrooli")]);
    let loaded = infra::inventory::load(&files);
    let mut vrooli = infra::blueprint::resolve(&loaded.inventory.unwrap()).0.unwrap();
    for host in vrooli.hosts.values_mut() {
        host.node = "pve1".parse().unwrap();
    }
    let rig = Rig::new(0);
    hold(&runtime.block_on(rig.plan(&vrooli)).unwrap_or_else(|problems| panic!("{problems:#?}")), &vrooli);
    println!("requests held: {counts:?}");
    assert!(counts.values().all(|count| *count > 500), "too little was held: {counts:?}");
}

const INVENTORY: &str = r#"schema: 1
name: test
ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"]
hosts:
  pve1:
    address: 192.0.2.2
    api: { token_id: "infra@pve!lab", token: "secret:tok", fingerprint: "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00" }
    ssh: { user: root }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
images:
  ubuntu: { url: "https://example.com/u-1.img", sha256: "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579", file: u-1.qcow2 }
guests:
  apart:
    kind: vm
    host: pve1
    vmid: 100
    address: 10.0.0.10
    image: ubuntu
    cores: 2
    memory: 4GiB
    disk: 20GiB
    ksm: false
"#;

/// A desk with an inventory and a lab of a version.
fn desk(version: Version, inventory: &str) -> Desk {
    let desk = Desk::empty();
    let mut scenario = Scenario::example();
    scenario.version = version;
    scenario.any_download = true;
    std::fs::write(desk.path("lab.json"), serde_json::to_string(&scenario).unwrap()).unwrap();
    std::fs::write(desk.path("inventory.yaml"), inventory).unwrap();
    desk
}

const PLAN: [&str; 4] = ["plan", "--lab=lab.json", "-i", "inventory.yaml"];

/// Output of a plan that must end with `code`: stdout and stderr.
fn plan(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let output = desk.command(&[&PLAN[..], more].concat()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

#[test]
fn a_parameter_that_only_9_knows_is_refused_on_8_4_with_its_place() {
    let (_, err) = plan(&desk(Version::V8_4, INVENTORY), 1, &[]);
    assert!(err.contains("`pve1` (Proxmox VE 8.4.14) does not know `allow-ksm`"), "{err}");
    let line = INVENTORY.lines().position(|line| line.contains("ksm: false")).unwrap() + 1;
    assert!(err.contains(&format!("inventory.yaml:{line}:10")), "{err}");
    assert!(err.contains("vm.apart/create") && err.contains("leave `ksm` out, or update the host"), "{err}");

    for version in [Version::V9_1, Version::V9_2] {
        let desk = desk(version, INVENTORY);
        assert!(plan(&desk, 0, &["--full"]).0.contains("allow-ksm"), "{version:?}");
        desk.run(0, &["apply", "--lab=lab.json", "-i", "inventory.yaml", "--yes"]);
        assert!(plan(&desk, 0, &[]).0.contains("No changes."), "{version:?}");
    }
    // What is not asked for is not sent, so that 8.4 is as good as any.
    plan(&desk(Version::V8_4, &INVENTORY.replace("    ksm: false\n", "")), 0, &[]);
    plan(&desk(Version::V8_4, &INVENTORY.replace("ksm: false", "ksm: true")), 0, &[]);
}

#[test]
fn shared_memory_pages_that_somebody_allowed_again_are_drift() {
    let desk = desk(Version::V9_2, INVENTORY);
    desk.run(0, &["apply", "--lab=lab.json", "-i", "inventory.yaml", "--yes"]);
    std::fs::write(desk.path("inventory.yaml"), INVENTORY.replace("ksm: false", "ksm: true")).unwrap();
    let (out, _) = plan(&desk, 0, &[]);
    assert!(out.contains("allow-ksm") && out.contains("0 → "), "{out}");
    std::fs::write(desk.path("inventory.yaml"), INVENTORY.replace("    ksm: false\n", "")).unwrap();
    assert!(plan(&desk, 0, &[]).0.contains("No changes."), "what is not given is left alone");
}

fn fetched(err: &str) -> usize {
    err.matches("GET /pve-docs/api-viewer/apidoc.js").count()
}

#[test]
fn the_description_is_fetched_once_and_a_broken_copy_again() {
    let desk = desk(Version::V9_2, INVENTORY);
    assert_eq!(fetched(&plan(&desk, 0, &["-vvv"]).1), 1);
    assert_eq!(fetched(&plan(&desk, 0, &["-vvv"]).1), 0, "kept");

    let kept = find(desk.path(".infra").as_path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    let text = std::fs::read_to_string(&kept[0]).unwrap();
    std::fs::write(&kept[0], &text[..text.len() / 2]).unwrap();
    assert_eq!(fetched(&plan(&desk, 0, &["-vvv"]).1), 1, "torn");
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), text, "mended");
    assert_eq!(fetched(&plan(&desk, 0, &["-vvv"]).1), 0);
}

#[test]
fn a_copy_that_is_out_of_date_refuses_nothing_before_the_host_was_asked() {
    let desk = desk(Version::V9_2, INVENTORY);
    plan(&desk, 0, &[]);
    let kept = find(desk.path(".infra").as_path());
    // The same build as another package had it: whole, and without the parameter.
    let old = api_description(Version::V8_4);
    infra::adapters::DescriptionCache::below(kept[0].ancestors().nth(3).and_then(camino::Utf8Path::from_path).unwrap())
        .put(&release(&kept[0]), &old);
    assert!(std::fs::read_to_string(&kept[0]).unwrap().ends_with(&old));
    let (_, err) = plan(&desk, 0, &["-vvv"]);
    assert_eq!(fetched(&err), 1, "{err}");
}

/// The build that a kept file is named after.
fn release(path: &std::path::Path) -> infra::model::observed::Release {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (version, repoid) = name.split_once('-').unwrap();
    infra::model::observed::Release { version: version.to_owned(), repoid: repoid.to_owned() }
}

/// Kept descriptions below a directory.
fn find(below: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(find(&path));
        } else if path.components().any(|part| part.as_os_str() == "cache") {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_host_without_a_description_refuses_nothing_and_the_plan_says_so() {
    use infra::client::describe;
    use infra::lab::faults::{Fault, RequestEffect};

    let rig = Rig::new(0);
    let blueprint =
        blueprint(&INVENTORY.replace("  pve1:\n", "  hq:\n    node: pve1\n").replace("host: pve1", "host: hq"))
            .unwrap();
    let effect = RequestEffect::Answer { status: 501, reason: "no handler defined".to_owned() };
    rig.faults(vec![Fault::Request { method: None, path: "/pve-docs/*".to_owned(), nth: 0, effect }]);
    let doors = rig.doors(&blueprint);
    let why = describe(doors.session(&"hq".parse().unwrap()).unwrap()).await.unwrap_err();
    assert_eq!(why, "it answers 501 no handler defined");
    let plan = rig.plan(&blueprint).await.unwrap();
    let hosts = BTreeMap::from([("hq".parse().unwrap(), Described::Not { why })]);
    let check = hold_against_api(&plan, &blueprint, &hosts);
    assert!(check.problems.is_empty() && check.checked == 0);
    assert_eq!(check.notes.len(), 1, "{:?}", check.notes);
    assert!(
        check.notes[0].contains("requests to hq were not held against its own API description"),
        "{:?}",
        check.notes
    );
}
