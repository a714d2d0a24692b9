//! What a service offers, as its folder in `templates/` declares it.

use std::collections::BTreeMap;

use crate::diag::Span;
use crate::model::{PortRange, ServiceName, Transport};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of its folder.
    pub name: ServiceName,
    /// What it is for.
    pub description: String,
    /// Ports that it listens on, by name.
    pub ports: BTreeMap<String, ServicePort>,
    /// Where it was declared.
    pub span: Span,
}

/// A port that a service listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// How.
    pub transport: Transport,
    /// Where.
    pub ports: PortRange,
    /// Who may ever be let in.
    pub audience: Audience,
    /// Where it was declared.
    pub span: Span,
}

/// Who may ever be let in to a port, whatever an inventory asks for. Each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Only what runs in the same guest: databases, vector stores.
    Inside,
    /// Guests that say `uses`.
    Guests,
    /// Also people: `exposes`, `routes`, `access`. The gateway of a stack, web interfaces.
    People,
}
