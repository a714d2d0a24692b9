//! What of a plan may not begin: findings held against its steps.
//!
//! `plan` and `apply` refuse what a check says cannot work, in the words of the check. What a person knows better
//! is ignored check by check, by name, and the plan says so. What belongs to somebody else is no check's business:
//! the planner refuses to touch it, and nothing here can be ignored to change that.

use std::collections::BTreeSet;

use super::{Area, Finding, HostReport, Judged, Verdict};
use crate::blueprint::{Blueprint, GuestShape};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::{Addr, HostName, Kind};
use crate::plan::Plan;

/// What findings mean for a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// Why it may not begin.
    pub problems: Diagnostics,
    /// What else there is to know, one sentence each.
    pub notes: Vec<String>,
}

/// Holds findings against the steps of a plan. Checks in `ignored` stand in the way of nothing.
#[must_use]
pub fn gate(reports: &[HostReport], plan: &Plan, blueprint: &Blueprint, ignored: &BTreeSet<&str>) -> Gate {
    let mut gate = Gate::default();
    for report in reports {
        let steps = plan.steps.iter().filter(|step| step.host == report.host);
        let touched: Vec<Addr> = steps.map(|step| step.addr.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        if touched.is_empty() {
            continue;
        }
        for judged in report.in_the_way_of(&touched) {
            if ignored.contains(judged.check.id) {
                gate.notes.push(format!(
                    "check `{}` fails on {} and is ignored as asked: {}",
                    judged.check.id,
                    report.host,
                    said(&judged.finding)
                ));
            } else {
                gate.problems.push(problem(&report.host, judged));
            }
        }
        gate.notes.extend(warnings(report, &touched));
        gate.notes.extend(unseen(report, &touched, blueprint));
    }
    gate
}

/// A failure as a problem of the plan.
fn problem(host: &HostName, judged: &Judged) -> Diagnostic {
    let Judged { check, finding } = judged;
    let mut problem = Diagnostic::error(judged.code(), format!("{host}: {}", said(finding)));
    for evidence in &finding.evidence {
        problem = problem.cause(format!("{}: {}", evidence.source, evidence.text));
    }
    for fix in &finding.fixes {
        problem = problem.hint(fix.to_string());
    }
    problem.hint(format!(
        "`infra preflight --explain {id}` says more; `--ignore-check {id}` goes on all the same",
        id = check.id
    ))
}

/// Warnings about what the plan changes, in full; of the others, that there are some.
fn warnings(report: &HostReport, touched: &[Addr]) -> Vec<String> {
    let (near, far): (Vec<&Judged>, Vec<&Judged>) =
        report.of(Verdict::Warn).partition(|judged| judged.finding.concerns.iter().any(|addr| touched.contains(addr)));
    let mut notes: Vec<String> =
        near.iter().map(|judged| format!("{} [{}]: {}", report.host, judged.check.id, said(&judged.finding))).collect();
    if !far.is_empty() {
        let ids: BTreeSet<&str> = far.iter().map(|judged| judged.check.id).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        notes.push(format!("`infra preflight` warns of {} in general: {}", report.host, ids.join(", ")));
    }
    notes
}

/// A VM that is to have a GPU, on a host of which nobody knows whether it can pass one through.
fn unseen(report: &HostReport, touched: &[Addr], blueprint: &Blueprint) -> Option<String> {
    let passed = |guest: &&crate::blueprint::Guest| match &guest.shape {
        GuestShape::Vm(vm) => !vm.gpus.is_empty() && touched.contains(&Addr::new(Kind::Vm, guest.name.as_str())),
        GuestShape::Container(_) => false,
    };
    let guest = blueprint.guests.values().filter(|guest| guest.host == report.host).find(passed)?;
    let blind: Vec<&Judged> =
        report.of(Verdict::CouldNotRun).filter(|judged| judged.check.area == Area::Passthrough).collect();
    let first = blind.first()?;
    let ids: BTreeSet<&str> = blind.iter().map(|judged| judged.check.id).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    Some(format!(
        "nobody could see whether {} can pass its GPU to {} ({}): {}",
        report.host,
        guest.name,
        ids.join(", "),
        said(&first.finding)
    ))
}

/// What is so, with the object that it is about.
fn said(finding: &Finding) -> String {
    match &finding.object {
        Some(object) => format!("{object}: {}", finding.summary),
        None => finding.summary.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Fix, find};
    use crate::diag::{FileId, Span};
    use crate::model::observed::Fact;
    use crate::ui::sample;

    fn report(findings: Vec<Finding>) -> HostReport {
        let check = find("iommu-off").unwrap();
        HostReport {
            host: "hq".parse().unwrap(),
            place: Span { file: FileId(0), start: 0, end: 0 },
            shut: Vec::new(),
            findings: findings.into_iter().map(|finding| Judged { check, finding }).collect(),
            gpus: Fact::default(),
        }
    }

    /// The sample's plan changes `ct.proj-x` and `vm.plan-hq`.
    fn held(finding: Finding, ignored: &[&str]) -> Gate {
        gate(&[report(vec![finding])], &sample::plan(), &sample::blueprint(), &ignored.iter().copied().collect())
    }

    fn addr(text: &str) -> [Addr; 1] {
        [text.parse().unwrap()]
    }

    #[test]
    fn a_failure_that_concerns_a_step_is_refused_with_evidence_and_fix() {
        let finding = Finding::fail("no IOMMU is active").seen("ls -A /sys/class/iommu", "(empty)");
        let finding = finding.fix(Fix::run("reboot")).concerns(addr("vm.plan-hq"));
        let gate = held(finding, &[]);
        let problem = gate.problems.iter().next().unwrap();
        assert_eq!((problem.code, problem.summary.as_str()), ("preflight.iommu-off", "hq: no IOMMU is active"));
        assert_eq!(problem.causes, ["ls -A /sys/class/iommu: (empty)"]);
        assert_eq!(problem.hints[0], "run `reboot`");
        assert!(problem.hints[1].contains("--explain iommu-off"), "{:?}", problem.hints);
    }

    #[test]
    fn a_failure_about_everything_is_refused_and_one_about_something_else_is_not() {
        assert!(held(Finding::fail("no quorum"), &[]).problems.has_errors());
        let elsewhere = held(Finding::fail("no IOMMU is active").concerns(addr("vm.other")), &[]);
        assert_eq!(elsewhere, Gate::default());
    }

    #[test]
    fn what_is_ignored_by_name_is_a_note() {
        let gate = held(Finding::fail("no IOMMU is active"), &["iommu-off"]);
        assert!(!gate.problems.has_errors());
        assert_eq!(gate.notes, ["check `iommu-off` fails on hq and is ignored as asked: no IOMMU is active"]);
    }

    #[test]
    fn a_warning_about_a_step_is_told_in_full_and_others_are_named() {
        let near = held(Finding::warn("the link is at half its width").concerns(addr("vm.plan-hq")), &[]);
        assert_eq!(near.notes, ["hq [iommu-off]: the link is at half its width"]);
        let far = held(Finding::warn("the pool is fragmented"), &[]);
        assert_eq!(far.notes, ["`infra preflight` warns of hq in general: iommu-off"]);
        assert!(!near.problems.has_errors() && !far.problems.has_errors());
    }

    #[test]
    fn nothing_stands_in_the_way_of_a_plan_without_steps() {
        let plan = Plan { steps: Vec::new(), ..sample::plan() };
        let report = report(vec![Finding::fail("no quorum")]);
        assert_eq!(gate(&[report], &plan, &sample::blueprint(), &BTreeSet::new()), Gate::default());
    }

    #[test]
    fn what_could_not_be_judged_refuses_nothing() {
        assert!(!held(Finding::blind("nobody can tell"), &[]).problems.has_errors());
    }
}
