//! The way of a visitor to a web site: its name, the reverse proxy, who somebody is, the guest behind it.
//!
//! Each leg is a question of its own; a site is reached if all of them are answered well. What the proxy itself does is
//! what `render` writes into its configuration.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;

use super::network::End;
use super::question::{Answer, Endpoint, Over, Question};
use crate::blueprint::{Auth, Blueprint, ForwardAuth, Ingress, Site, Tls};
use crate::model::{GuestName, Transport};

/// One leg of the way to a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Leg {
    /// Which.
    pub leg: LegKind,
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// Whether it leads on.
    pub passes: bool,
    /// What is to be known of it.
    pub says: Vec<String>,
    /// What decides, one for each network; none, where no packet leaves a guest.
    pub answers: Vec<Answer>,
}

/// A leg of the way to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// The site's name leads to the proxy.
    Name,
    /// The visitor reaches the proxy.
    Proxy,
    /// The proxy asks who somebody is.
    Login,
    /// The proxy reaches the site's guest.
    Guest,
}

impl LegKind {
    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Proxy => "proxy",
            Self::Login => "login",
            Self::Guest => "guest",
        }
    }
}

/// Every leg from somebody to a site. `port` is that of the proxy, 443 unless the site is plain HTTP.
#[must_use]
pub fn legs(
    question: Question<'_, '_>,
    blueprint: &Blueprint,
    ingress: &Ingress,
    site: &Site,
    from: &Endpoint,
) -> Vec<Leg> {
    let usual = if site.tls == Tls::None { 80 } else { 443 };
    let port = question.port.map_or(usual, |(port, _)| port);
    let transport = question.port.map_or(Transport::Tcp, |(_, transport)| transport);
    let ask =
        |from: &Endpoint, to: &Endpoint, port| Question { port: Some((port, transport)), ..question }.ask(from, to);
    let guest = |name: &GuestName| guest_endpoint(question, name);
    let proxy = guest(&ingress.guest);
    let mut legs = vec![name_leg(blueprint, ingress, site, from), proxy_leg(ingress, site, from, &proxy, port, ask)];
    let behind = |leg, to: &GuestName, port: u16, what: String| {
        if *to == ingress.guest {
            let says = vec![format!("{what} in the proxy's own guest, port {port}")];
            return Leg { leg, from: proxy.name.clone(), to: to.to_string(), passes: true, says, answers: Vec::new() };
        }
        // Tailnet members or not: the proxy is told an address of the bridge.
        let bare = |endpoint: Endpoint| Endpoint { members: Vec::new(), ..endpoint };
        let question = Question { port: Some((port, Transport::Tcp)), ..question };
        let answers = question.ask(&bare(proxy.clone()), &bare(guest(to)));
        let passes = answers.iter().any(|answer| answer.passes);
        Leg { leg, from: proxy.name.clone(), to: to.to_string(), passes, says: vec![what], answers }
    };
    if let Some(ForwardAuth { guest, upstream, .. }) = ingress.forward_auth(site.auth) {
        legs.push(behind(LegKind::Login, guest, upstream.port(), "who says who somebody is".to_owned()));
    }
    legs.push(behind(LegKind::Guest, &site.guest, site.upstream.port(), "what the site leads to".to_owned()));
    legs
}

/// A guest as one end of a question.
#[must_use]
pub fn guest_endpoint(question: Question<'_, '_>, name: &GuestName) -> Endpoint {
    let guest = question.solver.network().guests.get(name);
    let end = |nic| End::Guest { name: name.clone(), nic };
    let addresses = guest.into_iter().flat_map(|guest| guest.addresses()).map(|(nic, address)| (end(nic), address));
    let members = question.tailnet.map(|tailnet| tailnet.names_of(name).to_vec()).unwrap_or_default();
    Endpoint { name: name.to_string(), addresses: addresses.collect(), members }
}

/// Where the name leads. Who looks it up elsewhere may be told something else, so this bars nobody.
fn name_leg(blueprint: &Blueprint, ingress: &Ingress, site: &Site, from: &Endpoint) -> Leg {
    let (name, proxy) = (&site.name, ingress.address);
    let mut says = Vec::new();
    match blueprint.look_up(name) {
        _ if name.ends_with(".ts.net") => says.push("Tailscale answers for it".to_owned()),
        Some(found) => {
            let by = format!("by the zone {} in {}", found.zone.name, found.zone.guest);
            says.push(match found.address {
                Some(address) => format!("{name} is {address} {by}"),
                None => format!("{by}, {name} has no address that this inventory knows"),
            });
            if found.address.is_some_and(|address| address != proxy) {
                says.push(format!("that is not {proxy}, the proxy's address on its bridge"));
            }
            let afar = from.addresses.is_empty() && found.address.is_some_and(|address| !in_tailnet(address));
            if afar {
                let guest = &ingress.guest;
                says.push(format!(
                    "that address is of the bridge; who is in the tailnet has to be told the one that {guest} has there"
                ));
            }
        }
        None => says.push(format!("no zone of this inventory has it; another name server has to lead it to {proxy}")),
    }
    let to = ingress.guest.to_string();
    Leg { leg: LegKind::Name, from: from.name.clone(), to, passes: true, says, answers: Vec::new() }
}

