//! The reverse proxy that web sites come in by, and where each of them leads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{
    AuthName, DnsProvider, Email, LocalService, LoginName, ProxyName, SecretName, SiteName, TlsName, VisitorName,
};
use crate::diag::Spanned;
use crate::model::GuestName;

/// The reverse proxy. Every site of `routes` is served by it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Ingress {
    /// The guest that it runs in.
    #[schemars(required, example = &"plan-hq")]
    pub guest: Option<Spanned<GuestName>>,
    /// Which program it is; `caddy` unless given.
    pub proxy: Option<Spanned<ProxyName>>,
    /// Who may come in: networks, addresses, `internet`, and names of the tailnet's policy such as `tag:phone`.
    #[schemars(required, example = &["192.168.10.0/24", "tag:phone"])]
    pub from: Option<Vec<Spanned<VisitorName>>>,
    /// Where certificates come from. A word alone will do.
    #[schemars(required)]
    pub tls: Option<Spanned<Tls>>,
    /// What a visitor has to prove where a route says nothing of it; `none` unless given.
    pub auth: Option<Spanned<AuthName>>,
    /// Who may log in where `auth` is `basic`: names, and where the hash of each one's password comes from (bcrypt,
    /// as `caddy hash-password` and `htpasswd -B` print it).
    #[schemars(example = &r#"{"alice": "secret:alice-hash"}"#)]
    pub users: Option<BTreeMap<Spanned<LoginName>, Spanned<SecretName>>>,
    /// Where Authelia is, for `auth: authelia`.
    pub authelia: Option<Spanned<ForwardAuth>>,
    /// Where authentik's outpost is, for `auth: authentik`.
    pub authentik: Option<Spanned<ForwardAuth>>,
}

/// Where certificates come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct Tls {
    /// By which way.
    #[schemars(required)]
    pub by: Option<Spanned<TlsName>>,
    /// `acme` and `dns`: where the authority writes to if something is wrong.
    pub email: Option<Spanned<Email>>,
    /// `dns`: who serves the public zone.
    pub provider: Option<Spanned<DnsProvider>>,
    /// `dns`: where the provider's API token comes from.
    #[schemars(example = &"secret:dns-token")]
    pub token: Option<Spanned<SecretName>>,
}

/// A service that says who somebody is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ForwardAuth {
    /// The guest that it runs in.
    #[schemars(required)]
    pub guest: Option<Spanned<GuestName>>,
    /// Its port; 9091 for Authelia and 9000 for authentik unless given.
    #[schemars(range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// The site that people log in at; one of the routes. Authelia needs it unless its own configuration says it.
    #[schemars(example = &"auth.example.com")]
    pub portal: Option<Spanned<SiteName>>,
}

/// Where a site leads. A port alone will do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_number)]
pub struct Route {
    /// The port of the guest; this or `service`.
    #[schemars(range(min = 1), example = 8080)]
    pub port: Option<Spanned<u16>>,
    /// A service of the guest, as `service` or `service/port`; this or `port`.
    #[schemars(example = &"open-webui")]
    pub service: Option<Spanned<LocalService>>,
    /// What a visitor has to prove; as `ingress.auth` says unless given.
    pub auth: Option<Spanned<AuthName>>,
    /// Whether only members of the tailnet get in; not unless given.
    pub tailnet_only: Option<Spanned<bool>>,
    /// Where its certificate comes from; as `ingress.tls` says unless given.
    pub tls: Option<Spanned<TlsName>>,
    /// Whether answers that say how long they are go out byte for byte, too. What streams without saying so (tokens,
    /// events, WebSocket) is never held back. With it, a generation goes on after its reader hung up.
    pub streaming: Option<Spanned<bool>>,
    /// Seconds until the first byte of an answer; 1800 unless given, for models answer late.
    #[schemars(range(min = 1, max = 86400))]
    pub timeout: Option<Spanned<u32>>,
}
