//! What was tried from inside guests, as JUnit: a guest is a suite, a connection is a case.

use std::collections::BTreeSet;

use super::junit;
use crate::ui::Verification;
use crate::verify::Verdict;

/// JUnit; what could not be tried is an error and no failure.
#[must_use]
pub fn verification_junit(verification: &Verification) -> String {
    let trials = &verification.trials;
    let guests: BTreeSet<&str> = trials.iter().map(|trial| trial.probe.from.as_str()).collect();
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
    for guest in guests {
        let own = || trials.iter().filter(|trial| trial.probe.from.as_str() == guest);
        let count = |verdict| own().filter(|trial| trial.verdict == verdict).count();
        out.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
            junit::escape(guest),
            own().count(),
            count(Verdict::Fail),
            count(Verdict::CouldNotRun),
            count(Verdict::Skipped)
        ));
        for trial in own() {
            let (name, says) = (junit::escape(&trial.probe.to_string()), junit::escape(&trial.says));
            let body = match trial.verdict {
                Verdict::Pass => format!("<system-out>{says}</system-out>"),
                Verdict::Skipped => format!("<skipped message=\"{says}\"/>"),
                Verdict::CouldNotRun => format!("<error type=\"could-not-run\" message=\"{says}\"/>"),
                Verdict::Fail => format!("<failure type=\"reachability\" message=\"{says}\"/>"),
            };
            out.push_str(&format!("    <testcase classname=\"reachability\" name=\"{name}\">{body}</testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
