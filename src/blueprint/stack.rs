//! What follows from flows for the services inside a guest: which ports are published and where, who provides what a
//! service depends on, what is scraped.

use std::net::{IpAddr, Ipv4Addr};

use super::{Blueprint, FlowOrigin, Guest, Party, Service};
use crate::model::{PortName, PortRange, ServiceName, Transport};

/// A port of a container that is reached from outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The name of the port.
    pub port: PortName,
    /// How.
    pub transport: Transport,
    /// Where in the guest.
    pub ports: PortRange,
    /// Where in the container.
    pub inside: PortRange,
    /// On which addresses of the guest.
    pub on: Vec<Bind>,
}

/// An address of a guest that a port is published on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// All: somebody comes over the tailnet, and the guest's address there is known to nobody beforehand. Who may come
    /// in is what the guest's firewall and the tailnet's policy say.
    All,
    /// One: the guest's own, or loopback for a reverse proxy in the same guest.
    Address(IpAddr),
}

/// Something that has metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScrapeTarget {
    /// The service.
    pub service: ServiceName,
    /// Where it runs.
    pub guest: crate::model::GuestName,
    /// Name or address to ask.
    pub host: String,
    /// The port to ask.
    pub port: u16,
    /// The path to ask for.
    pub path: String,
}

impl Blueprint {
    /// Ports of a service in a guest that a flow leads to from outside of that guest, or a route of a reverse proxy in
    /// it. What nobody outside may reach is not published.
    #[must_use]
    pub fn published(&self, guest: &Guest, service: &Service) -> Vec<Publication> {
        let own = Party::Guest(guest.name.clone());
        let sites = self.ingress.iter().flat_map(|ingress| ingress.sites.values());
        let local: Vec<u16> = sites
            .filter(|site| site.guest == guest.name && site.upstream.ip().is_loopback())
            .map(|site| site.upstream.port())
            .collect();
        let mut all = Vec::new();
        for (name, port) in &service.ports {
            let flows = self.flows.iter().filter(|flow| {
                flow.to == own
                    && flow.from != own
                    && flow.transport == port.transport
                    && match &flow.why {
                        FlowOrigin::Uses(used, at) | FlowOrigin::Exposes(used, at) | FlowOrigin::Access(used, at) => {
                            *used == service.name && at == name
                        }
                        _ => flow.ports.first() <= port.ports.last() && port.ports.first() <= flow.ports.last(),
                    }
            });
            let mut on: Vec<Bind> = flows
                .map(|flow| match flow.from {
                    Party::Tailnet(_) => Bind::All,
                    _ => Bind::Address(guest.interface.address()),
                })
                .collect();
            if port.transport == Transport::Tcp && local.iter().any(|local| port.ports.contains(*local)) {
                on.push(Bind::Address(Ipv4Addr::LOCALHOST.into()));
            }
            on.sort();
            on.dedup();
            if on.contains(&Bind::All) {
                on = vec![Bind::All];
            }
            if !on.is_empty() {
                let (transport, ports, inside) = (port.transport, port.ports, port.inside);
                all.push(Publication { port: name.clone(), transport, ports, inside, on });
            }
        }
        all
    }

    /// Guests whose `service` a guest may use: itself first, then those that it `uses`, by name.
    #[must_use]
    pub fn providers<'a>(&'a self, guest: &'a Guest, service: &ServiceName) -> Vec<&'a Guest> {
        let own = guest.services.contains(service).then_some(guest);
        let others = self.guests.values().filter(|other| {
            other.name != guest.name
                && self.flows.iter().any(|flow| {
                    flow.from == Party::Guest(guest.name.clone())
                        && flow.to == Party::Guest(other.name.clone())
                        && matches!(&flow.why, FlowOrigin::Uses(used, _) if used == service)
                })
        });
        own.into_iter().chain(others).collect()
    }

    /// Host and port by which something in `from` reaches a port of a service in `to`: within a guest by its name, else
    /// by the guest's address.
    #[must_use]
    pub fn endpoint(&self, from: &Guest, to: &Guest, service: &Service, port: &PortName) -> Option<(String, u16)> {
        let port = service.ports.get(port)?;
        let beside = to.name == from.name && service.recipe.as_ref().is_some_and(|recipe| !recipe.host_network);
        Some(match beside {
            true => (service.name.to_string(), port.inside.first()),
            false => (to.interface.address().to_string(), port.ports.first()),
        })
    }

