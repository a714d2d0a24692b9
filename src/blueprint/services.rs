//! What `template.yaml` files say, as values. What is wrong with one, the rules `service-template` and `service-known`
//! say where it is used.

use std::collections::BTreeMap;

use super::{Audience, Service, ServicePort};
use crate::diag::Spanned;
use crate::inventory::{AudienceName, Inventory, Template, TransportName};
use crate::model::{ServiceName, Transport};

/// Every service that is known; ports that lack something are left out.
pub(super) fn all(inventory: &Inventory) -> BTreeMap<ServiceName, Service> {
    let known = inventory.templates.iter().filter_map(|(name, template)| Some((name.parse().ok()?, template)));
    known.map(|(name, template): (ServiceName, _)| (name.clone(), service(name, template))).collect()
}

fn service(name: ServiceName, template: &Spanned<Template>) -> Service {
    let ports = template.ports.iter().flatten().filter_map(|(name, port)| {
        let there = ServicePort {
            transport: match port.protocol.map(|protocol| protocol.value) {
                Some(TransportName::Udp) => Transport::Udp,
                Some(TransportName::Tcp) | None => Transport::Tcp,
            },
            ports: port.port?.value.0,
            audience: match port.audience?.value {
                AudienceName::Inside => Audience::Inside,
                AudienceName::Guests => Audience::Guests,
                AudienceName::People => Audience::People,
            },
            explicit: port.explicit.is_some_and(|explicit| explicit.value),
            span: name.span,
        };
        Some((name.value.clone(), there))
    });
    Service {
        name,
        description: template.description.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        everywhere: template.everywhere.is_some_and(|everywhere| everywhere.value),
        ports: ports.collect(),
        span: template.span,
    }
}
