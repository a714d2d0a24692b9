//! The configuration of Traefik 3: the same routes as Caddy's, another renderer.
//!
//! Made of values and not of text: [`super::yaml`] is the only one that writes. Traefik fills its dynamic file as a
//! template first; the writer sees to it that nothing in it is one.

use serde_json::{Map, Value, json};

use super::caddy::{AUTHELIA, AUTHENTIK, TAILNET, authelia_uri};
use crate::blueprint::{Auth, Ingress, Site, Tls};

/// Where things are in the guest that Traefik runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraefikPlace {
    /// The folder with dynamic configuration.
    pub dynamic: String,
    /// The file with names and hashes of passwords.
    pub users: String,
    /// The file that certificates are kept in.
    pub certificates: String,
}

impl Default for TraefikPlace {
    fn default() -> Self {
        Self {
            dynamic: "/etc/traefik/dynamic".to_owned(),
            users: "/etc/traefik/infra-users".to_owned(),
            certificates: "/var/lib/traefik/acme.json".to_owned(),
        }
    }
}

/// What Traefik is started with: entry points, certificates, where routes are.
#[must_use]
pub fn traefik_static(ingress: &Ingress, place: &TraefikPlace) -> Value {
    let timeouts = json!({ "respondingTimeouts": { "readTimeout": "0s", "idleTimeout": "300s" } });
    let mut resolvers = Map::new();
    let mut acme = Map::new();
    if let Some(email) = &ingress.email {
        acme.insert("email".into(), json!(email));
    }
    acme.insert("storage".into(), json!(place.certificates));
    for site in ingress.sites.values() {
        let with = |challenge: &str, how: Value| {
            let mut acme = acme.clone();
            acme.insert(challenge.into(), how);
            json!({ "acme": acme })
        };
        let resolver = match &site.tls {
            Tls::Acme => with("httpChallenge", json!({ "entryPoint": "web" })),
            Tls::Dns { provider, .. } => with("dnsChallenge", json!({ "provider": provider })),
            Tls::Tailnet => json!({ "tailscale": {} }),
            Tls::Internal | Tls::None => continue,
        };
        if let Some(name) = resolver_of(&site.tls) {
            resolvers.insert(name.to_owned(), resolver);
        }
    }
    let mut all = json!({
        "entryPoints": {
            "web": { "address": ":80", "transport": timeouts },
            "websecure": { "address": ":443", "transport": timeouts },
        },
        "providers": { "file": { "directory": place.dynamic, "watch": true } },
    });
    if !resolvers.is_empty() {
        all["certificatesResolvers"] = Value::Object(resolvers);
    }
    all
}

fn resolver_of(tls: &Tls) -> Option<&'static str> {
    match tls {
        Tls::Acme => Some("acme"),
        Tls::Dns { .. } => Some("dns"),
        Tls::Tailnet => Some("tailscale"),
        Tls::Internal | Tls::None => None,
    }
}