    /// Every service with metrics that something in a guest may ask: those of the same guest, and those that a flow
    /// leads to. Sorted.
    #[must_use]
    pub fn scrape_targets(&self, from: &Guest) -> Vec<ScrapeTarget> {
        let mut targets = Vec::new();
        for guest in self.guests.values() {
            for service in self.services_of(guest) {
                let Some(metrics) = &service.metrics else { continue };
                let Some(port) = service.ports.get(&metrics.port) else { continue };
                let inside = service.recipe.as_ref().is_some_and(|recipe| !recipe.host_network);
                let (host, number) = match (guest.name == from.name, inside) {
                    (true, true) => (service.name.to_string(), port.inside.first()),
                    (true, false) => (guest.interface.address().to_string(), port.ports.first()),
                    (false, _) => {
                        let reached = self.flows.iter().any(|flow| {
                            flow.from == Party::Guest(from.name.clone())
                                && flow.to == Party::Guest(guest.name.clone())
                                && flow.transport == Transport::Tcp
                                && flow.ports.contains(port.ports.first())
                        });
                        if !reached {
                            continue;
                        }
                        (guest.interface.address().to_string(), port.ports.first())
                    }
                };
                let (service, guest) = (service.name.clone(), guest.name.clone());
                targets.push(ScrapeTarget { service, guest, host, port: number, path: metrics.path.clone() });
            }
        }
        targets.sort();
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    fn on(over: &str, guest: &str, service: &str) -> Vec<String> {
        let blueprint = with(over);
        let guest = &blueprint.guests[&guest.parse().unwrap()];
        let service = &blueprint.services[&service.parse().unwrap()];
        let all = blueprint.published(guest, service).into_iter();
        all.map(|own| {
            format!(
                "{} {:?}",
                own.port,
                own.on
                    .iter()
                    .map(|on| match on {
                        Bind::All => "all".to_owned(),
                        Bind::Address(address) => address.to_string(),
                    })
                    .collect::<Vec<_>>()
            )
        })
        .collect()
    }

    #[test]
    fn a_port_is_published_only_if_a_flow_leads_to_it() {
        let alone = "guests: { plan-hq: { services: [ollama, open-webui] } }";
        assert_eq!(on(alone, "plan-hq", "ollama"), [""; 0]);
        let used = "guests: { plan-hq: { services: [ollama] }, proj-x: { uses: [plan-hq/ollama] } }";
        assert_eq!(on(used, "plan-hq", "ollama"), [r#"api ["10.0.0.10"]"#]);
        let exposed = "guests: { plan-hq: { services: [open-webui], exposes: { open-webui: [192.168.10.0/24] } } }";
        assert_eq!(on(exposed, "plan-hq", "open-webui"), [r#"http ["10.0.0.10"]"#]);
    }

    #[test]
    fn another_service_with_the_same_number_stays_in_its_container() {
        let over =
            "guests: { plan-hq: { services: [open-webui, grafana], exposes: { open-webui: [192.168.10.0/24] } } }";
        assert_eq!(on(over, "plan-hq", "open-webui"), [r#"http ["10.0.0.10"]"#]);
        assert_eq!(on(over, "plan-hq", "grafana"), [""; 0]);
    }

    #[test]
    fn a_proxy_in_the_same_guest_finds_it_on_loopback() {
        let over = "ingress: { guest: plan-hq, from: [internet], tls: acme }
guests: { plan-hq: { services: [open-webui, caddy], routes: { a.example.com: { service: open-webui } } } }";
        assert_eq!(on(over, "plan-hq", "open-webui"), [r#"http ["127.0.0.1"]"#]);
    }

    #[test]
    fn whoever_comes_over_the_tailnet_comes_to_an_address_that_nobody_knows_yet() {
        let over = "tailnet: { name: example.ts.net, key: secret:tailnet }
guests: { plan-hq: { services: [open-webui], access: [{ from: tag:phone, to: [open-webui] }] } }";
        assert_eq!(on(over, "plan-hq", "open-webui"), [r#"http ["all"]"#]);
    }
}
