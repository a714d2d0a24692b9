//! A model: where it comes from, how large it is, where it runs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{ModelKind, ModelSource, ServiceRef};
use crate::diag::Spanned;
use crate::model::{ModelName, Size};

/// A model that runners serve and gateways lead to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Model {
    /// Where it comes from: `ollama:qwen2.5-coder:7b`, `hf:ORGANISATION/REPOSITORY` (or a file of it), or
    /// `file:/models/x.gguf`.
    #[schemars(required)]
    pub source: Option<Spanned<ModelSource>>,
    /// What it does; `chat` unless given.
    pub kind: Option<Spanned<ModelKind>>,
    /// How its weights are stored, such as `q4_K_M`.
    pub quantisation: Option<Spanned<String>>,
    /// How many tokens fit into one request.
    #[schemars(range(min = 1), example = 16384)]
    pub context: Option<Spanned<u64>>,
    /// How many tokens it was trained for.
    #[schemars(range(min = 1), example = 32768)]
    pub max_context: Option<Spanned<u64>>,
    /// How many requests it answers at once; 1 unless given.
    #[schemars(range(min = 1, max = 1024))]
    pub parallel: Option<Spanned<u64>>,
    /// How large its weights are.
    #[schemars(example = &"4.7GiB")]
    pub size: Option<Spanned<Size>>,
    /// Memory that each token of a request takes (the KV cache): 2 × layers × heads of keys × their width × bytes.
    #[schemars(example = &"56KiB")]
    pub cache_per_token: Option<Spanned<Size>>,
    /// Where it runs, as `guest/service`.
    #[schemars(required, example = &["plan-hq/ollama"])]
    pub runs_on: Option<Vec<Spanned<ServiceRef>>>,
    /// Other names that it is asked for by.
    pub aliases: Option<Vec<Spanned<ModelName>>>,
    /// Models that are asked instead when it does not answer, in this order.
    pub fallbacks: Option<Vec<Spanned<ModelName>>>,
}
