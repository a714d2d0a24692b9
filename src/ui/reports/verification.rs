//! What was tried from inside guests, as JUnit: a guest is a suite, a connection is a case.

use std::collections::BTreeSet;

use super::junit;
use crate::ui::Verification;
use crate::verify::Verdict;

/// JUnit; what could not be tried is an error and no failure.
#[must_use]
pub fn verification_junit(verification: &Verification) -> String {
    let trials = &verification.trials;
    let proofs = &verification.proofs;
    let guests: BTreeSet<&str> = trials
        .iter()
        .map(|trial| trial.probe.from.as_str())
        .chain(proofs.iter().map(|proof| proof.from.as_str()))
        .collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"infra verify\">\n");
    if !verification.firewalls.is_empty() {
        let count = verification.firewalls.len();
        out.push_str(&format!("  <testsuite name=\"firewalls\" tests=\"{count}\" failures=\"{count}\">\n"));
        for (addr, reason) in &verification.firewalls {
            let (name, says) = (junit::escape(&addr.to_string()), junit::escape(reason));
            let body = format!("<failure type=\"firewall\" message=\"{says}\"/>");
            out.push_str(&format!("    <testcase classname=\"firewall\" name=\"{name}\">{body}</testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    if !verification.unknown.is_empty() {
        let count = verification.unknown.len();
        out.push_str(&format!("  <testsuite name=\"unknown firewalls\" tests=\"{count}\" errors=\"{count}\">\n"));
        for (addr, why) in &verification.unknown {
            let (name, says) = (junit::escape(&addr.to_string()), junit::escape(why));
            let body = format!("<error type=\"could-not-run\" message=\"{says}\"/>");
            out.push_str(&format!("    <testcase classname=\"firewall\" name=\"{name}\">{body}</testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    for guest in guests {
        let connections = trials.iter().filter(|trial| trial.probe.from.as_str() == guest);
        let connections =
            connections.map(|trial| ("reachability", trial.probe.to_string(), trial.verdict, trial.says.as_str()));
        let others = proofs.iter().filter(|proof| proof.from == guest);
        let others = others.map(|proof| (proof.of.as_str(), proof.what.clone(), proof.verdict, proof.says.as_str()));
        let cases: Vec<(&str, String, Verdict, &str)> = connections.chain(others).collect();
        let count = |of: &[Verdict]| cases.iter().filter(|(_, _, verdict, _)| of.contains(verdict)).count();
        out.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
            junit::escape(guest),
            cases.len(),
            count(&[Verdict::Fail]),
            count(&[Verdict::CouldNotRun]),
            count(&[Verdict::Skipped, Verdict::Unproven])
        ));
        for (class, name, verdict, says) in &cases {
            let (name, says) = (junit::escape(name), junit::escape(says));
            let body = match verdict {
                Verdict::Pass => format!("<system-out>{says}</system-out>"),
                // JUnit has no warnings.
                Verdict::Warning => format!("<system-out>warning: {says}</system-out>"),
                Verdict::Skipped => format!("<skipped message=\"{says}\"/>"),
                Verdict::Unproven => format!("<skipped message=\"cannot be proved: {says}\"/>"),
                Verdict::CouldNotRun => format!("<error type=\"could-not-run\" message=\"{says}\"/>"),
                Verdict::Fail => format!("<failure type=\"{class}\" message=\"{says}\"/>"),
            };
            out.push_str(&format!("    <testcase classname=\"{class}\" name=\"{name}\">{body}</testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
