//! The configuration of Caddy, for 2.6.2 (Debian 12) as well as for what is current.
//!
//! Where the two differ, what both take is written: `basicauth`, which newer ones call `basic_auth` and still know;
//! `remote_ip`, which in both is the address that the connection comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use minijinja::{Value, context};
use secrecy::{ExposeSecret, SecretString};

use super::fill::{Syntax, Unwritable, fill};
use crate::blueprint::{Auth, Ingress, Site, Tls};
use crate::model::EnvironmentName;

const TEMPLATE: &str = include_str!("../../templates/caddy/Caddyfile.j2");

const SYNTAX: Syntax = Syntax { target: "a Caddyfile", write: caddy_token };

/// Addresses of Tailscale's nodes (its documentation, "IP pool"); `tailscaled` drops packets with such a source from
/// everywhere but the tailnet.
pub(super) const TAILNET: [&str; 2] = ["100.64.0.0/10", "fd7a:115c:a1e0::/48"];

/// What Authelia says of somebody.
pub(super) const AUTHELIA: [&str; 4] = ["Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name"];

/// What authentik says of somebody. Caddy looks for these very capitals (authentik's documentation).
pub(super) const AUTHENTIK: [&str; 12] = [
    "X-Authentik-Username",
    "X-Authentik-Groups",
    "X-Authentik-Entitlements",
    "X-Authentik-Email",
    "X-Authentik-Name",
    "X-Authentik-Uid",
    "X-Authentik-Jwt",
    "X-Authentik-Meta-Jwks",
    "X-Authentik-Meta-Outpost",
    "X-Authentik-Meta-Provider",
    "X-Authentik-Meta-App",
    "X-Authentik-Meta-Version",
];

/// Where things are in the guest that Caddy runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaddyPlace {
    /// Where it is administered: an address of loopback.
    pub admin: String,
    /// The file with names and hashes of passwords.
    pub users: String,
    /// Where it keeps certificates; its own default unless given.
    pub storage: Option<String>,
    /// Addresses that it listens on; all of them if there are none.
    pub bind: Vec<IpAddr>,
    /// The port of plain HTTP.
    pub http_port: u16,
    /// The port of HTTPS.
    pub https_port: u16,
}

/// As Debian's package has it.
impl Default for CaddyPlace {
    fn default() -> Self {
        Self {
            admin: "localhost:2019".to_owned(),
            users: "/etc/caddy/infra-users".to_owned(),
            storage: None,
            bind: Vec::new(),
            http_port: 80,
            https_port: 443,
        }
    }
}

/// The Caddyfile of an ingress.
///
/// # Errors
/// If a value cannot be written in it; none that an inventory can hold.
pub fn caddyfile(environment: &EnvironmentName, ingress: &Ingress, place: &CaddyPlace) -> Result<String, Unwritable> {
    let identity: Vec<&str> = AUTHELIA.into_iter().chain(AUTHENTIK).collect();
    let values = context! {
        environment => environment.as_str(),
        place => context! {
            admin => place.admin.clone(),
            users => place.users.clone(),
            storage => place.storage.clone(),
            bind => place.bind.iter().map(ToString::to_string).collect::<Vec<_>>(),
            http_port => place.http_port,
            https_port => place.https_port,
        },
        email => ingress.email.clone(),
        identity,
        authentik => AUTHENTIK.to_vec(),
        tailnet => TAILNET.to_vec(),
        sites => ingress.sites.values().map(|own| site(ingress, own)).collect::<Vec<_>>(),
    };
    fill(TEMPLATE, values, &SYNTAX)
}

fn site(ingress: &Ingress, site: &Site) -> Value {
    let (tls, provider) = match &site.tls {
        Tls::Acme => ("acme", ""),
        Tls::Dns { provider, .. } => ("dns", *provider),
        Tls::Internal => ("internal", ""),
        Tls::Tailnet => ("tailnet", ""),
        Tls::None => ("none", ""),
    };
    let asked = ingress.forward_auth(site.auth);
    context! {
        address => if site.tls == Tls::None { format!("http://{}", site.name) } else { site.name.clone() },
        tls,
        provider,
        // Who trusts a root certificate of ours today may not have it tomorrow, and could not even click it away.
        hsts => matches!(site.tls, Tls::Acme | Tls::Dns { .. } | Tls::Tailnet),
        tailnet_only => site.tailnet_only,
        auth => match site.auth {
            Auth::None => "none",
            Auth::Basic => "basic",
            Auth::Authelia => "authelia",
            Auth::Authentik => "authentik",
        },
        asked => asked.map(|asked| asked.upstream.to_string()).unwrap_or_default(),
        asked_uri => authelia_uri(asked.and_then(|asked| asked.portal.as_deref())),
        upstream => site.upstream.to_string(),
        streaming => site.streaming,
        first_byte_s => site.first_byte_s,
    }
}

