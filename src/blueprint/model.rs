//! Models of an environment.

use crate::diag::Span;
use crate::inventory::{ModelKind, ModelSource};
use crate::model::{GuestName, ModelName, ServiceName, Size};

/// A model that runners serve and gateways lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that it is asked for by.
    pub name: ModelName,
    /// Where it comes from.
    pub source: ModelSource,
    /// What it does.
    pub kind: ModelKind,
    /// How its weights are stored.
    pub quantisation: Option<String>,
    /// How many tokens fit into one request.
    pub context: Option<u64>,
    /// How many requests it answers at once.
    pub parallel: u64,
    /// How large its weights are.
    pub size: Option<Size>,
    /// Memory that each token of a request takes.
    pub cache_per_token: Option<Size>,
    /// Where it runs.
    pub runs_on: Vec<(GuestName, ServiceName)>,
    /// Other names that it is asked for by.
    pub aliases: Vec<ModelName>,
    /// Models that are asked instead.
    pub fallbacks: Vec<ModelName>,
    /// Where it was declared.
    pub span: Span,
}

impl Model {
    /// Memory that it takes when all of its requests are full, as far as it is known: weights and cache.
    #[must_use]
    pub fn footprint(&self) -> Option<Size> {
        model_footprint(self.size, self.context, self.parallel, self.cache_per_token)
    }
}

pub(super) fn model_footprint(
    size: Option<Size>,
    context: Option<u64>,
    parallel: u64,
    per_token: Option<Size>,
) -> Option<Size> {
    let cache = per_token.map_or(0, Size::as_bytes).saturating_mul(context.unwrap_or(0)).saturating_mul(parallel);
    Some(Size::bytes(size?.as_bytes().saturating_add(cache)))
}
