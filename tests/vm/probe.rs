//! The probe on a machine that is no Proxmox host: what can be known is known, the rest says why it is not.

use std::path::Path;
use std::time::{Duration, Instant};

use infra::adapters::SystemClock;
use infra::observe::facts::machine::{Asked, Probe, Question};
use infra::ports::{Batch, Clock, OnFailure, Shell};
use serde_json::json;

use crate::machine::{door, on_runtime};

/// Facts that only a Proxmox host has.
const PROXMOX_ONLY: &[&str] = &["certificates", "guest_files", "rom_files"];

#[test]
fn what_a_debian_host_can_answer_is_answered() {
    let Some(door) = door() else { return };
    let mut batch = Batch::new(0x5eed, OnFailure::Continue);
    let question = Question {
        addresses: ["10.0.2.100".parse().unwrap()].into(),
        device_nodes: ["/dev/null".to_owned(), "/dev/nvidia0".to_owned()].into(),
        ..Question::default()
    };
    let probe = Probe::push(&mut batch, &question);
    let before = SystemClock.now();
    let began = Instant::now();
    let output = on_runtime(door.run(&batch.command(Duration::from_secs(120)))).unwrap();
    let asked = Asked { before, after: SystemClock.now() };
    println!("machine: {} commands in one round trip of {} ms", batch.len(), began.elapsed().as_millis());
    let outputs = batch.read(&output).unwrap();

    if let Ok(path) = std::env::var("INFRA_VM_RECORD") {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let answers = batch.commands().iter().zip(&outputs).map(|(argv, output)| {
            json!({ "argv": argv, "code": output.code, "stdout": text(&output.stdout), "stderr": text(&output.stderr) })
        });
        let lines: Vec<String> = answers.map(|answer| answer.to_string() + "\n").collect();
        std::fs::write(Path::new(&path), lines.concat()).unwrap();
    }

    let machine = serde_json::to_value(probe.read(&outputs, asked)).unwrap();
    let mut blind = Vec::new();
    for (name, fact) in machine.as_object().unwrap() {
        match fact["why"].as_str() {
            None => println!("machine: fact {name}: known"),
            Some(why) => {
                println!("machine: fact {name}: {why}");
                blind.push(name.as_str());
            }
        }
    }
    let unexpected: Vec<&&str> = blind.iter().filter(|name| !PROXMOX_ONLY.contains(name)).collect();
    assert!(unexpected.is_empty(), "a real Debian host answers these, and they were not read: {unexpected:?}");
}