/// What Authelia 4.38 and later is asked; before, it was `/api/verify`.
pub(super) fn authelia_uri(portal: Option<&str>) -> String {
    let path = "/api/authz/forward-auth";
    match portal {
        Some(portal) => format!("{path}?authelia_url=https%3A%2F%2F{portal}%2F"),
        None => path.to_owned(),
    }
}

/// `text` as one token of a Caddyfile, if it can be one.
///
/// `{$NAME}` is replaced before quotes are looked at and `{…}` after, a backslash before the closing quote hides it,
/// and there is no way to write any of it literally that all versions agree on: texts with those are refused.
#[must_use]
pub fn caddy_token(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@*+%?=[]$,".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(['@', '<']) {
        return Some(text.to_owned());
    }
    let hidden = |c: char| c.is_control() || matches!(c, '"' | '\\' | '`' | '{' | '}' | '\u{feff}');
    (!text.contains(hidden)).then(|| format!("\"{text}\""))
}

/// A hash that Caddy would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what the secret of `{user}` holds is no bcrypt hash of a password")]
pub struct PasswordHashRefused {
    /// Whose.
    pub user: String,
}

/// The file that `basicauth` imports: one line per user. Also what Traefik takes with `separator` `:`.
///
/// # Errors
/// If a hash is none: a password in clear text shall not be put on a disk.
pub fn caddy_users(
    users: &BTreeMap<String, SecretString>,
    separator: char,
) -> Result<SecretString, PasswordHashRefused> {
    let mut text = String::new();
    for (user, hash) in users {
        let hash = hash.expose_secret().trim_end_matches(['\r', '\n']);
        if !is_bcrypt(hash) {
            return Err(PasswordHashRefused { user: user.clone() });
        }
        let user = caddy_token(user).ok_or_else(|| PasswordHashRefused { user: user.escape_debug().to_string() })?;
        let _ = writeln!(text, "{user}{separator}{hash}");
    }
    Ok(SecretString::from(text))
}