/// The routes.
#[must_use]
pub fn traefik_dynamic(ingress: &Ingress, place: &TraefikPlace) -> Value {
    let (mut routers, mut services, mut transports) = (Map::new(), Map::new(), Map::new());
    for site in ingress.sites.values() {
        let id = site.name.replace('.', "-");
        let secure = site.tls != Tls::None;
        let rule = format!("Host(`{}`)", site.name);
        let asked = ingress.forward_auth(site.auth);
        routers.insert(id.clone(), router(&rule, &site.tls, &id, &middlewares(site)));
        if let Some(asked) = asked.filter(|_| site.auth == Auth::Authentik) {
            let rule = format!("{rule} && PathPrefix(`/outpost.goauthentik.io/`)");
            let mut outpost = router(&rule, &site.tls, "infra-authentik", &strangers(site));
            // Before the site's own, as authentik's documentation has it.
            outpost["priority"] = json!(1000);
            routers.insert(format!("{id}-outpost"), outpost);
            services.insert(
                "infra-authentik".into(),
                json!({ "loadBalancer": { "servers": [{ "url": format!("http://{}", asked.upstream) }] } }),
            );
        }
        if secure {
            let mut plain = router(&rule, &Tls::None, &id, &["infra-to-https".to_owned()]);
            plain["entryPoints"] = json!(["web"]);
            routers.insert(format!("{id}-plain"), plain);
        }
        let transport = format!("infra-{}s", site.first_byte_s);
        let mut balancer = json!({
            "servers": [{ "url": format!("http://{}", site.upstream) }],
            "passHostHeader": true,
            "serversTransport": transport,
        });
        if site.streaming {
            balancer["responseForwarding"] = json!({ "flushInterval": "1ms" });
        }
        services.insert(id, json!({ "loadBalancer": balancer }));
        transports.insert(
            transport,
            json!({ "forwardingTimeouts": {
                "dialTimeout": "5s", "responseHeaderTimeout": format!("{}s", site.first_byte_s),
            } }),
        );
    }
    let mut http = Map::new();
    http.insert("routers".into(), Value::Object(routers));
    http.insert("middlewares".into(), all_middlewares(ingress, place));
    http.insert("services".into(), Value::Object(services));
    http.insert("serversTransports".into(), Value::Object(transports));
    // Traefik refuses empty blocks of these.
    http.retain(|_, block| block.as_object().is_some_and(|block| !block.is_empty()));
    if http.is_empty() { json!({}) } else { json!({ "http": http }) }
}

fn router(rule: &str, tls: &Tls, service: &str, middlewares: &[String]) -> Value {
    let mut router = json!({
        "rule": rule,
        "entryPoints": [if *tls == Tls::None { "web" } else { "websecure" }],
        "service": service,
        "middlewares": middlewares,
    });
    if let Some(resolver) = resolver_of(tls) {
        router["tls"] = json!({ "certResolver": resolver });
    }
    router
}

/// Who gets as far as being asked, and with which headers.
fn strangers(site: &Site) -> Vec<String> {
    let only = site.tailnet_only.then_some("infra-tailnet");
    let headers = if site.tls == Tls::None { "infra-headers-plain" } else { "infra-headers" };
    only.into_iter().chain([headers]).map(str::to_owned).collect()
}

fn middlewares(site: &Site) -> Vec<String> {
    let asked = match site.auth {
        Auth::None => None,
        Auth::Basic => Some("infra-basic"),
        Auth::Authelia => Some("infra-authelia"),
        Auth::Authentik => Some("infra-authentik"),
    };
    strangers(site).into_iter().chain(asked.map(str::to_owned)).collect()
}

