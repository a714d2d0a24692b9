//! Asking the checks about hosts, as `preflight`, `plan` and `apply` do it.

use super::args::CheckArgs;
use super::context::Context;
use super::planning::{self, Intent};
use super::{CommandError, Exit, hardware};
use crate::checks::{self, CHECKS, Check, Gate, HostReport, Preflight, Subject};
use crate::diag::{Diagnostic, Diagnostics, Severity, did_you_mean};
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
    let plan = planning::from_observed(context, observed, intent);
    let refused: Vec<Diagnostic> =
        plan.as_ref().err().into_iter().flat_map(|error| &error.diagnostics).cloned().collect();
    let plan = plan.map_err(|error| why(&error));
    let hosts = hosts(context, observed, intent, plan.as_ref().map_err(String::as_str), &refused, checks)?;
    let (gaps, unplanned) = match plan {
        Ok(plan) => (plan.gaps, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    Ok(Preflight { inventory: context.blueprint.name.clone(), hosts, unplanned, gaps })
}

/// Asks these checks about every host in scope; `refused` is why there is no plan, if there is none.
pub(super) fn hosts(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    plan: Result<&Plan, &str>,
    refused: &[Diagnostic],
    checks: &[&'static Check],
) -> Result<Vec<HostReport>, CommandError> {
    let runs = journal::history(&context.state, &context.blueprint.name)?;
    let (last_run, recorded) = (runs.last().map(|(_, run)| run), hardware::read(context)?);
    let subjects = subjects(context, observed, intent);
    let judged = subjects.map(|subject| {
        checks::judge_by(checks, &Subject { plan, refused, last_run, hardware: recorded.as_ref(), ..subject })
    });
    Ok(judged.collect())
}

/// Every host in scope, with nothing known but what was observed.
pub(super) fn subjects<'a>(
    context: &'a Context,
    observed: &'a Observed,
    intent: &'a Intent,
) -> impl Iterator<Item = Subject<'a>> {
    let (limit, now) = (&intent.scope.hosts, context.clock.now());
    let hosts = context.blueprint.hosts.values().filter(|host| limit.is_empty() || limit.contains(&host.name));
    hosts.map(move |host| Subject::new(&context.blueprint, observed, host, now))
}

/// Holds a plan against what the checks say of the hosts that it touches: refuses it where one fails that concerns
/// its steps, and notes what else there is to know.
pub(super) fn hold(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    plan: &mut Plan,
    args: &CheckArgs,
) -> Result<(), CommandError> {
    let ignored = named(&args.ignore_check)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let reports = hosts(context, observed, intent, Ok(plan), &[], CHECKS)?;
    let ignored = ignored.iter().map(|check| check.id).collect();
    let Gate { problems, notes } = checks::gate(&reports, plan, &context.blueprint, &ignored);
    if problems.has_errors() {
        return Err(problems.into());
    }
    for note in notes {
        if !plan.notes.contains(&note) {
            plan.notes.push(note);
        }
    }
    Ok(())
}

/// The checks of these ids; every one that there is none of is reported.
pub(super) fn named(ids: &[String]) -> Result<Vec<&'static Check>, CommandError> {
    let problems: Diagnostics = ids.iter().filter(|id| checks::find(id).is_none()).map(|id| unknown(id)).collect();
    if problems.has_errors() {
        return Err(CommandError::from(problems).with_exit(Exit::Usage));
    }
    Ok(ids.iter().filter_map(|id| checks::find(id)).collect())
}

fn unknown(id: &str) -> Diagnostic {
    let hint = did_you_mean(id, CHECKS.iter().map(|check| check.id));
    Diagnostic::error("cli.unknown-check", format!("there is no check `{id}`"))
        .hint(hint.unwrap_or_else(|| "`docs/checks.md` lists them".to_owned()))
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
