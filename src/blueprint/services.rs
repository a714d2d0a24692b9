//! What `template.yaml` files say, as values. What is wrong with one, the rules `service-template`, `service-recipe` and
//! `service-known` say where it is used.

use std::collections::BTreeMap;

use super::setting::typed;
use super::{
    Audience, Backup, FileMount, Generate, Health, Metrics, Needs, Recipe, Secret, Service, ServicePort, Stack,
    Variable, Volume,
};
use crate::diag::{Span, Spanned};
use crate::inventory::{
    AudienceName, Demand, HealthProbe, Inventory, SecretKind, ServiceHealth, ServiceVariable, Template, TemplateText,
    TransportName,
};
use crate::model::{PartName, Period, PortName, ServiceName, Transport};

/// Every service that is known; what lacks something is left out.
pub(super) fn all(inventory: &Inventory) -> BTreeMap<ServiceName, Service> {
    let known = inventory.templates.iter().filter_map(|(name, template)| {
        let texts = inventory.texts.get(name).cloned().unwrap_or_default();
        Some((name.parse().ok()?, template, texts))
    });
    known.map(|(name, template, texts): (ServiceName, _, _)| (name.clone(), service(name, template, texts))).collect()
}

fn service(name: ServiceName, template: &Spanned<Template>, texts: BTreeMap<String, TemplateText>) -> Service {
    let ports: BTreeMap<PortName, ServicePort> = template.ports.iter().flatten().filter_map(port).collect();
    let metrics = template.metrics.as_ref().and_then(|metrics| {
        let path = metrics.path.as_ref().map_or_else(|| "/metrics".to_owned(), |path| path.value.0.clone());
        Some(Metrics { port: metrics.port.as_ref()?.value.clone(), path })
    });
    let only = || (ports.len() == 1).then(|| ports.keys().next().cloned()).flatten();
    let health = template.health.as_ref().map(|own| {
        let health = health(own);
        Health { port: health.port.or_else(only), ..health }
    });
    Service {
        name,
        description: template.description.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        everywhere: flag(template.everywhere, false),
        package: template.package.as_ref().map(|package| package.value.0.clone()),
        recipe: recipe(template, texts),
        health,
        metrics,
        ports,
        span: template.span,
    }
}

fn flag(value: Option<Spanned<bool>>, unless_given: bool) -> bool {
    value.map_or(unless_given, |value| value.value)
}

fn words(list: Option<&Vec<Spanned<String>>>) -> Vec<String> {
    list.into_iter().flatten().map(|word| word.value.clone()).collect()
}

/// What has a name; what lacks something is left out.
fn parts<K: Clone + Ord, V, W>(
    parts: Option<&BTreeMap<Spanned<K>, Spanned<V>>>,
    make: impl Fn(&Spanned<K>, &V) -> Option<W>,
) -> BTreeMap<K, W> {
    let each = parts.into_iter().flatten();
    each.filter_map(|(name, part)| Some((name.value.clone(), make(name, &part.value)?))).collect()
}

fn port(
    (name, port): (&Spanned<PortName>, &Spanned<crate::inventory::TemplatePort>),
) -> Option<(PortName, ServicePort)> {
    let ports = port.port?.value.0;
    let there = ServicePort {
        transport: match port.protocol.map(|protocol| protocol.value) {
            Some(TransportName::Udp) => Transport::Udp,
            Some(TransportName::Tcp) | None => Transport::Tcp,
        },
        ports,
        inside: port.inside.map_or(ports, |inside| inside.value.0),
        audience: match port.audience?.value {
            AudienceName::Inside => Audience::Inside,
            AudienceName::Guests => Audience::Guests,
            AudienceName::People => Audience::People,
        },
        explicit: flag(port.explicit, false),
        span: name.span,
    };
    Some((name.value.clone(), there))
}

