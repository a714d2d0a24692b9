//! Sites for members of the tailnet have somebody to come.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::blueprint::dns::{below, zone_of};
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{RecordData, VisitorName};

/// Reports sites for the tailnet alone that nobody of the tailnet may come to, and those whose name leads members of
/// the tailnet to the bridge, where they have no way.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    names(draft, report);
    let Some(ingress) = &draft.inventory.document.ingress else { return };
    let members = ingress.from.iter().flatten().any(|visitor| matches!(visitor.value, VisitorName::Tailnet(_)));
    if members || draft.broken.key(ingress.span, "from") {
        return;
    }
    for (_, site, route) in draft.all_routes() {
        if let Some(only) = route.tailnet_only.filter(|only| only.value) {
            report.push(
                Diagnostic::error(
                    "inventory.route-tailnet",
                    format!("only members of the tailnet get in to `{}`, and none may come", site.value.0),
                )
                .at(only.span, "")
                .related(ingress.span, "`from` names nobody of the tailnet")
                .hint("add `tag:phone` or another name of the tailnet's policy to `ingress.from`"),
            );
        }
    }
}

fn names(draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(proxy) = draft.ingress_guest() else { return };
    let zones = || draft.zones().map(|(name, _)| name.value.0.as_str());
    for (_, site, route) in draft.all_routes() {
        let Some(only) = route.tailnet_only.filter(|only| only.value) else { continue };
        let zone = zone_of(&site.value.0, zones());
        let Some((zone, block)) = draft.zones().find(|(name, _)| Some(name.value.0.as_str()) == zone) else { continue };
        let Some(label) = below(&site.value.0, &zone.value.0) else { continue };
        let own = block.records.iter().flatten().find(|(name, _)| name.value.0 == label).map(|(_, data)| &data.value);
        // Whoever writes a name or an address of the tailnet has thought of it.
        let leads = match own {
            Some(RecordData::Name(other)) => other.ends_with('.'),
            Some(RecordData::Address(address)) => in_tailnet(*address),
            None => false,
        };
        if leads {
            continue;
        }
        let proxy = &proxy.name.value;
        report.push(
            Diagnostic::warning(
                "inventory.route-tailnet",
                format!("`{}` is for members of the tailnet, and its name leads them to the bridge", site.value.0),
            )
            .cause(format!("zone `{}` answers with the address of `{proxy}` there, to which they have no route", zone.value.0))
            .at(only.span, "")
            .related(zone.span, "the zone")
            .hint(format!("give it a record of its own: `records: {{ \"{label}\": {proxy}.tailNNNN.ts.net. }}`, or the address 100.x that `tailscale ip` prints in `{proxy}`"))
            .hint("and have the tailnet ask that zone's name server for it (split DNS in the admin console)"),
        );
    }
}

/// Whether an address is of a tailnet (<https://tailscale.com/kb/1015>).
fn in_tailnet(address: IpAddr) -> bool {
    ["100.64.0.0/10", "fd7a:115c:a1e0::/48"]
        .iter()
        .any(|network| network.parse::<IpNet>().is_ok_and(|network| network.contains(&address)))
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn route_tailnet() {
        let with = |from: &str| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, from: [{from}], tls: internal }}\n\
                 guests: {{ proj-x: {{ routes: {{ a.example.com: {{ port: 80, tailnet_only: true }} }} }} }}"
            ))
        };
        assert_eq!(with("192.168.10.0/24"), ["inventory.route-tailnet"]);
        assert_eq!(with("192.168.10.0/24, tag:phone"), [""; 0]);
    }

    #[test]
    fn a_site_for_the_tailnet_whose_name_leads_to_the_bridge_is_told() {
        let with = |records: &str, only: bool| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, from: [tag:phone], tls: internal }}\n\
                 tailnet: {{ key: secret:t }}\n\
                 dns: {{ zones: {{ example.com: {{ guest: proj-x, records: {{ {records} }} }} }} }}\n\
                 guests: {{ proj-x: {{ routes: {{ a.example.com: {{ port: 80, tailnet_only: {only} }} }} }} }}"
            ))
        };
        assert_eq!(with("", true), ["inventory.route-tailnet"]);
        assert_eq!(with("a: 10.0.0.10", true), ["inventory.route-tailnet"]);
        assert_eq!(with("", false), [""; 0]);
        assert_eq!(with("a: 100.100.3.4", true), [""; 0]);
        assert_eq!(with("a: plan-hq.tail1234.ts.net.", true), [""; 0]);
    }
}
