//! The broken-host matrix: every defect of `infra::lab::broken`, alone and in pairs, with the exact verdicts.
//!
//! What is compared is what *differs* from the sound host: whatever is not expected is a false red or a false
//! green. To add a defect: its function and its line in `src/lab/broken/<area>.rs`, and a line in the file of
//! that area here. A pair is expected to find what both find; where one hides the other, say so in [`PAIRS`].

mod boot_chain;
mod guests;
mod host;
mod iommu;
mod pairs;
mod passthrough;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use infra::checks::{HostReport, Verdict};
use infra::lab::broken;

use host::report;

/// What is found beside what is found on the sound host: check, object, verdict.
pub type Difference = (&'static str, Option<&'static str>, Verdict);

/// A defect and what is found of it.
pub type Expected = (&'static str, &'static [Difference]);

/// Every area.
const EXPECTED: &[&[Expected]] =
    &[iommu::EXPECTED, boot_chain::EXPECTED, passthrough::EXPECTED, guests::EXPECTED, surroundings::EXPECTED];

type Verdicts = BTreeMap<(String, Option<String>), Verdict>;

/// The worst verdict about each object.
fn verdicts(report: &HostReport) -> Verdicts {
    let mut all = Verdicts::new();
    for judged in &report.findings {
        let key = (judged.check.id.to_owned(), judged.finding.object.clone());
        let verdict = all.entry(key).or_insert(judged.finding.verdict);
        *verdict = (*verdict).max(judged.finding.verdict);
    }
    all
}

fn difference(sound: &Verdicts, broken: &Verdicts) -> Verdicts {
    let changed = broken.iter().filter(|(key, verdict)| sound.get(*key) != Some(*verdict));
    changed.map(|(key, verdict)| (key.clone(), *verdict)).collect()
}

/// What is wrong with a scenario's findings, if anything is.
fn judge(sound: &Verdicts, names: &[&str], expected: &Verdicts) -> Vec<String> {
    let report = report(names);
    let found = difference(sound, &verdicts(&report));
    let scenario = names.join("+");
    let mut problems = Vec::new();
    for ((check, object), verdict) in &found {
        let wanted = expected.get(&(check.clone(), object.clone()));
        if wanted != Some(verdict) {
            let summaries: Vec<&str> = report
                .findings
                .iter()
                .filter(|judged| judged.check.id == check && judged.finding.object == *object)
                .map(|judged| judged.finding.summary.as_str())
                .collect();
            problems.push(format!("{scenario}: {check} {object:?}: {verdict:?}, expected {wanted:?}: {summaries:?}"));
        }
    }
    for ((check, object), verdict) in expected.iter().filter(|(key, _)| !found.contains_key(*key)) {
        problems.push(format!("{scenario}: {check} {object:?}: expected {verdict:?}, but it is as on the sound host"));
    }
    for judged in report.findings.iter().filter(|j| matches!(j.finding.verdict, Verdict::Warn | Verdict::Fail)) {
        let (check, finding) = (judged.check.id, &judged.finding);
        if finding.evidence.is_empty()
            || finding.evidence.iter().any(|seen| seen.source.is_empty() || seen.text.is_empty())
        {
            problems.push(format!("{scenario}: {check} {:?} shows no evidence", finding.object));
        }
        if finding.fixes.is_empty() {
            problems.push(format!("{scenario}: {check} {:?} names no fix", finding.object));
        }
    }
    problems
}

fn owned(differences: &[Difference]) -> Verdicts {
    differences
        .iter()
        .map(|(check, object, verdict)| (((*check).to_owned(), object.map(str::to_owned)), *verdict))
        .collect()
}

fn expected(name: &str) -> Option<Verdicts> {
    let found = EXPECTED.iter().copied().flatten().find(|(known, _)| *known == name);
    found.map(|(_, differences)| owned(differences))
}

#[test]
fn defects_and_expectations_are_the_same_list() {
    let defects: BTreeSet<&str> = broken::all().map(|defect| defect.name).collect();
    let listed: Vec<&str> = EXPECTED.iter().copied().flatten().map(|(name, _)| *name).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), defects);
    assert_eq!(listed.len(), defects.len(), "an expectation stands there twice");
}

/// The ordinary lab host is in order, and so is every variant of it.
#[test]
fn nothing_is_wrong_with_a_sound_host() {
    let report = report(&[]);
    let wrong =
        report.findings.iter().filter(|judged| !matches!(judged.finding.verdict, Verdict::Pass | Verdict::Skipped));
    let wrong: Vec<String> = wrong.map(|judged| format!("{}: {:#?}", judged.check.id, judged.finding)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever a check may ask about is there to be read: nothing is judged blindly on the lab.
#[test]
fn every_fact_is_read_on_a_sound_host_of_every_kind() {
    for variant in [&[][..], &["intel"], &["grub-efi"], &["grub-bios"]] {
        let machine = serde_json::to_value(host::machine(variant)).unwrap();
        let facts = machine.as_object().unwrap();
        let unread: Vec<String> = facts
            .iter()
            .filter(|(_, fact)| fact["fact"] != "complete")
            .map(|(name, fact)| format!("{name}: {}", fact["why"]))
            .collect();
        assert!(unread.is_empty() && facts.len() > 20, "{variant:?}\n{}", unread.join("\n"));
    }
}

#[test]
fn there_are_sixty_scenarios_at_least() {
    let wrong = broken::all().filter(|defect| defect.row != "sound").count();
    assert!(wrong + pairs::PAIRS.len() >= 60, "{wrong} alone, {} in pairs", pairs::PAIRS.len());
}

#[test]
fn every_defect_is_found_and_nothing_else() {
    let sound = verdicts(&report(&[]));
    let problems: Vec<String> = broken::all()
        .filter_map(|defect| Some((defect, expected(defect.name)?)))
        .flat_map(|(defect, expected)| judge(&sound, &[defect.name], &expected))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn pairs_of_defects_are_found_and_nothing_else() {
    let sound = verdicts(&report(&[]));
    let mut problems = Vec::new();
    for (first, second, listed) in pairs::PAIRS {
        let wanted = match listed {
            Some(differences) => owned(differences),
            None => {
                let mut both = expected(first).unwrap_or_else(|| panic!("{first}"));
                for (key, verdict) in expected(second).unwrap_or_else(|| panic!("{second}")) {
                    let worst = both.entry(key).or_insert(verdict);
                    *worst = (*worst).max(verdict);
                }
                both
            }
        };
        problems.extend(judge(&sound, &[first, second], &wanted));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
