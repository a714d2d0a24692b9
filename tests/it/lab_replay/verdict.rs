//! What is known to differ, row by row, and what comes of it: agreed, listed, failed, per area.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::compare::Difference;
use super::replay::Outcome;
use crate::fidelity;

/// A difference that the limits of the recordings explain.
#[derive(Debug)]
pub struct Listed {
    pub seq: u32,
    pub name: String,
    /// Where it differs: the place and everything below it.
    pub at: String,
}

impl Listed {
    fn covers(&self, difference: &Difference) -> bool {
        let rest = difference.at.strip_prefix(&self.at);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// `listed.tsv`: number, name, place, reason.
pub fn listed() -> Vec<Listed> {
    let lines = include_str!("listed.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [seq, name, at, why] = fields[..] else { panic!("four fields: {line}") };
        assert!(why.len() > 10, "a reason: {line}");
        Listed { seq: seq.parse().unwrap(), name: name.to_owned(), at: at.to_owned() }
    };
    lines.map(parse).collect()
}

/// How many of an area came out how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub agreed: usize,
    pub listed: usize,
    pub failed: usize,
}

impl Count {
    pub fn all(self) -> usize {
        self.agreed + self.listed + self.failed
    }
}

/// What comes of a replay.
#[derive(Debug, Default)]
pub struct Verdict {
    pub areas: BTreeMap<String, Count>,
    /// What makes the test fail.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Sorts the outcomes.
    pub fn of(outcomes: &[Outcome], listed: &[Listed]) -> Self {
        let mut verdict = Self::default();
        for outcome in outcomes {
            verdict.add(outcome, listed);
        }
        let known: BTreeSet<u32> = outcomes.iter().map(|o| o.row.seq).collect();
        for seq in listed.iter().map(|l| l.seq).filter(|seq| !known.contains(seq)) {
            verdict.wrong.push(format!("{seq}: there is no such exchange"));
        }
        verdict
    }

    fn add(&mut self, outcome: &Outcome, listed: &[Listed]) {
        let (seq, name) = (outcome.row.seq, &outcome.row.name);
        let listed: Vec<&Listed> = listed.iter().filter(|l| l.seq == seq).collect();
        let count = self.areas.entry(outcome.row.area().to_owned()).or_default();
        for entry in &listed {
            if entry.name != *name {
                self.wrong.push(format!("{seq} {name}: listed as `{}`", entry.name));
            }
            if !outcome.differences.iter().any(|d| entry.covers(d)) {
                self.wrong.push(format!("{seq} {name}: listed, but `{}` agrees: remove it", entry.at));
            }
        }
        let rest: Vec<&Difference> =
            outcome.differences.iter().filter(|d| !listed.iter().any(|entry| entry.covers(d))).collect();
        if !rest.is_empty() {
            count.failed += 1;
            let text: String = rest.iter().map(|d| format!("\n        {}: {}", d.at, d.what)).collect();
            self.wrong.push(format!("{seq} {name}:{text}"));
        } else if listed.is_empty() {
            count.agreed += 1;
        } else {
            count.listed += 1;
        }
    }

    /// All areas together.
    pub fn sum(&self) -> Count {
        self.areas.values().fold(Count::default(), |sum, count| Count {
            agreed: sum.agreed + count.agreed,
            listed: sum.listed + count.listed,
            failed: sum.failed + count.failed,
        })
    }

    /// The same for `docs/fidelity.md`.
    pub fn markdown(&self) -> String {
        let areas = self.areas.iter().map(|(area, count)| (area.as_str(), *count)).chain([("all", self.sum())]);
        fidelity::table(
            &["area", "agreed", "listed", "failed", "all"],
            areas.map(|(area, count)| {
                let numbers = [count.agreed, count.listed, count.failed, count.all()];
                [area.to_owned()].into_iter().chain(numbers.map(|n| n.to_string())).collect()
            }),
        )
    }

    /// One line per area.
    pub fn table(&self) -> String {
        let mut out = format!("{:<20} {:>6} {:>6} {:>6} {:>6}\n", "area", "agreed", "listed", "failed", "all");
        let sum = self.sum();
        for (area, count) in self.areas.iter().map(|(area, count)| (area.as_str(), *count)).chain([("all", sum)]) {
            let Count { agreed, listed, failed } = count;
            let _ = writeln!(out, "{area:<20} {agreed:>6} {listed:>6} {failed:>6} {:>6}", count.all());
        }
        out
    }
}
