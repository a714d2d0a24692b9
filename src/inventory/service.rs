//! What a service says of itself: `templates/<service>/template.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{AudienceName, PortSpan, TransportName};
use crate::diag::Spanned;
use crate::model::PortName;

/// What is known of a service before it runs anywhere.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(title = "infra service")]
pub struct Template {
    /// What it is for.
    #[schemars(required)]
    pub description: Option<Spanned<String>>,
    /// Whether every guest has it without listing it, as SSH.
    pub everywhere: Option<Spanned<bool>>,
    /// Ports that it listens on, by name.
    pub ports: Option<BTreeMap<Spanned<PortName>, Spanned<TemplatePort>>>,
}

/// A port that a service listens on.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TemplatePort {
    /// The port, or a range `8000:8100`.
    #[schemars(required)]
    pub port: Option<Spanned<PortSpan>>,
    /// `tcp` unless given.
    pub protocol: Option<Spanned<TransportName>>,
    /// Who may ever be let in, whatever an inventory asks for.
    #[schemars(required)]
    pub audience: Option<Spanned<AudienceName>>,
    /// Whether it is opened only where it is named, as `guest/service/port`: metrics of a service that others use for
    /// something else. Not unless given.
    pub explicit: Option<Spanned<bool>>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
}
