//! Certificates can be had in the way that was asked for.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::inventory::{AuthName, ProxyName, TlsName, VisitorName};

const CODE: &str = "inventory.ingress-tls";

/// Reports ways that lack something, names that no authority signs in the way asked for, and passwords in plain HTTP.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(ingress) = &draft.inventory.document.ingress else { return };
    let Some(block) = &ingress.tls else { return };
    let Some(default) = block.by else { return };
    let traefik = ingress.proxy.is_some_and(|proxy| proxy.value == ProxyName::Traefik);
    let outside = ingress.from.iter().flatten().any(|visitor| visitor.value == VisitorName::Internet);
    let mut used = Used::default();
    if draft.all_routes().next().is_none() {
        used.note(default.value, default.span);
    }
    for (_, site, route) in draft.all_routes() {
        let by = route.tls.unwrap_or(default);
        used.note(by.value, by.span);
        let name = site.value.0.as_str();
        let below_ts_net = name.ends_with(".ts.net");
        if by.value == TlsName::Tailnet && !below_ts_net {
            report.push(
                Diagnostic::error(CODE, format!("Tailscale signs no certificate for `{name}`"))
                    .cause("it signs the names of nodes alone: `node.tailnet.ts.net`")
                    .at(site.span, "")
                    .related(by.span, "asked for here")
                    .hint("give the site the node's name below `ts.net`, or another `tls`"),
            );
        }
        if matches!(by.value, TlsName::Acme | TlsName::Dns) && !public(name) {
            report.push(
                Diagnostic::error(CODE, format!("no public authority signs a certificate for `{name}`"))
                    .at(site.span, "this name is not public")
                    .related(by.span, "asked for here")
                    .hint("write `tls: internal` for this route, or use a domain of your own"),
            );
        }
        let auth = route.auth.or(ingress.auth).map(|auth| auth.value);
        if by.value == TlsName::None && auth == Some(AuthName::Basic) {
            report.push(
                Diagnostic::warning(CODE, format!("passwords of `{name}` are sent in clear text"))
                    .at(site.span, "plain HTTP")
                    .related(by.span, "asked for here")
                    .hint("write `tls: internal`, unless another proxy stands before this one"),
            );
        }
    }
    if let Some(span) = used.dns {
        for (key, there) in [("provider", block.provider.is_some()), ("token", block.token.is_some())] {
            if !there && !draft.broken.key(block.span, key) {
                report.push(
                    Diagnostic::error(CODE, format!("certificates by `dns` need `{key}`"))
                        .at(block.span, "")
                        .related(span, "asked for here")
                        .hint("write `tls: { by: dns, provider: cloudflare, token: secret:dns-token }`"),
                );
            }
        }
    }
    if let Some(span) = used.acme.filter(|_| !outside) {
        report.push(
            Diagnostic::warning(CODE, "the authority cannot look at the sites")
                .cause("`acme` means that it connects to ports 80 and 443 from the internet")
                .at(span, "")
                .hint("add `internet` to `from`, or use `dns`, which needs no way in"),
        );
    }
    if let Some(span) = used.internal.filter(|_| traefik) {
        report.push(
            Diagnostic::error(CODE, "Traefik has no authority of its own")
                .at(span, "")
                .hint("use `acme`, `dns` or `tailnet`, or let Caddy be the proxy"),
        );
    }
}

/// Where each way is first asked for.
#[derive(Default)]
struct Used {
    acme: Option<Span>,
    dns: Option<Span>,
    internal: Option<Span>,
}

impl Used {
    fn note(&mut self, by: TlsName, span: Span) {
        let place = match by {
            TlsName::Acme => &mut self.acme,
            TlsName::Dns => &mut self.dns,
            TlsName::Internal => &mut self.internal,
            TlsName::Tailnet | TlsName::None => return,
        };
        place.get_or_insert(span);
    }
}

/// Whether a name can be public: it does not end in what RFC 2606, 6761, 6762, 8375 and ICANN keep for private use.
fn public(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !["internal", "local", "lan", "home", "localhost", "test", "invalid", "corp"].contains(&last)
        && !name.ends_with(".home.arpa")
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn ingress_tls() {
        let own = "inventory.ingress-tls";
        let with = |ingress: &str, site: &str, route: &str| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, {ingress} }}\nguests: {{ proj-x: {{ routes: {{ {site}: {route} }} }} }}"
            ))
        };
        assert_eq!(with("from: [internet], tls: acme", "a.example.com", "80"), [""; 0]);
        assert_eq!(with("from: [10.0.0.0/8], tls: acme", "a.example.com", "80"), [own], "nobody can look");
        assert_eq!(with("from: [10.0.0.0/8], tls: acme", "a.example.com", "{ port: 80, tls: internal }"), [""; 0]);
        assert_eq!(with("from: [internet], tls: acme", "a.lan", "80"), [own]);
        assert_eq!(with("from: [internet], tls: dns", "a.example.com", "80"), [own, own], "provider and token");
        let dns = "from: [10.0.0.0/8], tls: { by: dns, provider: cloudflare, token: secret:t }";
        assert_eq!(with(dns, "a.example.com", "80"), [""; 0]);
        assert_eq!(with("from: [tag:phone], tls: tailnet", "a.example.com", "80"), [own]);
        assert_eq!(with("from: [tag:phone], tls: tailnet", "hq.tail1234.ts.net", "80"), [""; 0]);
        assert_eq!(with("from: [tag:phone], tls: internal, proxy: traefik", "a.example.com", "80"), [own]);
        let plain = "from: [10.0.0.0/8], tls: none, auth: basic, users: { me: secret:me }";
        assert_eq!(with(plain, "a.example.com", "80"), [own]);
    }
}
