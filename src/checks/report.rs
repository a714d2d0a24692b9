//! All findings of a host.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{CHECKS, Check, Finding, GpuAdvice, NotRun, Subject, Verdict, advise};
use crate::diag::Span;
use crate::model::observed::Fact;
use crate::model::{Addr, EnvironmentName, HostName};
use crate::plan::Gap;

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
    /// Where the inventory speaks of it.
    pub place: Span,
    /// Doors of it that did not open, one sentence each: then much could not be judged.
    pub shut: Vec<String>,
    /// What was found.
    pub findings: Vec<Judged>,
    /// What could be passed through.
    pub gpus: Fact<Vec<GpuAdvice>>,
}

/// What `infra preflight` found.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// Of which inventory.
    pub inventory: EnvironmentName,
    /// Every host that was asked, by name.
    pub hosts: Vec<HostReport>,
    /// Why there was no plan to judge, if so.
    pub unplanned: Option<String>,
    /// What could not be planned, and so was not judged.
    pub gaps: Vec<Gap>,
}

impl Preflight {
    /// How many findings have which verdict, on all hosts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let findings = self.hosts.iter().flat_map(|host| &host.findings);
        findings.for_each(|judged| counts.add(judged.finding.verdict));
        counts
    }

    /// Whether a host is unfit, or one that was to be asked did not answer.
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        self.counts().fail > 0 || self.hosts.iter().any(|host| !host.shut.is_empty())
    }
}

impl Judged {
    /// What a problem of this check is called where there are other problems: `preflight.iommu-off`.
    ///
    /// # Panics
    /// Never: a check that judged is in the list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        static CODES: LazyLock<BTreeMap<&'static str, String>> =
            LazyLock::new(|| CHECKS.iter().map(|check| (check.id, format!("preflight.{}", check.id))).collect());
        CODES.get(self.check.id).expect("a check that judged is in the list")
    }
}

/// How many findings have which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// As it should be.
    pub pass: usize,
    /// It works, but not as well or not for long.
    pub warn: usize,
    /// It cannot work, or would do harm.
    pub fail: usize,
    /// It does not apply.
    pub skipped: usize,
    /// Nobody can tell.
    pub could_not_run: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Warn => &mut self.warn,
            Verdict::Fail => &mut self.fail,
            Verdict::Skipped => &mut self.skipped,
            Verdict::CouldNotRun => &mut self.could_not_run,
        } += 1;
    }

    /// How many there are of one.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Pass => self.pass,
            Verdict::Warn => self.warn,
            Verdict::Fail => self.fail,
            Verdict::Skipped => self.skipped,
            Verdict::CouldNotRun => self.could_not_run,
        }
    }
}

impl HostReport {
    /// Findings of a verdict.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Judged> {
        self.findings.iter().filter(move |judged| judged.finding.verdict == verdict)
    }

    /// How many findings have which verdict.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.findings.iter().for_each(|judged| counts.add(judged.finding.verdict));
        counts
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
    judge_by(CHECKS, subject)
}

/// Asks some checks about a host.
#[must_use]
pub fn judge_by(checks: &[&'static Check], subject: &Subject<'_>) -> HostReport {
    let findings = checks.iter().flat_map(|check| {
        let findings = match (check.judge)(subject) {
            // A check that says nothing has not looked: that is never a pass.
            Ok(findings) if findings.is_empty() => vec![Finding::blind("the check came to no conclusion")],
            Ok(findings) => findings,
            Err(NotRun::Skipped(why)) => vec![Finding::skipped(why)],
            Err(NotRun::Blind(why)) => vec![Finding::blind(why)],
        };
        findings.into_iter().map(|finding| Judged { check, finding })
    });
    HostReport {
        host: subject.host.name.clone(),
        place: subject.host.span,
        shut: shut(subject),
        findings: findings.collect(),
        gpus: match advise(subject) {
            Ok(gpus) => Fact::complete(gpus),
            Err(NotRun::Blind(why) | NotRun::Skipped(why)) => Fact::unavailable(why),
        },
    }
}

/// Doors that are declared and did not open.
fn shut(subject: &Subject<'_>) -> Vec<String> {
    let here = subject.here();
    let api = here.release.why().map(|why| format!("its API does not answer: {why}"));
    // One batch reads all of it: that not even these two are there means that the batch is not.
    let (kernel, storages) = (&here.machine.kernel, &here.storage_entries);
    let silent = subject.host.access.ssh.is_some() && kernel.value().is_none() && storages.value().is_none();
    let shell = silent.then(|| format!("nothing can be read over SSH: {}", kernel.why().unwrap_or_default()));
    api.into_iter().chain(shell).collect()
}