fn health(own: &ServiceHealth) -> Health {
    let period = |own: Option<Spanned<Period>>, seconds| own.map_or(Period::seconds(seconds), |own| own.value);
    Health {
        port: own.port.as_ref().map(|port| port.value.clone()),
        path: own.path.as_ref().map(|path| path.value.0.clone()),
        probe: own.probe.map_or(HealthProbe::None, |probe| probe.value),
        command: words(own.command.as_ref()),
        interval: period(own.interval, 15),
        timeout: period(own.timeout, 5),
        grace: period(own.grace, 60),
    }
}

fn recipe(template: &Template, texts: BTreeMap<String, TemplateText>) -> Option<Recipe> {
    let image = template.image.as_ref()?;
    let needs = template.needs.as_ref().map(|needs| Needs {
        memory: needs.memory.map(|size| size.value),
        memory_limit: needs.memory_limit.or(needs.memory).map(|size| size.value),
        disk: needs.disk.map(|size| size.value),
        vram: needs.vram.map(|size| size.value),
        gpu: needs.gpu.map(|gpu| gpu.value),
        shared_memory: needs.shared_memory.map(|size| size.value),
    });
    Some(Recipe {
        image: image.value.clone(),
        images: parts(template.images.as_ref(), |_, image| Some(image.clone())),
        variables: parts(template.variables.as_ref(), |name, own| variable(own, name.span)),
        files: parts(template.files.as_ref(), |_, file| {
            Some(FileMount {
                mount: file.mount.as_ref()?.value.0.clone(),
                mode: file.mode.as_ref().map(|mode| mode.value.0),
                owner: file.owner.map_or(0, |owner| owner.value),
                containers: words(file.containers.as_ref()),
            })
        }),
        volumes: parts(template.volumes.as_ref(), |_, volume| {
            Some(Volume {
                mount: volume.mount.as_ref()?.value.0.clone(),
                holds: volume.holds.as_ref()?.value.clone(),
                backup: flag(volume.backup, true),
                containers: words(volume.containers.as_ref()),
            })
        }),
        needs: needs.unwrap_or_default(),
        depends_on: parts(template.depends_on.as_ref(), |_, demand| Some(*demand == Demand::Required)),
        backup: template.backup.as_ref().and_then(|backup| {
            let suffix = backup.suffix.as_ref()?.value.clone();
            let container = backup.container.as_ref().map(|container| container.value.clone());
            Some(Backup { command: words(backup.command.as_ref()), suffix, container })
        }),
        secrets: parts(template.secrets.as_ref(), |_, secret| {
            Some(Secret {
                generate: secret.generate.map(|length| {
                    let kind = secret.kind.map_or(SecretKind::Password, |kind| kind.value);
                    Generate { length: length.value, kind }
                }),
                first_start: flag(secret.first_start, false),
                file: secret.file.as_ref().map(|variable| variable.value.0.clone()),
                env: secret.env.as_ref().map(|variable| variable.value.0.clone()),
                owner: secret.owner.map_or(0, |owner| owner.value),
                optional: flag(secret.optional, false),
                containers: words(secret.containers.as_ref()),
            })
        }),
        internet: flag(template.internet, true),
        host_network: flag(template.host_network, false),
        scrapes: flag(template.scrapes, false),
        stack: template.stack.as_ref().and_then(|stack| {
            let name = |name: &Option<Spanned<PartName>>| name.as_ref().map(|name| name.value.clone());
            Some(Stack {
                tier: stack.tier?.value,
                timeout: name(&stack.timeout),
                tokens_per_minute: name(&stack.tokens_per_minute),
                context: name(&stack.context),
                parallel: name(&stack.parallel),
            })
        }),
        texts,
        span: image.span,
    })
}

/// A variable without what is wrong in it.
fn variable(own: &ServiceVariable, span: Span) -> Option<Variable> {
    let kind = own.kind?.value;
    let bound = |raw: &Option<Spanned<crate::inventory::RawSetting>>| typed(kind, &raw.as_ref()?.value).ok();
    let bare = Variable {
        kind,
        default: None,
        min: bound(&own.min),
        max: bound(&own.max),
        values: words(own.values.as_ref()),
        description: own.description.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        span,
    };
    let default = own.default.as_ref().and_then(|raw| bare.accept(&raw.value).ok());
    Some(Variable { default, ..bare })
}
