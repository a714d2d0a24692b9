//! All findings of a host.

use super::{CHECKS, Check, Finding, NotRun, Subject, Verdict};
use crate::model::{Addr, HostName};

/// A finding and the check that made it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The check.
    pub check: &'static Check,
    /// What it found.
    pub finding: Finding,
}

/// All findings of a host, in the order of the checks.
#[derive(Debug, Clone)]
pub struct HostReport {
    /// Which host.
    pub host: HostName,
    /// What was found.
    pub findings: Vec<Judged>,
}

impl HostReport {
    /// Findings of a verdict.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Judged> {
        self.findings.iter().filter(move |judged| judged.finding.verdict == verdict)
    }

    /// Failures that stand in the way of a change of one of these resources.
    pub fn in_the_way_of<'a>(&'a self, addrs: &'a [Addr]) -> impl Iterator<Item = &'a Judged> {
        self.of(Verdict::Fail).filter(move |judged| {
            let concerns = &judged.finding.concerns;
            !addrs.is_empty() && (concerns.is_empty() || concerns.iter().any(|addr| addrs.contains(addr)))
        })
    }
}

/// Asks every check about a host.
#[must_use]
pub fn judge(subject: &Subject<'_>) -> HostReport {
    let findings = CHECKS.iter().flat_map(|check| {
        let findings = match (check.judge)(subject) {
            // A check that says nothing has not looked: that is never a pass.
            Ok(findings) if findings.is_empty() => vec![Finding::blind("the check came to no conclusion")],
            Ok(findings) => findings,
            Err(NotRun::Skipped(why)) => vec![Finding::skipped(why)],
            Err(NotRun::Blind(why)) => vec![Finding::blind(why)],
        };
        findings.into_iter().map(|finding| Judged { check, finding })
    });
    HostReport { host: subject.host.name.clone(), findings: findings.collect() }
}