fn proxy_leg(
    ingress: &Ingress,
    site: &Site,
    from: &Endpoint,
    proxy: &Endpoint,
    port: u16,
    ask: impl Fn(&Endpoint, &Endpoint, u16) -> Vec<Answer>,
) -> Leg {
    let answers = ask(from, proxy, port);
    let counts = |answer: &&Answer| answer.passes && (!site.tailnet_only || answer.over == Over::Tailnet);
    let passes = answers.iter().any(|answer| counts(&answer)) && ingress.ports().contains(&port);
    let mut says = Vec::new();
    if !ingress.ports().contains(&port) {
        let ports: Vec<String> = ingress.ports().iter().map(u16::to_string).collect();
        says.push(format!("the proxy listens on {} alone", ports.join(" and ")));
    }
    if site.tailnet_only {
        says.push("only members of the tailnet get in: whoever comes over a bridge is answered with 403".to_owned());
    }
    says.extend(match site.auth {
        Auth::None => None,
        Auth::Basic => Some("it asks for a name and a password".to_owned()),
        Auth::Authelia => Some("it asks Authelia who somebody is".to_owned()),
        Auth::Authentik => Some("it asks authentik who somebody is".to_owned()),
    });
    Leg { leg: LegKind::Proxy, from: from.name.clone(), to: proxy.name.clone(), passes, says, answers }
}

/// Whether an address is one of a tailnet's (<https://tailscale.com/kb/1015>).
pub fn in_tailnet(address: IpAddr) -> bool {
    ["100.64.0.0/10", "fd7a:115c:a1e0::/48"]
        .iter()
        .any(|network| network.parse::<IpNet>().is_ok_and(|network| network.contains(&address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;
    use crate::isolation::{Network, Solver, Tailnet};

    const OVER: &str = "
tailnet: { key: secret:t }
ingress: { guest: proj-x, from: [192.168.10.0/24, tag:phone], tls: internal }
dns: { zones: { example.com: { guest: proj-x } } }
guests:
  plan-hq:
    services: [open-webui]
    routes: { plan.example.com: 3000, own.example.com: { port: 3000, tailnet_only: true }, x.example.org: 3000 }
  proj-x: { routes: { self.example.com: 8080 } }
";

    fn said(name: &str, from: &Endpoint) -> Vec<(LegKind, bool, String)> {
        let blueprint = with(OVER);
        let network = Network::desired(&blueprint);
        let solver = Solver::new(&network);
        let tailnet = Tailnet::desired(&blueprint);
        let question = Question { solver: &solver, tailnet: tailnet.as_ref(), port: None };
        let ingress = blueprint.ingress.as_ref().unwrap();
        let legs = legs(question, &blueprint, ingress, &ingress.sites[name], from);
        legs.into_iter().map(|leg| (leg.leg, leg.passes, leg.says.join("; "))).collect()
    }

    fn phone(name: &str) -> Endpoint {
        Endpoint { name: name.into(), addresses: Vec::new(), members: vec![name.into()] }
    }

    fn lan() -> Endpoint {
        Endpoint {
            name: "lan".into(),
            addresses: vec![(End::Outside, "192.168.10.7".parse().unwrap())],
            members: Vec::new(),
        }
    }

    #[test]
    fn a_site_is_reached_leg_by_leg() {
        let legs = said("plan.example.com", &phone("tag:phone"));
        let kinds: Vec<_> = legs.iter().map(|(kind, passes, _)| (*kind, *passes)).collect();
        assert_eq!(kinds, [(LegKind::Name, true), (LegKind::Proxy, true), (LegKind::Guest, true)]);
        assert!(legs[0].2.contains("10.0.0.123 by the zone example.com in proj-x"), "{}", legs[0].2);
        assert!(legs[0].2.contains("has to be told the one that proj-x has there"), "{}", legs[0].2);
        assert!(!said("plan.example.com", &phone("tag:tv"))[1].1, "nobody lets it in");
        assert!(said("x.example.org", &lan())[0].2.contains("no zone of this inventory has it"));
        assert!(said("self.example.com", &lan())[2].2.contains("in the proxy's own guest, port 8080"));
    }

    #[test]
    fn who_comes_over_a_bridge_does_not_get_in_to_what_is_for_the_tailnet_alone() {
        assert!(said("plan.example.com", &lan())[1].1);
        let legs = said("own.example.com", &lan());
        assert!(!legs[1].1 && legs[1].2.contains("403"), "{legs:?}");
        assert!(said("own.example.com", &phone("tag:phone"))[1].1);
    }
}
