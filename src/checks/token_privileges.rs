//! The token may do what the plan asks.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "token-privileges",
    area: Area::Access,
    severity: Severity::Fail,
    title: "the API token holds every privilege that the plan asks for",
    needs: &["GET /access/permissions", "the plan"],
    why: "PVE checks privileges request by request, so that a token that lacks one fails in the middle: a VM is made and cannot \
          be started. A token with privilege separation has only what was granted to it *and* to its user. Lists are cut \
          to what the token may see, without a word. Every request of the plan is held against what PVE asks for \
          it; where inheritance leaves a doubt the host has the word.",
    fix: "Grant what is missing on the path that is named, to the user and, with privilege separation, to the token: `pveum acl \
          modify PATH --users USER --roles ROLE` and the same with `--tokens`.",
    mend: None,
    sources: &["pve-access-control PVE/RPCEnvironment.pm", "API description: `permissions` of each endpoint"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let permissions = all(&subject.site().permissions)?;
    let token = &subject.host.access.api.token_id;
    let paths = format!("{} paths", permissions.0.len());
    if let Ok(plan) = subject.plan {
        let steps = plan.steps.iter().filter(|step| step.host == subject.host.name).count();
        let summary = match steps {
            0 => format!("token `{token}` is asked for nothing: nothing is to be done here"),
            steps => format!("token `{token}` holds what {steps} steps ask for"),
        };
        return Ok(vec![Finding::pass(summary).seen("GET /access/permissions", paths)]);
    }
    let of_site = format!("`{token}` of `{}` ", subject.host.site);
    let missing = subject.refused.iter().filter(|problem| problem.code == "plan.missing-privilege");
    let findings: Vec<Finding> = missing
        .filter(|problem| problem.summary.contains(&of_site))
        .map(|problem| {
            let needed = problem.causes.join("; ");
            let finding = Finding::fail(problem.summary.clone()).seen("GET /access/permissions", needed);
            problem.hints.iter().fold(finding, |finding, hint| finding.fix(Fix::by_hand(hint)))
        })
        .collect();
    // Without a plan, nothing missing was found only if it was looked for.
    if findings.is_empty() { subject.plan().map(|_| Vec::new()) } else { Ok(findings) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict;
    use super::super::guest_scene::{Scene, empty_plan};
    use super::*;
    use crate::diag::Diagnostic;
    use crate::model::Permissions;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let mut scene = Scene::new();
        scene.plan = Some(empty_plan());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        scene.site().permissions = Fact::complete(Permissions(BTreeMap::new()));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.plan = None;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        let lacks = |site: &str| {
            let text = format!("token `infra@pve!laptop` of `{site}` lacks VM.Allocate on /vms/100");
            Diagnostic::error("plan.missing-privilege", text).hint("grant it")
        };
        scene.refused = vec![lacks("elsewhere")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        scene.refused = vec![lacks("elsewhere"), lacks("hq")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
    }
}