fn all_middlewares(ingress: &Ingress, place: &TraefikPlace) -> Value {
    let mut all = Map::new();
    // An empty value removes a header: who somebody is, is said by this proxy alone.
    let strangers: Map<String, Value> =
        AUTHELIA.iter().chain(&AUTHENTIK).map(|header| ((*header).to_owned(), json!(""))).collect();
    let headers = |hsts: bool| {
        let mut headers = json!({
            "customRequestHeaders": strangers,
            "contentTypeNosniff": true,
            "customFrameOptionsValue": "SAMEORIGIN",
            "referrerPolicy": "strict-origin-when-cross-origin",
        });
        if hsts {
            headers["stsSeconds"] = json!(31_536_000);
        }
        json!({ "headers": headers })
    };
    let (plain, secure): (Vec<&Site>, Vec<&Site>) = ingress.sites.values().partition(|site| site.tls == Tls::None);
    if !plain.is_empty() {
        all.insert("infra-headers-plain".into(), headers(false));
    }
    if !secure.is_empty() {
        all.insert("infra-headers".into(), headers(true));
        all.insert("infra-to-https".into(), json!({ "redirectScheme": { "scheme": "https", "permanent": true } }));
    }
    if ingress.sites.values().any(|site| site.tailnet_only) {
        all.insert("infra-tailnet".into(), json!({ "ipAllowList": { "sourceRange": TAILNET } }));
    }
    if ingress.has_basic_auth() {
        let basic = json!({ "usersFile": place.users, "removeHeader": true, "headerField": "Remote-User" });
        all.insert("infra-basic".into(), json!({ "basicAuth": basic }));
    }
    if let Some(asked) = &ingress.authelia {
        let address = format!("http://{}{}", asked.upstream, authelia_uri(asked.portal.as_deref()));
        let forward = json!({ "address": address, "trustForwardHeader": false, "authResponseHeaders": AUTHELIA });
        all.insert("infra-authelia".into(), json!({ "forwardAuth": forward }));
    }
    if let Some(asked) = &ingress.authentik {
        let address = format!("http://{}/outpost.goauthentik.io/auth/traefik", asked.upstream);
        let forward = json!({ "address": address, "trustForwardHeader": false, "authResponseHeaders": AUTHENTIK });
        all.insert("infra-authentik".into(), json!({ "forwardAuth": forward }));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;
    use crate::render::yaml;

    const OVER: &str = "
ingress:
  guest: plan-hq
  proxy: traefik
  from: [internet, tag:phone]
  tls: { by: dns, provider: cloudflare, token: secret:dns, email: me@example.com }
  auth: authentik
  authentik: { guest: proj-x }
  users: { alice: secret:alice }
guests:
  plan-hq: { routes: { chat.example.com: 3000 } }
  proj-x:
    routes:
      auth.example.com: { port: 9000, auth: none }
      x.example.com: { port: 8080, auth: basic, tailnet_only: true, tls: none, streaming: true, timeout: 60 }
";

    #[test]
    fn every_name_that_is_used_is_there() {
        let ingress = with(OVER).ingress.unwrap();
        let place = TraefikPlace::default();
        let (dynamic, fixed) = (traefik_dynamic(&ingress, &place), traefik_static(&ingress, &place));
        let http = &dynamic["http"];
        let routers = http["routers"].as_object().unwrap();
        assert_eq!(routers.len(), 6, "three sites, two of them also on 80, one outpost: {routers:#?}");
        for (name, router) in routers {
            let service = router["service"].as_str().unwrap();
            let transport = &http["services"][service]["loadBalancer"]["serversTransport"];
            assert!(http["services"][service].is_object(), "{name}");
            assert!(transport.is_null() || http["serversTransports"][transport.as_str().unwrap()].is_object());
            for middleware in router["middlewares"].as_array().unwrap() {
                assert!(http["middlewares"][middleware.as_str().unwrap()].is_object(), "{name} {middleware}");
            }
            if let Some(resolver) = router["tls"]["certResolver"].as_str() {
                assert!(fixed["certificatesResolvers"][resolver].is_object(), "{name}");
            }
            let entry = router["entryPoints"][0].as_str().unwrap();
            assert!(fixed["entryPoints"][entry].is_object());
            assert_eq!(entry == "websecure", router["tls"].is_object(), "{name}");
        }
        let order = &routers["x-example-com"]["middlewares"];
        assert_eq!(*order, json!(["infra-tailnet", "infra-headers-plain", "infra-basic"]));
    }

    #[test]
    fn the_static_part() {
        let ingress = with(OVER).ingress.unwrap();
        insta::assert_snapshot!(yaml(&traefik_static(&ingress, &TraefikPlace::default())), @r#"
        entryPoints:
          web:
            address: ":80"
            transport:
              respondingTimeouts:
                readTimeout: "0s"
                idleTimeout: "300s"
          websecure:
            address: ":443"
            transport:
              respondingTimeouts:
                readTimeout: "0s"
                idleTimeout: "300s"
        providers:
          file:
            directory: "/etc/traefik/dynamic"
            watch: true
        certificatesResolvers:
          dns:
            acme:
              email: "me@example.com"
              storage: "/var/lib/traefik/acme.json"
              dnsChallenge:
                provider: "cloudflare"
        "#);
    }

    #[test]
    fn nothing_to_serve_is_an_empty_block() {
        let mut ingress = with(OVER).ingress.unwrap();
        ingress.sites.clear();
        ingress.authentik = None;
        assert_eq!(traefik_dynamic(&ingress, &TraefikPlace::default()), json!({}));
    }
}
