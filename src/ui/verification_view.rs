//! What was tried from inside guests, as a person reads it: what is not as it should be first.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{one_line, plural, wrap};
use super::{Role, Terminal};
use crate::model::Addr;
use crate::verify::{Proof, Trial, Verdict};

/// What `infra verify` answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "infra verify")]
pub struct Verification {
    /// Version of this format.
    pub format: u32,
    /// Firewalls that are not as the inventory says, and how they differ: a way may be barred twice, and what one of
    /// two bars is gone shows on no connection.
    #[schemars(with = "BTreeMap<String, String>")]
    pub firewalls: BTreeMap<Addr, String>,
    /// Firewalls of which it is not known whether they are as the inventory says, and why not.
    #[schemars(with = "BTreeMap<String, String>")]
    pub unknown: BTreeMap<Addr, String>,
    /// Every connection that was to be tried.
    pub trials: Vec<Trial>,
    /// Everything else: names, web sites, what cannot be proved.
    pub proofs: Vec<Proof>,
}

impl Verification {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// How much came to a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let trials = self.trials.iter().map(|trial| trial.verdict);
        trials.chain(self.proofs.iter().map(|proof| proof.verdict)).filter(|found| *found == verdict).count()
    }

    /// Whether everything was tried that could be, and is as it should be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.firewalls.is_empty()
            && self.unknown.is_empty()
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
    for (addr, why) in &verification.unknown {
        let line = format!("{} {addr}: {}", terminal.paint(Role::Caution, "blind"), one_line(why));
        out.push_str(&wrap(&line, terminal.width, 8));
    }
    let order =
        [Verdict::Fail, Verdict::CouldNotRun, Verdict::Warning, Verdict::Unproven, Verdict::Skipped, Verdict::Pass];
    for verdict in order {
        if !full && matches!(verdict, Verdict::Pass | Verdict::Skipped) {
            continue;
        }
        for trial in verification.trials.iter().filter(|trial| trial.verdict == verdict) {
            let (word, role) = word(verdict);
            let line = format!("{} {}: {}", terminal.paint(role, word), trial.probe, one_line(&trial.says));
            out.push_str(&wrap(&line, terminal.width, 8));
        }
        for proof in verification.proofs.iter().filter(|proof| proof.verdict == verdict) {
            let (word, role) = word(verdict);
            let Proof { from, what, says, .. } = proof;
            let line = format!("{} {from}: {what}: {}", terminal.paint(role, word), one_line(says));
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
        () if count(Verdict::CouldNotRun) > 0 || !verification.unknown.is_empty() => {
            ("No fault was found, but not everything could be tried.", Role::Caution)
        }
        () if count(Verdict::Pass) == 0 => ("Nothing was tried.", Role::Caution),
        () => ("As the inventory says.", Role::Good),
    };
    let mut parts = vec![format!("{} as they should be", plural(count(Verdict::Pass), "trial", "trials"))];
    for (verdict, what) in [
        (Verdict::Fail, "not"),
        (Verdict::CouldNotRun, "could not be tried"),
        (Verdict::Warning, "worse than before"),
        (Verdict::Unproven, "cannot be proved"),
        (Verdict::Skipped, "left out"),
    ] {
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
        Verdict::Warning => ("warn ", Role::Caution),
        Verdict::Unproven => ("moot ", Role::Faint),
        Verdict::Skipped => ("skip ", Role::Faint),
        Verdict::Pass => ("pass ", Role::Good),
    }
}

/// The schema of what `infra verify` answers.
#[must_use]
pub fn verification_schema() -> schemars::Schema {
    schemars::schema_for!(Verification)
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
        let (firewalls, unknown) = (BTreeMap::new(), BTreeMap::new());
        let trials = verdicts.iter().map(trial).collect();
        Verification { format: Verification::FORMAT, firewalls, unknown, trials, proofs: Vec::new() }
    }

    #[test]
    fn only_what_was_tried_and_holds_is_called_good() {
        let said = |verdicts: &[Verdict]| verification_text(&of(verdicts), false, &Terminal::plain());
        assert!(said(&[Verdict::Pass]).starts_with("As the inventory says. 1 trial as they should be"));
        assert!(said(&[Verdict::Pass, Verdict::CouldNotRun]).contains("could not be tried"));
        assert!(said(&[]).contains("Nothing was tried"));
        assert!(
            !of(&[]).holds() && !of(&[Verdict::Pass, Verdict::CouldNotRun]).holds() && of(&[Verdict::Pass]).holds()
        );
        let fail = said(&[Verdict::Pass, Verdict::Fail]);
        assert!(fail.starts_with("fail  proj-x -> proj-y:22: nobody answers\n"), "{fail}");
        assert!(fail.contains("Not as the inventory says."), "{fail}");
    }

    #[test]
    fn a_firewall_that_is_not_known_is_not_fine() {
        let mut verification = of(&[Verdict::Pass]);
        verification.unknown.insert("guest_firewall.proj-x".parse().unwrap(), "its file could not be read".into());
        assert!(!verification.holds());
        let said = verification_text(&verification, false, &Terminal::plain());
        assert!(said.starts_with("blind guest_firewall.proj-x: its file could not be read\n"), "{said}");
        assert!(said.contains("not everything could be tried"), "{said}");
    }

    #[test]
    fn what_cannot_be_proved_is_said_and_is_no_fault() {
        let mut verification = of(&[Verdict::Pass]);
        let says = "a datagram that nobody answers tells nothing".to_owned();
        let (from, what) = ("guests".to_owned(), "UDP".to_owned());
        verification.proofs.push(Proof {
            of: crate::verify::ProofKind::Udp,
            from,
            what,
            verdict: Verdict::Unproven,
            says,
            measured: None,
        });
        assert!(verification.holds());
        let said = verification_text(&verification, false, &Terminal::plain());
        assert!(said.contains("moot  guests: UDP: a datagram") && said.contains("1 cannot be proved"), "{said}");
    }
}
