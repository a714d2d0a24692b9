//! Sites have a name that somebody answers for.

use crate::blueprint::dns::zone_of;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Says which sites are in none of the zones, where there are zones at all.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let zones: Vec<&str> = draft.zones().map(|(name, _)| name.value.0.as_str()).collect();
    if zones.is_empty() || draft.broken.name("zones") {
        return;
    }
    for (_, site, _) in draft.all_routes() {
        // Tailscale answers for its own names.
        if zone_of(&site.value.0, zones.iter().copied()).is_none() && !site.value.0.ends_with(".ts.net") {
            report.push(
                Diagnostic::warning("inventory.route-zone", format!("no zone has the site `{}`", site.value.0))
                    .cause(format!("zones are {}", zones.join(", ")))
                    .at(site.span, "")
                    .hint("add its zone under `dns.zones`, unless another name server answers for it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn route_zone() {
        let with = |site: &str| {
            codes(&format!(
                "ingress: {{ guest: plan-hq, from: [internet], tls: none }}\n\
                 dns: {{ zones: {{ example.com: {{ guest: proj-x }} }} }}\n\
                 guests: {{ proj-x: {{ routes: {{ {site}: 80 }} }} }}"
            ))
        };
        assert_eq!(with("a.example.com"), [""; 0]);
        assert_eq!(with("example.com"), [""; 0]);
        assert_eq!(with("a.example.org"), ["inventory.route-zone"]);
        assert_eq!(with("hq.tail1234.ts.net"), [""; 0]);
    }
}
