//! Rehearsing a plan, as `plan` and `apply` do it with `--rehearse`.
//!
//! Reads what is remembered of the inventory and writes nothing: neither a host nor the state directory is touched.

use super::context::Context;
use super::planning::Intent;
use super::{CommandError, error};
use crate::exec::journal;
use crate::model::observed::Observed;
use crate::plan::Plan;
use crate::rehearsal::{Report, Request, rehearse};

/// Carries a plan out on twins of what it was made from.
pub(super) fn run(
    context: &Context,
    intent: &Intent,
    observed: &Observed,
    plan: &Plan,
    parallelism: u8,
) -> Result<Report, CommandError> {
    let request = Request {
        blueprint: &context.blueprint,
        observed,
        plan,
        memory: &journal::recall(&context.state, &context.blueprint.name)?,
        scope: &intent.scope,
        allowed: &intent.allowed,
        unfinished: &journal::unfinished(&context.state, &context.blueprint.name)?,
        parallelism: parallelism.into(),
        now: context.clock.now(),
    };
    tokio::task::block_in_place(|| rehearse(&request)).map_err(|e| error::rehearsal(&e))
}