/// `$2y$12$` and 53 letters of its own base 64: salt and hash.
fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$');
    let head = (parts.next(), parts.next(), parts.next());
    let (Some(""), Some("2a" | "2b" | "2y"), Some(cost)) = head else { return false };
    let rest = parts.next().unwrap_or_default();
    cost.len() == 2
        && cost.bytes().all(|b| b.is_ascii_digit())
        && parts.next().is_none()
        && rest.len() == 53
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::blueprint::testing::with;

    const HASH: &str = "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG";

    fn rendered(over: &str) -> String {
        let blueprint = with(over);
        caddyfile(&blueprint.name, blueprint.ingress.as_ref().unwrap(), &CaddyPlace::default()).unwrap()
    }

    #[test]
    fn a_site_of_each_kind() {
        let text = rendered(
            "
ingress:
  guest: plan-hq
  from: [internet, tag:phone]
  tls: { by: acme, email: me@example.com }
  users: { alice: secret:alice }
  authelia: { guest: proj-x, portal: auth.example.com }
guests:
  plan-hq: { routes: { plan.example.com: { port: 3000, auth: authelia } } }
  proj-x:
    routes:
      auth.example.com: 9091
      proj-x.example.com: { port: 8080, tailnet_only: true, tls: internal, auth: basic, streaming: true, timeout: 60 }
",
        );
        let text = text.replace('\t', "  ");
        insta::assert_snapshot!(text.split_once("\n\n# Who").unwrap().0, @r"
        # Written by infra for test: change the inventory, not this file.
        {
          admin localhost:2019
          email me@example.com
          skip_install_trust
          servers {
            protocols h1 h2
            timeouts {
              read_header 10s
              idle 5m
            }
          }
        }
        ");
        let sites = format!("auth.example.com {{{}", text.split_once("\nauth.example.com {").unwrap().1);
        insta::assert_snapshot!(sites, @r#"
        auth.example.com {
          header ?Strict-Transport-Security max-age=31536000
          header ?X-Content-Type-Options nosniff
          header ?X-Frame-Options SAMEORIGIN
          header ?Referrer-Policy strict-origin-when-cross-origin
          header -Server
          route {
            import infra_strangers
            reverse_proxy http://10.0.0.123:9091 {
              transport http {
                dial_timeout 5s
                response_header_timeout 1800s
              }
            }
          }
        }

        plan.example.com {
          header ?Strict-Transport-Security max-age=31536000
          header ?X-Content-Type-Options nosniff
          header ?X-Frame-Options SAMEORIGIN
          header ?Referrer-Policy strict-origin-when-cross-origin
          header -Server
          route {
            import infra_strangers
            forward_auth http://10.0.0.123:9091 {
              uri /api/authz/forward-auth?authelia_url=https%3A%2F%2Fauth.example.com%2F
              copy_headers Remote-User Remote-Groups Remote-Email Remote-Name
            }
            reverse_proxy http://127.0.0.1:3000 {
              transport http {
                dial_timeout 5s
                response_header_timeout 1800s
              }
            }
          }
        }

        proj-x.example.com {
          tls internal
          header ?X-Content-Type-Options nosniff
          header ?X-Frame-Options SAMEORIGIN
          header ?Referrer-Policy strict-origin-when-cross-origin
          header -Server
          route {
            @outside not remote_ip 100.64.0.0/10 fd7a:115c:a1e0::/48
            respond @outside "This site is for members of the tailnet." 403
            import infra_strangers
            basicauth {
              import /etc/caddy/infra-users
            }
            request_header Remote-User {http.auth.user.id}
            reverse_proxy http://10.0.0.123:8080 {
              header_up -Authorization
              flush_interval -1
              transport http {
                dial_timeout 5s
                response_header_timeout 60s
              }
            }
          }
        }
        "#);
    }

    #[test]
    fn the_words_of_a_visitor_about_themselves_are_dropped_before_anybody_is_asked() {
        let text = rendered(
            "ingress: { guest: plan-hq, from: [internet], tls: acme, auth: authentik, authentik: { guest: proj-x } }\n\
             guests: { plan-hq: { routes: { a.example.com: 3000 } } }",
        );
        let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
        for header in AUTHELIA.iter().chain(&AUTHENTIK) {
            assert!(place(&format!("request_header -{header}\n")) < place("\na.example.com {"));
        }
        assert!(place("import infra_strangers") < place("forward_auth"));
        assert!(place("/outpost.goauthentik.io/*") < place("forward_auth"));
    }

    #[test]
    fn only_hashes_are_written() {
        let users = |hash: &str| BTreeMap::from([("alice".to_owned(), SecretString::from(hash.to_owned()))]);
        let text = caddy_users(&users(&format!("{HASH}\n")), ' ').unwrap();
        assert_eq!(text.expose_secret(), format!("alice {HASH}\n"));
        for wrong in ["hunter2", "", "$2a$14$short", &format!("{HASH}\nbob {HASH}"), &format!("{HASH} }}\n")] {
            let refused = caddy_users(&users(wrong), ' ').unwrap_err();
            assert!(wrong.is_empty() || !refused.to_string().contains(wrong), "the message does not tell it");
        }
    }

    /// What Caddy's lexer makes of a line, after its documentation: tokens, quotes, comments.
    fn lex(line: &str) -> Vec<String> {
        let (mut tokens, mut token, mut quoted, mut escaped, mut any) =
            (Vec::new(), String::new(), false, false, false);
        for c in line.chars() {
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if quoted {
                if escaped && c != '"' {
                    token.push('\\');
                } else if !escaped && c == '"' {
                    quoted = false;
                    continue;
                }
                escaped = false;
                token.push(c);
            } else if c.is_whitespace() {
                if any {
                    tokens.push(std::mem::take(&mut token));
                }
                (any, escaped) = (false, false);
            } else if c == '#' && !any {
                break;
            } else {
                if c == '"' && !any {
                    quoted = true;
                } else {
                    token.push(c);
                }
                (any, escaped) = (true, false);
            }
        }
        if any {
            tokens.push(token);
        }
        tokens
    }

    proptest! {
        #[test]
        fn a_value_is_one_token_or_is_refused(text in "\\PC{0,12}|[\"{}`$\\\\ \n#@<a-c]{0,12}") {
            match caddy_token(&text) {
                Some(token) => {
                    prop_assert_eq!(lex(&format!("x {token} y")), vec!["x".to_owned(), text.clone(), "y".to_owned()]);
                    prop_assert!(!token.contains(['{', '\n']), "{}", token);
                }
                None => {
                    let hidden = |c: char| c.is_control() || "\"\\`{}\u{feff}".contains(c);
                    prop_assert!(text.contains(hidden), "{} could be written", text);
                }
            }
        }

        #[test]
        fn whatever_a_site_is_called_there_is_one_block_per_site(name in "\\PC{1,20}|[\"{}`\\\\ \n#a-c.]{1,20}") {
            let blueprint = with(
                "ingress: { guest: plan-hq, from: [internet], tls: none }\n\
                 guests: { plan-hq: { routes: { a.example.com: 3000 } } }",
            );
            let mut ingress = blueprint.ingress.clone().unwrap();
            let mut site = ingress.sites["a.example.com"].clone();
            site.name = name;
            ingress.sites = BTreeMap::from([(site.name.clone(), site)]);
            if let Ok(text) = caddyfile(&blueprint.name, &ingress, &CaddyPlace::default()) {
                prop_assert_eq!(text.lines().filter(|line| *line == "}").count(), 3, "{}", text);
                prop_assert_eq!(text.lines().filter(|line| line.ends_with("route {")).count(), 1);
            }
        }
    }
}
