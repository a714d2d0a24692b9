//! The verbs that change something.

use super::CommandError;
use super::context::Context;
use super::planning::{self, Intent};
use crate::plan::Plan;

/// What is carried out, and how it is planned anew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    /// Make the hosts be what the inventory says.
    Apply,
    /// Bring services into guests.
    Deploy,
    /// Remove what is ours.
    Destroy,
    /// Make the hosts themselves be what the inventory says.
    Prepare,
    /// Take an earlier run back.
    Rollback,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Deploy => "deploy",
            Self::Destroy => "destroy",
            Self::Prepare => "prepare",
            Self::Rollback => "rollback",
        }
    }

    /// What is still to be done by this verb.
    pub async fn plan(self, context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
        match self {
            Self::Apply | Self::Deploy | Self::Prepare => planning::plan(context, intent).await,
            Self::Destroy => planning::teardown(context, intent).await,
            Self::Rollback => planning::take_back(context, intent).await,
        }
    }

    /// What is still to be done by this verb after `done` was carried out.
    pub async fn plan_left(self, context: &Context, intent: &Intent, done: &Plan) -> Result<Plan, CommandError> {
        match self {
            Self::Apply | Self::Deploy | Self::Prepare => planning::plan(context, intent).await,
            Self::Destroy => planning::teardown_left(context, intent, done).await,
            Self::Rollback => planning::take_back(context, intent).await,
        }
    }
}
