//! Which secrets an inventory needs, who needs them, and which of them are made by themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::blueprint::{Blueprint, Generate, SecretRef, Tls};
use crate::diag::Span;
use crate::model::{GuestName, HostName, ServiceName};
use crate::render;

/// A secret that something of an inventory needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// Who needs it.
    pub users: BTreeSet<User>,
    /// What it is made of if nobody has it.
    pub generate: Option<Generate>,
    /// The service that reads it at its very first start and never again.
    pub first_start: Option<(GuestName, ServiceName)>,
    /// Where it is asked for, if that is one place of the inventory.
    pub span: Option<Span>,
}

/// Who needs a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// The API of a host.
    Host(HostName),
    /// The tailnet's control plane.
    Tailnet,
    /// The OPNsense that keeps names.
    OpnSense,
    /// The reverse proxy: a visitor's password, or what opens the API of a DNS provider.
    Proxy(GuestName),
    /// A service: its stack holds it.
    Service(GuestName, ServiceName),
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "the API of {host}"),
            Self::Tailnet => f.write_str("the tailnet"),
            Self::OpnSense => f.write_str("the OPNsense"),
            Self::Proxy(guest) => write!(f, "the reverse proxy in {guest}"),
            Self::Service(guest, service) => write!(f, "{guest}/{service}"),
        }
    }
}

/// Every secret that an inventory needs, by its name.
#[must_use]
pub fn needs(blueprint: &Blueprint) -> BTreeMap<String, Need> {
    let mut needs: BTreeMap<String, Need> = BTreeMap::new();
    let mut referred = |secret: &SecretRef, user: User| {
        let need = needs.entry(secret.name.clone()).or_default();
        need.users.insert(user);
        need.span.get_or_insert(secret.span);
    };
    for host in blueprint.hosts.values() {
        referred(&host.access.api.token, User::Host(host.name.clone()));
    }
    if let Some(tailnet) = &blueprint.tailnet {
        referred(&tailnet.key, User::Tailnet);
    }
    if let Some(router) = &blueprint.dns.opnsense {
        referred(&router.key, User::OpnSense);
        referred(&router.secret, User::OpnSense);
    }
    if let Some(ingress) = &blueprint.ingress {
        let token = if let Tls::Dns { token, .. } = &ingress.tls { Some(token) } else { None };
        for secret in ingress.users.values().chain(token) {
            referred(secret, User::Proxy(ingress.guest.clone()));
        }
    }
    for guest in blueprint.guests.values() {
        for (service, deployment) in &guest.deployments {
            let recipe = blueprint.services.get(service).and_then(|service| service.recipe.as_ref());
            for (key, name) in &deployment.secrets {
                let Some(secret) = recipe.and_then(|recipe| recipe.secrets.get(key)) else { continue };
                let need = needs.entry(name.clone()).or_default();
                need.span.get_or_insert(deployment.span);
                need.users.insert(User::Service(guest.name.clone(), service.clone()));
                if secret.first_start {
                    need.first_start = Some((guest.name.clone(), service.clone()));
                }
                // One that the inventory names itself is somebody's already: a slip in its name must not make a new one.
                if deployment.names_by_default(&guest.name, key) {
                    need.generate = secret.generate;
                }
            }
            // Those of what it uses, too: a client holds its server's password.
            for file in render::stack(blueprint, guest, deployment).unwrap_or_default() {
                for name in file.content.secrets() {
                    let need = needs.entry(name.to_owned()).or_default();
                    need.users.insert(User::Service(guest.name.clone(), service.clone()));
                }
            }
        }
    }
    for (name, need) in &mut needs {
        if let Some(own) = blueprint.secrets.names.get(name).and_then(|own| own.generate) {
            need.generate = Some(own);
        }
    }
    needs
}
