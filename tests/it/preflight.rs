//! `infra preflight` as a person runs it, on the lab.

use serde_json::Value;

use crate::desk::Desk;

/// The lab's host as the inventory describes it: nothing of it may be called broken.
#[test]
fn a_sound_host_has_no_failure() {
    let desk = Desk::new();
    let text = desk.run(0, &["preflight", "--lab", "--full"]);
    assert!(!text.contains("✘ fail"), "{text}");
    assert!(text.starts_with("hq\n"), "{text}");
}

#[test]
fn json_has_the_five_verdicts_apart_and_counts_them() {
    let desk = Desk::new();
    let report: Value = serde_json::from_str(&desk.run(0, &["preflight", "--lab", "--output", "json"])).expect("JSON");
    assert_eq!(report["format"], 1);
    let host = &report["hosts"][0];
    assert_eq!(host["host"], "hq");
    let findings = host["findings"].as_array().expect("a list");
    for verdict in ["pass", "warn", "fail", "skipped", "could-not-run"] {
        let count = findings.iter().filter(|finding| finding["verdict"] == verdict).count();
        assert_eq!(host["counts"][verdict], count, "{verdict}");
        assert_eq!(report["counts"][verdict], count, "{verdict}");
    }
    assert!(findings.iter().any(|finding| finding["check"] == "iommu-off"), "{report}");
}

#[test]
fn one_check_can_be_asked_alone_and_an_unknown_one_is_wrong_usage() {
    let desk = Desk::new();
    let args = ["preflight", "--lab", "--check", "iommu-off", "--output", "json"];
    let report: Value = serde_json::from_str(&desk.run(0, &args)).expect("JSON");
    let findings = report["hosts"][0]["findings"].as_array().expect("a list");
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding["check"] == "iommu-off"), "{report}");
    desk.run(64, &["preflight", "--lab", "--check", "iommu-of"]);
    desk.run(1, &["preflight", "--lab", "--limit", "hqq"]);
}

#[test]
fn an_entry_of_the_catalogue_asks_no_host() {
    let desk = Desk::empty();
    let text = desk.run(0, &["preflight", "--explain", "iommu-off"]);
    assert!(text.starts_with("iommu-off: the IOMMU is active\n"), "{text}");
    assert!(!text.contains("**") && !text.contains("###"), "{text}");
    let output = desk.command(&["preflight", "--explain", "iommu-of"]).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(64) && said.contains("did you mean `iommu-off`?"), "{said}");
}

/// What nobody may ignore is said when it is asked for.
#[test]
fn only_a_check_that_there_is_can_be_ignored() {
    let desk = Desk::new();
    desk.run(64, &["plan", "--lab", "--ignore-check", "foreign-vmid"]);
    desk.run(0, &["plan", "--lab", "--ignore-check", "iommu-off"]);
}

#[test]
fn reports_for_machines_are_what_they_say() {
    let desk = Desk::new();
    let log: Value = serde_json::from_str(&desk.run(0, &["preflight", "--lab", "--output", "sarif"])).expect("JSON");
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    for result in run["results"].as_array().expect("results") {
        assert!(rules.contains(&result["ruleId"].as_str().expect("an id")), "{result}");
        let file = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str();
        assert_eq!(file, Some("inventories/vrooli/hosts.yaml"), "{result}");
    }
    let xml = desk.run(0, &["preflight", "--lab", "--output", "junit"]);
    assert!(xml.starts_with("<?xml") && xml.ends_with("</testsuites>\n"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), xml.matches("</testcase>").count(), "{xml}");
    let github = desk.run(0, &["preflight", "--lab", "--output", "github"]);
    assert!(github.lines().all(|line| line.starts_with("::")), "{github}");
}

/// The record is the lab's own, not the inventory's: what is simulated is nobody's hardware.
#[test]
fn the_hardware_is_recorded_once_and_held_against_later() {
    let desk = Desk::new();
    let write = || {
        let output = desk.command(&["preflight", "--lab", "--write"]).output().expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, first) = write();
    assert_eq!(code, Some(0), "{first}");
    assert!(first.contains(".infra/lab/vrooli/hardware.lock.json is written"), "{first}");
    assert!(first.contains("hq: rtx4090: 10de:2684 at 0000:01:00"), "{first}");
    assert!(!desk.path("inventories/vrooli/hardware.lock.json").exists());
    let record = desk.path(".infra/lab/vrooli/hardware.lock.json");
    let text = std::fs::read_to_string(&record).expect("the record");
    let (_, again) = write();
    assert!(again.contains("is as it was"), "{again}");

    // The same card was elsewhere when it was recorded.
    std::fs::write(&record, text.replace("0000:01:00", "0000:42:00")).expect("the record");
    let said = desk.run(0, &["preflight", "--lab", "--check", "hardware-changed"]);
    assert!(said.contains("! warn") && said.contains("moved from 0000:42:00 to 0000:01:00"), "{said}");
    let (_, third) = write();
    assert!(third.contains("10de:2684 at 0000:42:00") && third.contains("→"), "{third}");
    assert_eq!(std::fs::read_to_string(&record).expect("the record"), text);

    std::fs::write(&record, "{}").expect("the record");
    desk.run(1, &["preflight", "--lab"]);
}

/// A host that does not answer is no fit host, and every check about it could not run.
#[test]
fn a_host_that_does_not_answer_is_said_to_be_silent() {
    let desk = Desk::new();
    desk.edit("inventories/vrooli/hosts.yaml", "address: 192.168.10.2", "address: 127.0.0.1");
    desk.edit("inventories/vrooli/hosts.yaml", "token_id:", "port: 1\n      token_id:");
    desk.edit("inventories/vrooli/hosts.yaml", "user: root", "user: root\n      port: 1");
    let mut command = desk.command(&["preflight", "--output", "json"]);
    let output = command.env("INFRA_SECRET_HQ_TOKEN", "none").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let shut = report["hosts"][0]["shut"].as_array().expect("a list");
    assert!(!shut.is_empty() && shut[0].as_str().expect("text").starts_with("its API does not answer: "), "{shut:?}");
    assert_eq!(report["counts"]["fail"], 0, "{report}");
}
