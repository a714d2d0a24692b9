//! Models.

use std::collections::BTreeMap;

use crate::blueprint::Model;
use crate::blueprint::draft::Draft;
use crate::inventory::ModelKind;
use crate::model::ModelName;

/// Each of them.
pub(super) fn models(draft: &Draft<'_>) -> Option<BTreeMap<ModelName, Model>> {
    let each = draft.models().map(|(name, own)| {
        let model = Model {
            name: name.value.clone(),
            source: own.source.as_ref()?.value.clone(),
            kind: own.kind.map_or(ModelKind::Chat, |kind| kind.value),
            quantisation: own.quantisation.as_ref().map(|text| text.value.clone()),
            context: own.context.map(|tokens| tokens.value),
            parallel: own.parallel.map_or(1, |requests| requests.value),
            size: own.size.map(|size| size.value),
            cache_per_token: own.cache_per_token.map(|size| size.value),
            runs_on: own.runs_on.iter().flatten().map(|at| (at.guest.clone(), at.service.clone())).collect(),
            aliases: own.aliases.iter().flatten().map(|alias| alias.value.clone()).collect(),
            fallbacks: own.fallbacks.iter().flatten().map(|other| other.value.clone()).collect(),
            span: name.span,
        };
        Some((model.name.clone(), model))
    });
    each.collect()
}
