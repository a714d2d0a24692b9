//! Prometheus and Alertmanager read what is rendered for them, and the alerts fire when they should.

use std::process::{Command, Stdio};

use crate::held::held;

use super::programs::{said, there};
use super::{deliver, everything, folder, stacks, vrooli};

fn passes(program: &str, arguments: &[&str], folder: &camino::Utf8Path) -> Result<String, String> {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    if output.status.success() { Ok(said(&output)) } else { Err(said(&output)) }
}

#[test]
fn promtool_takes_the_configuration_and_the_rules() {
    if !there("promtool", "prometheus") {
        return;
    }
    for blueprint in [everything(), vrooli()] {
        for ((guest, service), files) in stacks(&blueprint).into_iter().filter(|((_, own), _)| own == "prometheus") {
            let (_kept, folder) = folder();
            deliver(&files, &folder);
            // promtool looks for the files that a configuration names.
            let path = folder.join("prometheus.yaml");
            let text = std::fs::read_to_string(&path).unwrap().replace("/etc/prometheus/rules.yml", "rules.yaml");
            std::fs::write(&path, text).unwrap();
            let held = passes("promtool", &["check", "config", "prometheus.yaml"], &folder);
            held.unwrap_or_else(|said| panic!("{guest}/{service}: {said}"));
            let held = passes("promtool", &["check", "rules", "rules.yaml"], &folder).unwrap();
            assert!(held.contains("5 rules found"), "{held}");
        }
    }
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    if !there("promtool", "prometheus") {
        return;
    }
    let (_kept, folder) = folder();
    let all = stacks(&everything());
    deliver(&all[&("ops".to_owned(), "prometheus".to_owned())], &folder);
    std::fs::write(folder.join("tests.yaml"), include_str!("alerts.yaml")).unwrap();
    passes("promtool", &["test", "rules", "tests.yaml"], &folder).unwrap_or_else(|said| panic!("{said}"));
    held("prometheus", "`promtool check config`, `check rules`, `test rules`");
}

#[test]
fn amtool_takes_the_configuration() {
    if !there("amtool", "prometheus-alertmanager") {
        return;
    }
    let (_kept, folder) = folder();
    let all = stacks(&everything());
    deliver(&all[&("ops".to_owned(), "alertmanager".to_owned())], &folder);
    let said =
        passes("amtool", &["check-config", "alertmanager.yaml"], &folder).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("1 receivers"), "{said}");
    held("alertmanager", "`amtool check-config`");
}

#[test]
fn prometheus_asks_those_that_a_flow_lets_it_ask() {
    let all = stacks(&everything());
    let files = &all[&("ops".to_owned(), "prometheus".to_owned())];
    let text = files.iter().find(|file| file.path == "prometheus.yaml").unwrap().content.shown();
    for there in ["10.0.0.11:9400", "10.0.0.12:8000", "10.0.0.11:9363", "loki:3100", "grafana:3000", "10.0.0.17:9100"] {
        assert!(text.contains(&format!("\"{there}\"")), "{there} is not asked:\n{text}");
    }
    for closed in ["10.0.0.14", "10.0.0.15"] {
        assert!(!text.contains(closed), "{closed} is asked, and no flow leads there:\n{text}");
    }
}
