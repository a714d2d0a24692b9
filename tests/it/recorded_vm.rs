//! What a real Debian host answered to the probe, before `infra prepare` and after it and a reboot.
//!
//! Recorded by `cargo xtask vm-test fit --record` into `recorded/vm`. A command that came later than the recording
//! counts as one that the host does not have; the facts that are looked at here need none of those.

use std::collections::BTreeMap;

use infra::model::PciAddress;
use infra::model::machine::{Firmware, Loader, Machine};
use infra::model::observed::Fact;
use infra::observe::facts::machine::{Asked, Probe, Question};
use infra::ports::{Batch, OnFailure, Output};
use jiff::Timestamp;
use serde_json::Value;

const IOMMU_OFF: &str = include_str!("recorded/vm/iommu-off.jsonl");
const FIT: &str = include_str!("recorded/vm/fit.jsonl");

fn machine(recording: &str) -> Machine {
    let bytes = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let mut answers: BTreeMap<Vec<String>, Vec<Output>> = BTreeMap::new();
    for line in recording.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        let argv = serde_json::from_value(answer["argv"].clone()).unwrap();
        let code = answer["code"].as_i64().unwrap().try_into().unwrap();
        let output = Output { code, stdout: bytes(&answer["stdout"]), stderr: bytes(&answer["stderr"]) };
        // The time is asked for twice.
        answers.entry(argv).or_default().insert(0, output);
    }
    let mut batch = Batch::new(1, OnFailure::Continue);
    let question = Question {
        addresses: ["10.0.2.100".parse().unwrap()].into(),
        device_nodes: ["/dev/null".to_owned(), "/dev/nvidia0".to_owned()].into(),
        ..Question::default()
    };
    let probe = Probe::push(&mut batch, &question);
    let outputs: Vec<Output> = batch
        .commands()
        .iter()
        .map(|argv| {
            let absent = || Output { code: 127, stdout: Vec::new(), stderr: b"sh: not found".to_vec() };
            answers.get_mut(argv).and_then(Vec::pop).unwrap_or_else(absent)
        })
        .collect();
    probe.read(&outputs, Asked { before: Timestamp::UNIX_EPOCH, after: Timestamp::UNIX_EPOCH })
}

fn known<T: std::fmt::Debug>(fact: &Fact<T>) -> &T {
    assert!(fact.is_complete(), "{fact:?}");
    fact.value().unwrap()
}

fn address(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn driver(machine: &Machine, function: &str) -> Option<String> {
    known(&machine.pci).functions[&address(function)].driver.clone()
}

#[test]
fn before_and_after_differ_in_what_was_mended() {
    let (before, after) = (machine(IOMMU_OFF), machine(FIT));
    assert!(!known(&before.iommu).is_active());
    assert!(known(&after.iommu).is_active());
    let group = known(&after.iommu).group_of(&address("0000:01:00.0"));
    assert!(group.is_some());
    assert_eq!(known(&after.iommu).group_of(&address("0000:01:00.1")), group, "functions of one card share a group");
    assert_ne!(known(&after.iommu).group_of(&address("0000:02:00.0")), group);

    assert!(known(&before.kernel).command_line.iter().any(|word| word == "intel_iommu=off"));
    assert!(!known(&after.kernel).command_line.iter().any(|word| word == "intel_iommu=off"));
    assert_ne!(known(&before.kernel).boot_id, known(&after.kernel).boot_id);

    assert_eq!(driver(&before, "0000:01:00.0").as_deref(), Some("bochs-drm"));
    assert_eq!(driver(&after, "0000:01:00.0").as_deref(), Some("vfio-pci"));
    assert_eq!(driver(&before, "0000:02:00.0"), driver(&after, "0000:02:00.0"));
}

#[test]
fn a_debian_host_with_grub_on_bios_is_known_as_that() {
    for recording in [IOMMU_OFF, FIT] {
        let machine = machine(recording);
        let boot = known(&machine.boot);
        assert_eq!((boot.firmware, boot.loader), (Firmware::Bios, Some(Loader::Grub)), "{:?}", boot.signs);
        assert_eq!(boot.root.kind, "ext4");
        assert_eq!(known(&machine.kernels).newest(), Some(known(&machine.kernel).release.as_str()));
        let pool = &known(&machine.pools)["tank"];
        assert_eq!((pool.health.as_str(), pool.bad_devices.len()), ("ONLINE", 0));
        assert!(known(&machine.remapped_interrupts), "interrupts are remapped whatever `intel_iommu=` says");
        assert!(known(&machine.pci).functions[&address("0000:00:01.0")].boot_vga == Some(true));
    }
}

#[test]
fn what_only_proxmox_has_is_unavailable_and_says_why() {
    let machine = machine(IOMMU_OFF);
    let why = machine.guest_files.why().unwrap();
    assert!(why.contains("/etc/pve/.vmlist: No such file"), "{why}");
    let why = machine.certificates.why().unwrap();
    assert!(why.contains("/etc/pve/local"), "{why}");
}
