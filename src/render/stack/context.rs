//! What a template of a service can ask for.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::content::mark;
use crate::blueprint::{Blueprint, Deployment, Guest, Recipe, Service, Setting};
use crate::model::ServiceName;

/// Names and values of a service in a guest; `docs/services.md` lists them.
pub(super) fn of(
    blueprint: &Blueprint,
    guest: &Guest,
    service: &Service,
    recipe: &Recipe,
    deployment: &Deployment,
) -> Value {
    let ports = service.ports.iter().map(|(name, port)| {
        let numbers = context! { port => port.ports.first(), inside => port.inside.first() };
        (name.as_str().replace('-', "_"), numbers)
    });
    let images = deployment.images.iter().map(|(name, image)| (name.to_string(), Value::from(image.to_string())));
    let wanted = recipe.depends_on.keys();
    let providers = |name: &ServiceName| -> Vec<Value> {
        blueprint.providers(guest, name).into_iter().map(|own| provider(blueprint, guest, own, name)).collect()
    };
    let services = wanted
        .clone()
        .map(|name| (name.as_str().replace('-', "_"), providers(name).into_iter().next().unwrap_or(Value::from(()))));
    let all = wanted.map(|name| (name.as_str().replace('-', "_"), Value::from(providers(name))));
    let sites = blueprint.ingress.iter().flat_map(|ingress| ingress.sites.values());
    let sites = sites.filter(|site| {
        site.guest == guest.name && service.ports.values().any(|port| port.ports.contains(site.upstream.port()))
    });
    let scrape = if recipe.scrapes { blueprint.scrape_targets(guest) } else { Vec::new() };
    let scrape = scrape.into_iter().map(|target| {
        let address = joined(&target.host, target.port);
        context! { service => target.service.as_str(), guest => target.guest.as_str(), address, path => target.path }
    });
    context! {
        environment => blueprint.name.as_str(),
        service => service.name.as_str(),
        guest => context! {
            name => guest.name.as_str(),
            address => guest.interface.address().to_string(),
            cores => guest.cores,
            memory => guest.memory.to_string(),
        },
        guests => blueprint.guests.values().map(|own| {
            context! { name => own.name.as_str(), address => own.interface.address().to_string() }
        }).collect::<Vec<_>>(),
        hosts => blueprint.hosts.values().map(|host| {
            context! { name => host.name.as_str(), node => host.node.as_str(), address => host.access.api.host.as_str() }
        }).collect::<Vec<_>>(),
        gpu => deployment.gpu.map_or("none", crate::blueprint::GpuMaker::as_str),
        image => deployment.image.to_string(),
        images => images.collect::<BTreeMap<_, _>>(),
        ports => ports.collect::<BTreeMap<_, _>>(),
        variables => settings(deployment),
        secrets => secrets(recipe, deployment),
        services => services.collect::<BTreeMap<_, _>>(),
        providers => all.collect::<BTreeMap<_, _>>(),
        sites => sites.map(|site| site.name.clone()).collect::<Vec<_>>(),
        scrape => scrape.collect::<Vec<_>>(),
        users => blueprint.ingress.iter().flat_map(|ingress| &ingress.users).map(|(name, hash)| {
            context! { name, hash => mark(&hash.name) }
        }).collect::<Vec<_>>(),
        models => super::super::models::of(blueprint, guest),
        named => super::super::models::by_name(blueprint, guest),
    }
}

fn settings(deployment: &Deployment) -> BTreeMap<String, Value> {
    let value = |setting: &Setting| match setting {
        Setting::Boolean(value) => Value::from(*value),
        Setting::Integer(value) => Value::from(*value),
        Setting::Text(value) => Value::from(value.clone()),
        Setting::Size(value) => Value::from(value.to_string()),
        Setting::Duration(value) => Value::from(value.to_string()),
    };
    deployment.settings.iter().map(|(name, setting)| (name.to_string(), value(setting))).collect()
}

/// Marks by name; nothing for those that the service goes without.
fn secrets(recipe: &Recipe, deployment: &Deployment) -> BTreeMap<String, Value> {
    let each = recipe.secrets.keys().map(|key| {
        let name = deployment.secrets.get(key);
        (key.to_string(), name.map_or(Value::from(()), |name| Value::from(mark(name))))
    });
    each.collect()
}

/// A service as another one reaches it: by its name within the guest, else by the guest's address.
fn provider(blueprint: &Blueprint, from: &Guest, guest: &Guest, name: &ServiceName) -> Value {
    let service = &blueprint.services[name];
    let ports = service.ports.keys().filter_map(|own| {
        let (host, number) = blueprint.endpoint(from, guest, service, own)?;
        let address = joined(&host, number);
        let url = format!("http://{address}");
        Some((own.as_str().replace('-', "_"), context! { host, port => number, address, url }))
    });
    let deployment = guest.deployments.get(name);
    let recipe = service.recipe.as_ref();
    context! {
        guest => guest.name.as_str(),
        ports => ports.collect::<BTreeMap<_, _>>(),
        variables => deployment.map(settings).unwrap_or_default(),
        secrets => recipe.zip(deployment).map(|(recipe, own)| secrets(recipe, own)).unwrap_or_default(),
    }
}

fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
