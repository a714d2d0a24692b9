//! Web sites come in by a reverse proxy.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Says that routes lead nowhere without a reverse proxy, and that a reverse proxy without routes or visitors serves
/// nobody.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.route-ingress";
    let first = draft.all_routes().next();
    match (&draft.inventory.document.ingress, first) {
        (None, Some((_, site, _))) if !draft.broken.name("ingress") => report.push(
            Diagnostic::warning(CODE, "no reverse proxy serves the sites of `routes`")
                .at(site.span, "leads nowhere")
                .hint(
                    "name the guest that it runs in: `ingress: { guest: …, from: [192.168.10.0/24], tls: internal }`",
                ),
        ),
        (Some(ingress), None) if !draft.broken.name("routes") => report.push(
            Diagnostic::warning(CODE, "the reverse proxy has no site to serve")
                .at(ingress.span, "")
                .hint("give a guest `routes: { name.example.com: 8080 }`"),
        ),
        (Some(ingress), Some(_))
            if ingress.from.as_ref().is_some_and(Vec::is_empty) && !draft.broken.key(ingress.span, "from") =>
        {
            report.push(
                Diagnostic::warning(CODE, "nobody may come to the sites of `routes`")
                    .at(ingress.span, "`from` is empty")
                    .hint("name networks, `internet`, or members of the tailnet such as `tag:phone`"),
            )
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn route_ingress() {
        let own = "inventory.route-ingress";
        let route = "guests: { proj-x: { routes: { a.example.com: 80 } } }";
        assert_eq!(codes(route), [own]);
        assert_eq!(codes("ingress: { guest: plan-hq, from: [internet], tls: internal }"), [own]);
        assert_eq!(codes(&format!("{route}\ningress: {{ guest: plan-hq, from: [], tls: internal }}")), [own]);
        assert_eq!(codes(&format!("{route}\ningress: {{ guest: plan-hq, from: [internet], tls: internal }}")), [""; 0]);
    }
}
