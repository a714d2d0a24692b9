//! What a service offers, as its folder in `templates/` declares it.

use std::collections::BTreeMap;

use super::{Health, Metrics, Recipe};
use crate::diag::Span;
use crate::model::{PortName, PortRange, ServiceName, Transport};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of its folder.
    pub name: ServiceName,
    /// What it is for.
    pub description: String,
    /// Whether every guest has it without listing it, as SSH.
    pub everywhere: bool,
    /// Ports that it listens on, by name.
    pub ports: BTreeMap<PortName, ServicePort>,
    /// The Debian package that it is, if it is one.
    pub package: Option<String>,
    /// How it runs in a container, if it does.
    pub recipe: Option<Recipe>,
    /// How to see that it is well.
    pub health: Option<Health>,
    /// Where its metrics are.
    pub metrics: Option<Metrics>,
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
    /// Where inside its container.
    pub inside: PortRange,
    /// Who may ever be let in.
    pub audience: Audience,
    /// Whether it is opened only where it is named: `guest/service/port`.
    pub explicit: bool,
    /// Where it was declared.
    pub span: Span,
}

/// Who may ever be let in to a port, whatever an inventory asks for. Each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Only what runs in the same guest: control and cluster ports.
    Inside,
    /// Guests that say `uses`: model runners, databases, vector stores, metrics.
    Guests,
    /// Also people: `exposes`, `routes`, `access`. The gateway of a stack, web interfaces.
    People,
}

impl Service {
    /// Ports that are meant by a reference to it: the one that is named, else all that `audience` may be let in to
    /// and that need not be named.
    pub fn meant(
        &self,
        port: Option<&PortName>,
        audience: Audience,
    ) -> impl Iterator<Item = (&PortName, &ServicePort)> {
        self.ports.iter().filter(move |(name, there)| match port {
            Some(named) => *name == named,
            None => there.audience >= audience && !there.explicit,
        })
    }
}
