//! Who asks which model where: through each gateway that leads to it, else its runner, from a place that may.

use std::net::IpAddr;

use super::asker::Secret;
use super::expect::Node;
use super::facts::Look;
use super::services::Looks;
use crate::blueprint::{Bind, Blueprint, FlowOrigin, Guest, Party, Service, Setting};
use crate::inventory::{ModelKind, ModelSource, StackTier};
use crate::model::{GuestName, ModelName, PortName, ServiceName};
use crate::render::stack_directory;

/// The header that names a tenant, unless a gateway is told another.
const TENANT_HEADER: &str = "x-tenant-id";
/// The tenant that requests of ours are recorded as.
pub const TENANT: &str = "infra-verify";
/// The one that is to be refused.
pub const TENANT_OF_LIMITS: &str = "infra-verify-limits";

/// What an OpenAI-compatible door is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoorKind {
    /// TensorZero behind its door: records and tenants in ClickHouse, limits for each tenant.
    TensorZero,
    /// `LiteLLM`: wants a key.
    LiteLlm,
    /// Any other gateway.
    Other,
    /// A runner itself, as no gateway leads to it.
    Runner,
}

/// A place where an HTTP server is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The guest that asks.
    pub from: GuestName,
    /// Whom it asks.
    pub host: String,
    /// At which port.
    pub port: u16,
}

/// A model as it is asked for at a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The door.
    pub door: Node,
    /// What it is.
    pub kind: DoorKind,
    /// Where it is asked.
    pub place: Place,
    /// The model.
    pub model: ModelName,
    /// What the model does.
    pub does: ModelKind,
    /// The name that it is asked for by there.
    pub name: String,
    /// Who may answer.
    pub runners: Vec<Node>,
    /// Headers of every request.
    pub headers: Vec<String>,
}

impl Use {
    /// `coder through tensorzero`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.kind {
            DoorKind::Runner => format!("{} at {}", self.model, self.door),
            _ => format!("{} through {}", self.model, self.door),
        }
    }

    /// The header that names a tenant.
    #[must_use]
    pub fn tenant(&self, blueprint: &Blueprint, tenant: &str) -> String {
        let deployment =
            blueprint.guests.get(&self.door.guest).and_then(|guest| guest.deployments.get(&self.door.service));
        let own = deployment.and_then(|own| own.settings.iter().find(|(name, _)| name.as_str() == "tenant_header"));
        let header = match own {
            Some((_, Setting::Text(header))) => header.as_str(),
            _ => TENANT_HEADER,
        };
        format!("{header}: {tenant}")
    }
}

/// Where a port of a service is asked: from a guest that uses it, else from its own guest at its published address, else
/// there at its container. `alone`: only from its own guest, as a key is needed that is nowhere else.
#[must_use]
pub fn place(
    blueprint: &Blueprint,
    guest: &Guest,
    service: &Service,
    port: &str,
    looks: &Looks,
    alone: bool,
) -> Option<Place> {
    let port: PortName = port.parse().ok()?;
    let own = service.ports.get(&port)?;
    let up = |name: &GuestName| looks.get(name).is_some_and(Result::is_ok);
    let user = blueprint.flows.iter().find_map(|flow| match (&flow.from, &flow.why) {
        (Party::Guest(from), FlowOrigin::Uses(used, at))
            if !alone
                && flow.to == Party::Guest(guest.name.clone())
                && *used == service.name
                && *at == port
                && up(from) =>
        {
            Some(from.clone())
        }
        _ => None,
    });
    let address = guest.interface.address().to_string();
    if let Some(from) = user {
        return Some(Place { from, host: address, port: own.ports.first() });
    }
    let from = guest.name.clone();
    let published = blueprint.published(guest, service).into_iter().find(|published| published.port == port);
    if let Some(bind) = published.as_ref().and_then(|published| published.on.first()) {
        let host = match bind {
            Bind::All => address,
            Bind::Address(at) => IpAddr::to_string(at),
        };
        return Some(Place { from, host, port: own.ports.first() });
    }
    inside(guest, service, &port, looks.get(&guest.name)?.as_ref().ok()?)
}

