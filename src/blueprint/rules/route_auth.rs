//! What a site asks of its visitors can be answered.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::AuthName;

/// Reports logins that nobody can pass: basic auth or an Authelia of ours without users, a provider that was not named, a portal that is no
/// site or asks for a login itself.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.route-auth";
    let users = draft.inventory.document.ingress.as_ref().and_then(|ingress| ingress.users.as_ref());
    for service in draft.guests.iter().flat_map(|guest| guest.listed()).filter(|own| own.as_str() == "authelia") {
        let broken = draft.inventory.document.ingress.as_ref().is_some_and(|own| draft.broken.key(own.span, "users"));
        if users.is_none_or(std::collections::BTreeMap::is_empty) && !broken {
            let problem = Diagnostic::error(CODE, "Authelia knows nobody: there are no users").at(service.span, "");
            report.push(problem.hint("name them: `ingress: { users: { alice: secret:alice-hash } }`"));
        }
    }
    let Some(ingress) = &draft.inventory.document.ingress else { return };
    let auth_of = |route: &crate::inventory::Route| route.auth.or(ingress.auth);
    for (_, site, route) in draft.all_routes() {
        let Some(auth) = auth_of(route) else { continue };
        let (there, what, hint) = match auth.value {
            AuthName::None => continue,
            AuthName::Basic => (
                ingress.users.as_ref().is_some_and(|users| !users.is_empty()),
                format!("nobody can log in to `{}`: there are no users", site.value.0),
                "name them: `ingress: { users: { alice: secret:alice-hash } }`",
            ),
            AuthName::Authelia => (
                ingress.authelia.is_some(),
                format!("Authelia is to be asked for `{}`, but nothing says where it is", site.value.0),
                "say where it is: `ingress: { authelia: { guest: …, portal: auth.example.com } }`",
            ),
            AuthName::Authentik => (
                ingress.authentik.is_some(),
                format!("authentik is to be asked for `{}`, but nothing says where it is", site.value.0),
                "say where its outpost is: `ingress: { authentik: { guest: … } }`",
            ),
        };
        let key = if auth.value == AuthName::Basic { "users" } else { auth.value.as_str() };
        if !there && !draft.broken.key(ingress.span, key) {
            report
                .push(Diagnostic::error(CODE, what).at(site.span, "").related(auth.span, "asked for here").hint(hint));
        }
    }
    for (block, own) in [(&ingress.authelia, AuthName::Authelia), (&ingress.authentik, AuthName::Authentik)] {
        let Some(block) = block else { continue };
        let Some(portal) = &block.portal else { continue };
        match draft.all_routes().find(|(_, site, _)| site.value == portal.value) {
            None if !draft.broken.name("routes") => report.push(
                Diagnostic::error(CODE, format!("`{}` is no site", portal.value.0))
                    .cause("people are sent there to log in")
                    .at(portal.span, "")
                    .hint(format!("give its guest a route: `routes: {{ {}: … }}`", portal.value.0)),
            ),
            Some((_, site, route)) if auth_of(route).is_some_and(|auth| auth.value == own) => report.push(
                Diagnostic::error(CODE, format!("who wants to log in at `{}` has to be logged in", site.value.0))
                    .at(site.span, "asks for a login")
                    .related(portal.span, "people are sent there to log in")
                    .hint("give this route `auth: none`"),
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn route_auth() {
        let own = "inventory.route-auth";
        let with = |ingress: &str, routes: &str| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, from: [internet], tls: internal, {ingress} }}\n\
                 guests: {{ proj-x: {{ routes: {{ {routes} }} }} }}"
            ))
        };
        let basic = "a.example.com: { port: 80, auth: basic }";
        assert_eq!(with("users: {}", basic), [own]);
        assert_eq!(with("users: { alice: secret:alice }", basic), [""; 0]);
        assert_eq!(with("auth: authelia", "a.example.com: 80"), [own]);
        let authelia = "authelia: { guest: proj-x, portal: auth.example.com }, auth: authelia";
        assert_eq!(with(authelia, "a.example.com: 80"), [own], "the portal is no site");
        assert_eq!(with(authelia, "auth.example.com: 9091"), [own], "the portal asks for a login");
        assert_eq!(with(authelia, "a.example.com: 80, auth.example.com: { port: 9091, auth: none }"), [""; 0]);
        assert_eq!(with("auth: authentik", "a.example.com: 80"), [own]);
        let ours = |users: &str| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, from: [internet], tls: internal, {users} }}\n\
                 guests: {{ plan-hq: {{ services: [authelia], routes: {{ auth.example.com: {{ service: authelia/http }} }} }} }}"
            ))
        };
        assert_eq!(ours(""), [own]);
        assert_eq!(ours("users: { alice: \"secret:alice-hash\" }"), [""; 0]);
        assert_eq!(with("auth: authentik, authentik: { guest: proj-x }", "a.example.com: 80"), [""; 0]);
    }
}
