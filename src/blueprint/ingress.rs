//! The reverse proxy with its sites, and the flows that follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Flow, FlowOrigin, Party, SecretRef};
use crate::diag::Span;
use crate::model::{GuestName, PortRange, Transport};

/// The reverse proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// The guest that it runs in.
    pub guest: GuestName,
    /// That guest's address.
    pub address: IpAddr,
    /// Which program it is.
    pub proxy: Proxy,
    /// Who may come in, and where that was written.
    pub visitors: Vec<(Party, Span)>,
    /// Where certificates come from unless a site says otherwise.
    pub tls: Tls,
    /// Where the authority writes to if something is wrong.
    pub email: Option<String>,
    /// Who may log in where a site asks for a name and a password: names, and the hashes of their passwords.
    pub users: BTreeMap<String, SecretRef>,
    /// Authelia, if a site asks it.
    pub authelia: Option<ForwardAuth>,
    /// authentik's outpost, if a site asks it.
    pub authentik: Option<ForwardAuth>,
    /// The sites by name.
    pub sites: BTreeMap<String, Site>,
    /// Where it was declared.
    pub span: Span,
}

/// Which reverse proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proxy {
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A public authority that looks at the site itself.
    Acme,
    /// A public authority that looks at a record of the zone.
    Dns {
        /// The provider's name, the same in Caddy's modules and in Traefik's.
        provider: &'static str,
        /// Its API token.
        token: SecretRef,
    },
    /// The proxy's own authority.
    Internal,
    /// Tailscale.
    Tailnet,
    /// Nowhere: plain HTTP.
    None,
}

/// A service that says who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardAuth {
    /// The guest that it runs in.
    pub guest: GuestName,
    /// Where the proxy reaches it.
    pub upstream: SocketAddr,
    /// The site that people log in at.
    pub portal: Option<String>,
    /// Where it was declared.
    pub span: Span,
}

/// A web site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name in DNS.
    pub name: String,
    /// The guest that it leads to.
    pub guest: GuestName,
    /// Where the proxy reaches it: the guest's address, or loopback if it is the proxy's own guest.
    pub upstream: SocketAddr,
    /// What a visitor has to prove.
    pub auth: Auth,
    /// Whether only members of the tailnet get in.
    pub tailnet_only: bool,
    /// Where its certificate comes from.
    pub tls: Tls,
    /// Whether also answers of known length go out byte for byte.
    pub streaming: bool,
    /// Seconds until the first byte of an answer, 1 to 86,400.
    pub first_byte_s: u32,
    /// Where it was declared.
    pub span: Span,
}

/// What a visitor has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Auth {
    /// Nothing.
    None,
    /// A name and a password.
    Basic,
    /// Whatever Authelia asks.
    Authelia,
    /// Whatever authentik asks.
    Authentik,
}

impl Ingress {
    /// The service that `auth` asks, if it asks one.
    #[must_use]
    pub fn forward_auth(&self, auth: Auth) -> Option<&ForwardAuth> {
        match auth {
            Auth::None | Auth::Basic => None,
            Auth::Authelia => self.authelia.as_ref(),
            Auth::Authentik => self.authentik.as_ref(),
        }
    }

    /// Whether a site asks for a name and a password.
    #[must_use]
    pub fn has_basic_auth(&self) -> bool {
        self.sites.values().any(|site| site.auth == Auth::Basic)
    }

    /// Ports that visitors come in by: 443, and 80 for plain sites, for sending people on to 443, and for the
    /// authority that looks there.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        let secure = self.sites.values().any(|site| site.tls != Tls::None);
        if secure { BTreeSet::from([80, 443]) } else { BTreeSet::from([80]) }
    }

    /// The flows that follow: visitors to the proxy, the proxy to each site's guest and to whoever says who somebody
    /// is. What stays in one guest is no flow.
    #[must_use]
    pub fn flows(&self) -> Vec<Flow> {
        let to_guest = |guest: &GuestName, port: u16, why: FlowOrigin, span: Span| {
            let ports = PortRange::one(port).filter(|_| *guest != self.guest)?;
            let (from, to) = (Party::Guest(self.guest.clone()), Party::Guest(guest.clone()));
            Some(Flow { from, to, transport: Transport::Tcp, ports, why, span })
        };
        let visitors = self.visitors.iter().flat_map(|(party, span)| {
            self.ports().into_iter().filter_map(|port| {
                let (from, to) = (party.clone(), Party::Guest(self.guest.clone()));
                let ports = PortRange::one(port)?;
                Some(Flow { from, to, transport: Transport::Tcp, ports, why: FlowOrigin::Ingress, span: *span })
            })
        });
        let sites = self.sites.values().filter_map(|site| {
            to_guest(&site.guest, site.upstream.port(), FlowOrigin::Route(site.name.clone()), site.span)
        });
        let asked = self.authelia.iter().chain(&self.authentik);
        let asked =
            asked.filter_map(|asked| to_guest(&asked.guest, asked.upstream.port(), FlowOrigin::Ingress, asked.span));
        visitors.chain(sites).chain(asked).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::with;

    const OVER: &str = "
ingress:
  guest: plan-hq
  from: [192.168.10.0/24, tag:phone]
  tls: internal
  authelia: { guest: proj-x }
guests:
  plan-hq: { routes: { chat.example.com: 3000 } }
  proj-x: { routes: { x.example.com: { port: 8080, auth: authelia }, auth.example.com: 9091 } }
";

    #[test]
    fn every_route_is_a_flow_from_the_proxy_and_visitors_reach_nothing_else() {
        let blueprint = with(OVER);
        let ingress = blueprint.ingress.as_ref().unwrap();
        let flows: Vec<String> =
            ingress.flows().iter().map(|flow| format!("{} {} {}", flow.from, flow.to, flow.ports)).collect();
        assert_eq!(
            flows,
            [
                "192.168.10.0/24 plan-hq 80",
                "192.168.10.0/24 plan-hq 443",
                "tag:phone plan-hq 80",
                "tag:phone plan-hq 443",
                "plan-hq proj-x 9091",
                "plan-hq proj-x 8080",
                "plan-hq proj-x 9091",
            ]
        );
        assert_eq!(ingress.sites["chat.example.com"].upstream.to_string(), "127.0.0.1:3000");
        assert_eq!(ingress.sites["x.example.com"].upstream.to_string(), "10.0.0.123:8080");
    }

    #[test]
    fn plain_sites_need_one_port() {
        let blueprint = with(&OVER.replace("tls: internal", "tls: none"));
        assert_eq!(blueprint.ingress.unwrap().ports().into_iter().collect::<Vec<_>>(), [80]);
    }
}