/// Where a port of a service is asked in its own guest, at its container.
#[must_use]
pub fn inside(guest: &Guest, service: &Service, port: &PortName, look: &Look) -> Option<Place> {
    let own = service.ports.get(port)?;
    let from = guest.name.clone();
    if service.recipe.as_ref().is_some_and(|recipe| recipe.host_network) {
        return Some(Place { from, host: "127.0.0.1".to_owned(), port: own.ports.first() });
    }
    let container = look.containers.get(&Node::main(&guest.name, &service.name).name())?;
    Some(Place { from, host: container.addresses.first()?.clone(), port: own.inside.first() })
}

/// The header with a gateway's key, for gateways that want one.
#[must_use]
pub fn key_of(service: &ServiceName) -> Vec<String> {
    if service.as_str() != "litellm" {
        return Vec::new();
    }
    let file = format!("{}/.env.{service}", stack_directory(service));
    vec![format!("Authorization: Bearer {}", Secret::Variable(file, "LITELLM_MASTER_KEY".to_owned()))]
}

/// The name by which a runner is asked for a model: Ollama knows its own tags.
#[must_use]
pub fn name_at(model: &crate::blueprint::Model, runner: &ServiceName) -> String {
    match &model.source {
        ModelSource::Ollama(tag) if runner.as_str() == "ollama" => tag.clone(),
        ModelSource::HuggingFace { repository, .. } if runner.as_str() == "whisper" => repository.clone(),
        _ => model.name.to_string(),
    }
}

/// Everything that is to be asked, in the order of doors and models.
#[must_use]
pub fn all(blueprint: &Blueprint, looks: &Looks) -> Vec<Use> {
    let mut all = Vec::new();
    let tier =
        |service: &Service| service.recipe.as_ref().and_then(|recipe| recipe.stack.as_ref()).map(|stack| stack.tier);
    for guest in blueprint.guests.values() {
        for name in guest.deployments.keys() {
            let service = &blueprint.services[name];
            if tier(service) != Some(StackTier::Gateway) {
                continue;
            }
            let kind = match name.as_str() {
                "tensorzero" => DoorKind::TensorZero,
                "litellm" => DoorKind::LiteLlm,
                _ => DoorKind::Other,
            };
            let Some(place) = place(blueprint, guest, service, "api", looks, kind == DoorKind::LiteLlm) else {
                continue;
            };
            let headers = key_of(name);
            for model in blueprint.models.values() {
                let runners = model
                    .runs_on
                    .iter()
                    .filter(|(at, runner)| blueprint.providers(guest, runner).iter().any(|own| own.name == *at));
                let runners: Vec<Node> = runners.map(|(at, runner)| Node::main(at, runner)).collect();
                // TensorZero knows nothing of speech.
                if runners.is_empty() || (kind == DoorKind::TensorZero && model.kind == ModelKind::Transcription) {
                    continue;
                }
                all.push(Use {
                    door: Node::main(&guest.name, name),
                    kind,
                    place: place.clone(),
                    model: model.name.clone(),
                    does: model.kind,
                    name: model.name.to_string(),
                    runners,
                    headers: headers.clone(),
                });
            }
        }
    }
    for model in blueprint.models.values() {
        for (at, runner) in &model.runs_on {
            let node = Node::main(at, runner);
            if all.iter().any(|own| own.model == model.name && own.runners.contains(&node)) {
                continue;
            }
            let (Some(guest), Some(service)) = (blueprint.guests.get(at), blueprint.services.get(runner)) else {
                continue;
            };
            let Some(place) = place(blueprint, guest, service, "api", looks, false) else { continue };
            all.push(Use {
                door: node.clone(),
                kind: DoorKind::Runner,
                place,
                model: model.name.clone(),
                does: model.kind,
                name: name_at(model, runner),
                runners: vec![node],
                headers: Vec::new(),
            });
        }
    }
    all
}
