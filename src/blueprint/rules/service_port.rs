//! Two services of a guest do not listen on the same port of it.

use crate::blueprint::assemble::flows;
use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{Flow, FlowOrigin, Party, Service};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::PortName;

const CODE: &str = "inventory.service-port";

/// Reports pairs of services whose ports meet in their guest: each is published because a flow leads to it, or it is
/// in the guest's own network. What nobody outside reaches stays in its container and may have any port.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let flows = flows(draft);
    for guest in &draft.guests {
        let mut taken: Vec<(&Service, &PortName)> = Vec::new();
        for service in draft.services_of(guest) {
            for (name, port) in service.ports.iter().filter(|(name, _)| listens(&flows, guest, service, name)) {
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

fn listens(flows: &[Flow], guest: &DraftGuest<'_>, service: &Service, port: &PortName) -> bool {
    if service.recipe.as_ref().is_none_or(|recipe| recipe.host_network) {
        // A package that nobody put there yet may listen, or not: only what is said to.
        return service.package.is_some() || service.recipe.is_some();
    }
    flows.iter().any(|flow| {
        let (used, name) = match &flow.why {
            FlowOrigin::Uses(used, name) | FlowOrigin::Exposes(used, name) | FlowOrigin::Access(used, name) => {
                (used, name)
            }
            _ => return false,
        };
        flow.to == Party::Guest(guest.name.value.clone()) && *used == service.name && name == port
    })
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
