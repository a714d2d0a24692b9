//! Asking the checks about hosts, as `preflight`, `plan` and `apply` do it.

use super::CommandError;
use super::context::Context;
use super::planning::{self, Intent};
use crate::checks::{self, Check, HostReport, Preflight, Subject};
use crate::diag::Severity;
use crate::exec::journal;
use crate::model::observed::Observed;
use crate::plan::Plan;

/// Asks these checks about every host in scope, with the plan that the observation leads to.
pub(super) fn preflight(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    checks: &[&'static Check],
) -> Result<Preflight, CommandError> {
    let plan = planning::from_observed(context, observed, intent).map_err(|error| why(&error));
    let hosts = hosts(context, observed, intent, plan.as_ref().map_err(String::as_str), checks)?;
    Ok(Preflight { inventory: context.blueprint.name.clone(), hosts, unplanned: plan.err() })
}

/// Asks these checks about every host in scope.
pub(super) fn hosts(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    plan: Result<&Plan, &str>,
    checks: &[&'static Check],
) -> Result<Vec<HostReport>, CommandError> {
    let runs = journal::history(&context.state, &context.blueprint.name)?;
    let (now, last_run) = (context.clock.now(), runs.last().map(|(_, run)| run));
    let limit = &intent.scope.hosts;
    let hosts = context.blueprint.hosts.values().filter(|host| limit.is_empty() || limit.contains(&host.name));
    let subject = |host| Subject { plan, last_run, ..Subject::new(&context.blueprint, observed, host, now) };
    Ok(hosts.map(|host| checks::judge_by(checks, &subject(host))).collect())
}

/// Why there is no plan, in one line.
fn why(error: &CommandError) -> String {
    let mut errors = error.diagnostics.iter().filter(|problem| problem.severity == Severity::Error);
    let first = errors.next().map(|problem| problem.summary.clone()).unwrap_or_default();
    match errors.count() {
        0 => first,
        more => format!("{first}, and {more} more; `infra plan` shows them"),
    }
}
