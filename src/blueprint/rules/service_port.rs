//! Two services of a guest do not listen on the same port of it.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{Audience, Service};
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::LocalService;
use crate::model::PortName;

const CODE: &str = "inventory.service-port";

/// Reports pairs of services whose ports meet in their guest: each is published because a flow leads to it, or it is
/// in the guest's own network. What nobody outside reaches stays in its container and may have any port.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let mut taken: Vec<(&Service, &PortName)> = Vec::new();
        for service in draft.services_of(guest) {
            for (name, port) in service.ports.iter().filter(|(name, _)| listens(draft, guest, service, name)) {
                let other = taken.iter().find(|(other, other_name)| {
                    let own = &other.ports[*other_name];
                    other.name != service.name
                        && own.transport == port.transport
                        && own.ports.first() <= port.ports.last()
                        && port.ports.first() <= own.ports.last()
                });
                if let Some((other, other_name)) = other {
                    let place = guest.listed().find(|listed| listed.value == service.name);
                    let problem = format!(
                        "services `{}` and `{}` of guest `{}` both listen on {} port {}",
                        other.name, service.name, guest.name.value, port.transport, port.ports
                    );
                    report.push(
                        Diagnostic::error(CODE, problem)
                            .at(place.map_or(guest.name.span, |place| place.span), "")
                            .related(other.ports[*other_name].span, format!("`{}`", other.name))
                            .related(port.span, format!("`{}`", service.name))
                            .hint("move one of them to another guest, or let nobody outside reach one of them"),
                    );
                }
                taken.push((service, name));
            }
        }
    }
}

/// Whether somebody outside its container comes to a port: it has none, or what is declared leads there.
fn listens(draft: &Draft<'_>, guest: &DraftGuest<'_>, service: &Service, port: &PortName) -> bool {
    let Some(recipe) = &service.recipe else { return service.package.is_some() };
    if recipe.host_network {
        return true;
    }
    let meant = |named: Option<&PortName>, audience| {
        draft.ports(&service.name, named, audience).into_iter().any(|(name, _)| name == port)
    };
    let used = draft.guests.iter().filter(|other| other.name != guest.name).any(|other| {
        let mut uses = other.shape.uses.iter().flatten();
        uses.any(|used| {
            used.guest == guest.name.value
                && used.service == service.name
                && meant(used.port.as_ref(), Audience::Guests)
        })
    });
    let people = |own: &LocalService| own.service == service.name && meant(own.port.as_ref(), Audience::People);
    let exposed = guest.shape.exposes.iter().flatten().any(|(own, _)| people(own));
    let mut access = guest.shape.access.iter().flatten();
    let over_tailnet = access.any(|own| match &own.to {
        Some(named) => named.iter().any(|own| people(own)),
        None => meant(None, Audience::People),
    });
    let routed = guest.routes().any(|(_, route)| route.service.as_ref().is_some_and(|own| people(own)));
    used || exposed || over_tailnet || routed
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn service_port() {
        let own = "inventory.service-port";
        let over = |exposed: &str| {
            format!("guests: {{ plan-hq: {{ services: [open-webui, grafana], exposes: {{ {exposed} }} }} }}")
        };
        assert_eq!(codes(&over("open-webui: [192.168.10.0/24]")), [""; 0], "the other one stays in its container");
        assert_eq!(codes(&over("open-webui: [192.168.10.0/24], grafana: [192.168.10.0/24]")), [own]);
    }
}
