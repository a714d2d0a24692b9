//! Observing and planning, as several verbs do it.

use std::collections::BTreeSet;

use super::args::{AllowArgs, SelectArgs};
use super::context::Context;
use super::{CommandError, Exit};
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::exec::journal;
use crate::model::Addr;
use crate::model::observed::Observed;
use crate::model::step::StepId;
use crate::plan::{self, Plan, Request, Scope};

/// Which part of an inventory is planned, and what may be lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Intent {
    pub scope: Scope,
    pub allow_destroy: BTreeSet<Addr>,
}

impl Intent {
    /// Holds flags against the inventory.
    pub fn new(select: &SelectArgs, allow: &AllowArgs, blueprint: &Blueprint) -> Result<Self, CommandError> {
        let mut problems = Diagnostics::new();
        for host in select.limit.iter().filter(|host| !blueprint.hosts.contains_key(host)) {
            let known = blueprint.hosts.keys().map(|name| name.as_str());
            problems.push(
                Diagnostic::error("cli.unknown-host", format!("there is no host `{host}` in this inventory"))
                    .hint_maybe(did_you_mean(host.as_str(), known)),
            );
        }
        if problems.has_errors() {
            return Err(problems.into());
        }
        Ok(Self {
            scope: Scope {
                targets: select.target.iter().cloned().collect(),
                hosts: select.limit.iter().cloned().collect(),
            },
            allow_destroy: allow.allow_destroy.iter().chain(&allow.allow_replace).cloned().collect(),
        })
    }
}

/// How a plan is made from an observation.
type Maker = fn(&Request<'_>) -> Result<Plan, Diagnostics>;

/// Reads what is there and plans what makes it be as the inventory says.
pub(super) async fn plan(context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
    make(context, intent, plan::build).await
}

/// Reads what is there and plans its removal.
pub(super) async fn teardown(context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
    make(context, intent, plan::teardown).await
}

async fn make(context: &Context, intent: &Intent, maker: Maker) -> Result<Plan, CommandError> {
    let observed = context.observe().await;
    reachable(context, &observed)?;
    build(context, &observed, intent, maker)
}

/// Plans from what was read already.
pub(super) fn from_observed(context: &Context, observed: &Observed, intent: &Intent) -> Result<Plan, CommandError> {
    build(context, observed, intent, plan::build)
}

fn build(context: &Context, observed: &Observed, intent: &Intent, maker: Maker) -> Result<Plan, CommandError> {
    let memory = journal::recall(&context.state, &context.blueprint.name)?;
    let unfinished = unfinished(context)?;
    let request = Request {
        blueprint: &context.blueprint,
        observed,
        memory: &memory,
        scope: &intent.scope,
        allow_destroy: &intent.allow_destroy,
        unfinished: &unfinished,
    };
    maker(&request).map_err(|diagnostics| CommandError::in_files(diagnostics, context.sources.clone()))
}

/// Steps that were begun and of whose end nothing is known: their run was killed.
fn unfinished(context: &Context) -> Result<BTreeSet<StepId>, CommandError> {
    let mut open = BTreeSet::new();
    for (_, run) in journal::history(&context.state, &context.blueprint.name)? {
        for (id, step) in run.steps {
            if step.outcome.is_none() {
                open.insert(id);
            } else {
                open.remove(&id);
            }
        }
    }
    Ok(open)
}

/// Refuses when no host at all could be asked: an empty plan would look like "nothing to do".
fn reachable(context: &Context, observed: &Observed) -> Result<(), CommandError> {
    let silent: Vec<(&str, &str)> = context
        .blueprint
        .sites()
        .into_keys()
        .filter_map(|site| {
            let fact = &observed.sites.get(site)?.version;
            fact.value().is_none().then(|| (site, fact.why().unwrap_or("it was not asked")))
        })
        .collect();
    if silent.len() < context.blueprint.sites().len() {
        return Ok(());
    }
    let problems: Diagnostics = silent
        .into_iter()
        .map(|(site, why)| Diagnostic::error("host.unreachable", format!("{site} cannot be asked")).cause(why))
        .collect();
    Err(CommandError::from(problems).with_exit(Exit::Failed))
}
