//! Models as templates of services see them: what can be asked for, and which runners answer.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use crate::blueprint::{Blueprint, Guest, Model};
use crate::inventory::ModelSource;

/// Models by every name that they are asked for.
pub(super) fn by_name(blueprint: &Blueprint, from: &Guest) -> BTreeMap<String, Value> {
    let named = blueprint.models.values().flat_map(|model| {
        let value = one(blueprint, from, model);
        let names = std::iter::once(&model.name).chain(&model.aliases);
        names.map(move |name| (name.to_string(), value.clone()))
    });
    named.collect()
}

/// Every model, with the runners that something in `from` may ask; sorted by name.
pub(super) fn of(blueprint: &Blueprint, from: &Guest) -> Vec<Value> {
    blueprint.models.values().map(|model| one(blueprint, from, model)).collect()
}

fn one(blueprint: &Blueprint, from: &Guest, model: &Model) -> Value {
    let runners = model.runs_on.iter().filter_map(|(guest, service)| {
        let guest = &blueprint.guests[guest];
        let reached = blueprint.providers(from, service).iter().any(|own| own.name == guest.name);
        let service = blueprint.services.get(service).filter(|_| reached)?;
        let (host, port) = blueprint.endpoint(from, guest, service, &"api".parse().ok()?)?;
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Some(context! {
            key => format!("{}-{}", guest.name, service.name),
            guest => guest.name.as_str(),
            service => service.name.as_str(),
            address => address.clone(),
            url => format!("http://{address}"),
        })
    });
    let here: Vec<String> =
        model.runs_on.iter().filter(|(guest, _)| *guest == from.name).map(|(_, service)| service.to_string()).collect();
    // What a runner is told to load: Ollama by its tag, others by repository or path.
    let (id, file, path) = match &model.source {
        ModelSource::Ollama(tag) => (tag.clone(), None, None),
        ModelSource::HuggingFace { repository, file } => (repository.clone(), file.clone(), None),
        ModelSource::File(path) => (path.0.clone(), None, Some(path.0.clone())),
    };
    context! {
        name => model.name.as_str(),
        kind => model.kind.as_str(),
        aliases => model.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(),
        fallbacks => model.fallbacks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        context => model.context,
        parallel => model.parallel,
        quantisation => model.quantisation.clone(),
        id,
        file,
        path,
        runners => runners.collect::<Vec<_>>(),
        here,
    }
}
