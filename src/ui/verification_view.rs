//! What was tried from inside guests, as a person reads it: what is not as it should be first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::text::{one_line, plural, wrap};
use super::{Role, Terminal};
use crate::model::Addr;
use crate::verify::{Trial, Verdict};

/// What `infra verify` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Version of this format.
    pub format: u32,
    /// Firewalls that are not as the inventory says, and how they differ: a way may be barred twice, and what one of
    /// two bars is gone shows on no connection.
    pub firewalls: BTreeMap<Addr, String>,
    /// Every connection that was to be tried.
    pub trials: Vec<Trial>,
}

impl Verification {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// How many connections came to a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.trials.iter().filter(|trial| trial.verdict == verdict).count()
    }

    /// Whether everything was tried that could be, and is as it should be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.firewalls.is_empty()
            && self.count(Verdict::Pass) > 0
            && self.count(Verdict::Fail) + self.count(Verdict::CouldNotRun) == 0
    }
}

/// Shows it, with what holds if asked to.
#[must_use]
pub fn verification_text(verification: &Verification, full: bool, terminal: &Terminal) -> String {
    let mut out = String::new();
    for (addr, reason) in &verification.firewalls {
        let line = format!("{} {addr}: {}", terminal.paint(Role::Bad, "fail "), one_line(reason));
        out.push_str(&wrap(&line, terminal.width, 8));
    }
    for verdict in [Verdict::Fail, Verdict::CouldNotRun, Verdict::Skipped, Verdict::Pass] {
        if !full && matches!(verdict, Verdict::Pass | Verdict::Skipped) {
            continue;
        }
        for trial in verification.trials.iter().filter(|trial| trial.verdict == verdict) {
            let (word, role) = word(verdict);
            let line = format!("{} {}: {}", terminal.paint(role, word), trial.probe, one_line(&trial.says));
            out.push_str(&wrap(&line, terminal.width, 8));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let count = |verdict| verification.count(verdict);
    let (end, role) = match () {
        () if count(Verdict::Fail) > 0 || !verification.firewalls.is_empty() => {
            ("Not as the inventory says.", Role::Bad)
        }
        () if count(Verdict::CouldNotRun) > 0 => {
            ("No fault was found, but not everything could be tried.", Role::Caution)
        }
        () if count(Verdict::Pass) == 0 => ("Nothing was tried.", Role::Caution),
        () => ("As the inventory says.", Role::Good),
    };
    let mut parts = vec![format!("{} as they should be", plural(count(Verdict::Pass), "connection", "connections"))];
    for (verdict, what) in
        [(Verdict::Fail, "not"), (Verdict::CouldNotRun, "could not be tried"), (Verdict::Skipped, "left out")]
    {
        if count(verdict) > 0 {
            parts.push(format!("{} {what}", count(verdict)));
        }
    }
    out.push_str(&wrap(&format!("{} {}", terminal.paint(role, end), parts.join(", ")), terminal.width, 2));
    out
}

fn word(verdict: Verdict) -> (&'static str, Role) {
    match verdict {
        Verdict::Fail => ("fail ", Role::Bad),
        Verdict::CouldNotRun => ("blind", Role::Caution),
        Verdict::Skipped => ("skip ", Role::Faint),
        Verdict::Pass => ("pass ", Role::Good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Expected, Probe, Seen};

    fn of(verdicts: &[Verdict]) -> Verification {
        let trial = |verdict: &Verdict| Trial {
            probe: Probe {
                from: "proj-x".parse().unwrap(),
                to: "proj-y".into(),
                address: "10.0.0.124".parse().unwrap(),
                port: 22,
                expected: Expected::Dropped,
                because: "in to proj-y: drop".into(),
            },
            seen: Seen::Silent,
            verdict: *verdict,
            says: "nobody answers".into(),
        };
        let firewalls = BTreeMap::new();
        Verification { format: Verification::FORMAT, firewalls, trials: verdicts.iter().map(trial).collect() }
    }

    #[test]
    fn only_what_was_tried_and_holds_is_called_good() {
        let said = |verdicts: &[Verdict]| verification_text(&of(verdicts), false, &Terminal::plain());
        assert!(said(&[Verdict::Pass]).starts_with("As the inventory says. 1 connection as they should be"));
        assert!(said(&[Verdict::Pass, Verdict::CouldNotRun]).contains("could not be tried"));
        assert!(said(&[]).contains("Nothing was tried"));
        assert!(
            !of(&[]).holds() && !of(&[Verdict::Pass, Verdict::CouldNotRun]).holds() && of(&[Verdict::Pass]).holds()
        );
        let fail = said(&[Verdict::Pass, Verdict::Fail]);
        assert!(fail.starts_with("fail  proj-x -> proj-y:22: nobody answers\n"), "{fail}");
        assert!(fail.contains("Not as the inventory says."), "{fail}");
    }
}
