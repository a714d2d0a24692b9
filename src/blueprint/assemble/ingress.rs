//! The reverse proxy and its sites.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{Audience, Auth, ForwardAuth, Ingress, Party, Proxy, SecretRef, ServicePort, Site, Tls};
use crate::diag::Spanned;
use crate::inventory::{self, AuthName, DnsProvider, LocalService, ProxyName, TlsName, VisitorName};
use crate::model::{PortName, Transport};

/// What Authelia and authentik's outpost listen on unless told otherwise.
const AUTHELIA_PORT: u16 = 9091;
const AUTHENTIK_PORT: u16 = 9000;
/// A long answer that is not streamed comes only when all of it was made.
const FIRST_BYTE_S: u32 = 1800;

/// `None` if something is missing, `Some(None)` without a reverse proxy.
#[expect(clippy::option_option, reason = "no proxy and an incomplete one are two things")]
pub(super) fn ingress(draft: &Draft<'_>) -> Option<Option<Ingress>> {
    let Some(own) = &draft.inventory.document.ingress else { return Some(None) };
    let guest = draft.guest(&own.guest.as_ref()?.value)?;
    let block = own.tls.as_ref()?;
    let default = source(block, block.by?.value)?;
    let mut sites = std::collections::BTreeMap::new();
    for other in &draft.guests {
        for (name, route) in other.routes() {
            let site = Site {
                name: name.value.0.clone(),
                guest: other.name.value.clone(),
                upstream: upstream(guest, other, route_port(draft, route)?)?,
                auth: auth(route.auth.or(own.auth).map_or(AuthName::None, |auth| auth.value)),
                tailnet_only: route.tailnet_only.is_some_and(|only| only.value),
                tls: match route.tls {
                    Some(by) => source(block, by.value)?,
                    None => default.clone(),
                },
                streaming: route.streaming.is_some_and(|streaming| streaming.value),
                first_byte_s: route.timeout.map_or(FIRST_BYTE_S, |seconds| seconds.value),
                span: name.span,
            };
            sites.insert(site.name.clone(), site);
        }
    }
    let asked = |wanted: Auth, block: &Option<Spanned<inventory::ForwardAuth>>, port: u16| match block {
        Some(block) if sites.values().any(|site| site.auth == wanted) => {
            let other = draft.guest(&block.guest.as_ref()?.value)?;
            Some(Some(ForwardAuth {
                guest: other.name.value.clone(),
                upstream: upstream(guest, other, block.port.map_or(port, |port| port.value))?,
                portal: block.portal.as_ref().map(|portal| portal.value.0.clone()),
                span: block.span,
            }))
        }
        _ => Some(None),
    };
    let authelia = asked(Auth::Authelia, &own.authelia, AUTHELIA_PORT)?;
    let authentik = asked(Auth::Authentik, &own.authentik, AUTHENTIK_PORT)?;
    let visitors = own.from.as_ref()?.iter().map(|visitor| {
        let party = match &visitor.value {
            VisitorName::Internet => Party::Internet,
            VisitorName::Network(network) => Party::Network(*network),
            VisitorName::Tailnet(who) => Party::Tailnet(who.clone()),
        };
        (party, visitor.span)
    });
    Some(Some(Ingress {
        guest: guest.name.value.clone(),
        address: guest.own.address.as_ref()?.value.0,
        proxy: match own.proxy.map(|proxy| proxy.value) {
            Some(ProxyName::Traefik) => Proxy::Traefik,
            Some(ProxyName::Caddy) | None => Proxy::Caddy,
        },
        visitors: visitors.collect(),
        tls: default,
        email: block.email.as_ref().map(|email| email.value.0.clone()),
        users: own
            .users
            .iter()
            .flatten()
            .map(|(name, hash)| (name.value.0.clone(), SecretRef { name: hash.value.0.clone(), span: hash.span }))
            .collect(),
        authelia,
        authentik,
        sites,
        span: own.span,
    }))
}

/// The port that a route leads to.
fn route_port(draft: &Draft<'_>, route: &inventory::Route) -> Option<u16> {
    match (&route.service, route.port) {
        (Some(service), _) => Some(web_ports(draft, service).first()?.1.ports.first()),
        (None, port) => port.map(|port| port.value),
    }
}

/// Ports of a service that a site can lead to: people may come to them, over TCP.
pub(in crate::blueprint) fn web_ports<'d>(
    draft: &'d Draft<'_>,
    what: &LocalService,
) -> Vec<(&'d PortName, &'d ServicePort)> {
    let ports = draft.ports(&what.service, what.port.as_ref(), Audience::People);
    ports.into_iter().filter(|(_, port)| port.transport == Transport::Tcp).collect()
}

fn upstream(proxy: &DraftGuest<'_>, guest: &DraftGuest<'_>, port: u16) -> Option<SocketAddr> {
    // A service that only the proxy beside it shall reach listens on loopback alone.
    let own = proxy.name == guest.name;
    let address = if own { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { guest.own.address.as_ref()?.value.0 };
    Some(SocketAddr::new(address, port))
}

fn auth(name: AuthName) -> Auth {
    match name {
        AuthName::None => Auth::None,
        AuthName::Basic => Auth::Basic,
        AuthName::Authelia => Auth::Authelia,
        AuthName::Authentik => Auth::Authentik,
    }
}

fn source(block: &inventory::Tls, by: TlsName) -> Option<Tls> {
    Some(match by {
        TlsName::Acme => Tls::Acme,
        TlsName::Dns => {
            let token = block.token.as_ref()?;
            Tls::Dns {
                provider: DnsProvider::as_str(block.provider?.value),
                token: SecretRef { name: token.value.0.clone(), span: token.span },
            }
        }
        TlsName::Internal => Tls::Internal,
        TlsName::Tailnet => Tls::Tailnet,
        TlsName::None => Tls::None,
    })
}
