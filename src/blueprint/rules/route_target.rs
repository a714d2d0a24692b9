//! A site leads to something that people may come to.

use crate::blueprint::Audience;
use crate::blueprint::assemble::web_ports;
use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use crate::inventory::{LocalService, Route, SiteName};
use crate::model::{PortName, Transport};

const CODE: &str = "inventory.route-target";

/// Reports routes to services that the guest does not have, to several ports at once, and to ports that are not for
/// people: model runners, databases, vector stores, whether they are named or met by their number.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (guest, site, route) in draft.all_routes() {
        match (&route.service, route.port) {
            (Some(service), Some(port)) => report.push(
                Diagnostic::error(CODE, format!("the route of `{}` names a port and a service", site.value.0))
                    .at(service.span, "")
                    .related(port.span, "the port")
                    .hint("leave one of them out"),
            ),
            (Some(service), None) => named(draft, guest, site, service, report),
            (None, Some(port)) => met(draft, guest, site, route, port.value, report),
            (None, None) => {}
        }
    }
}

fn named(
    draft: &Draft<'_>,
    guest: &DraftGuest<'_>,
    site: &Spanned<SiteName>,
    what: &Spanned<LocalService>,
    report: &mut Diagnostics,
) {
    let (site, name) = (site.value.0.as_str(), guest.name.as_str());
    let Some(there) = draft.services.get(&what.service).filter(|_| draft.has(guest, &what.service)) else {
        if !draft.broken.key(guest.own.span, "services") {
            let services = || draft.services_of(guest).map(|service| service.name.as_str());
            let hint = did_you_mean(what.service.as_str(), services())
                .unwrap_or_else(|| format!("list it under that guest's `services`: {name} has none of that name"));
            let problem = format!("`{site}` leads to `{}`, which guest `{name}` does not have", what.service);
            report.push(Diagnostic::error(CODE, problem).at(what.span, "").hint(hint));
        }
        return;
    };
    let names = || there.ports.keys().map(PortName::as_str).collect::<Vec<_>>().join(", ");
    match web_ports(draft, what).as_slice() {
        [_] => {}
        [] => report.push(
            Diagnostic::error(CODE, format!("`{}` is nothing that people may come to", what.value))
                .at(what.span, "")
                .related(there.span, "described here")
                .hint(format!("lead the site to the gateway or web interface in front of it; it has {}", names())),
        ),
        several => report.push(
            Diagnostic::error(CODE, format!("`{}` has {} ports that people may come to", what.value, several.len()))
                .at(what.span, "")
                .hint(format!("name one: `{}/{}`", what.service, several[0].0)),
        ),
    }
}

fn met(
    draft: &Draft<'_>,
    guest: &DraftGuest<'_>,
    site: &Spanned<SiteName>,
    route: &Spanned<Route>,
    port: u16,
    report: &mut Diagnostics,
) {
    let mut all = draft.services_of(guest).flat_map(|service| service.ports.values().map(move |own| (service, own)));
    let hit = all.find(|(_, own)| own.transport == Transport::Tcp && own.ports.contains(port));
    if let Some((service, own)) = hit.filter(|(_, own)| own.audience < Audience::People) {
        report.push(
            Diagnostic::error(CODE, format!("`{}` leads to `{}`, which is not for people", site.value.0, service.name))
                .cause(format!("port {port} of guest `{}` is that service's", guest.name.value))
                .at(route.span, "")
                .related(own.span, "described here")
                .hint("lead the site to the gateway or web interface in front of it"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, with};

    const INGRESS: &str = "ingress: { guest: proj-x, from: [internet], tls: acme }";

    fn over(route: &str) -> String {
        let services = "services: [ollama, open-webui, postgres, caddy]";
        format!("{INGRESS}\nguests: {{ plan-hq: {{ {services}, routes: {{ a.example.com: {route} }} }} }}")
    }

    #[test]
    fn route_target() {
        let own = "inventory.route-target";
        assert_eq!(codes(&over("3000")), [""; 0]);
        assert_eq!(codes(&over("8080")), [""; 0], "a port of something of one's own");
        assert_eq!(codes(&over("{ service: open-webui }")), [""; 0]);
        assert_eq!(codes(&over("{ service: open-webui, port: 3000 }")), [own]);
        for wrong in ["11434", "5432", "{ service: ollama }", "{ service: postgres }", "{ service: grafana }"] {
            assert_eq!(codes(&over(wrong)), [own], "{wrong}");
        }
        assert_eq!(codes(&over("{ service: caddy }")), [own], "80 or 443");
        assert_eq!(codes(&over("{ service: caddy/https }")), [""; 0]);
        let site = &with(&over("{ service: open-webui }")).ingress.unwrap().sites["a.example.com"];
        assert_eq!(site.upstream.to_string(), "10.0.0.10:3000");
    }
}
