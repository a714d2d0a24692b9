//! Zones are served by guests of this inventory.

use super::ingress_guest::known;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports zones in guests that do not exist, and zones that are no name to delegate.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, zone) in draft.zones() {
        known(draft, zone.guest.as_ref(), &format!("zone `{}`", name.value.0), report);
        if name.value.0 == "local" || name.value.0.ends_with(".local") {
            report.push(
                Diagnostic::warning("inventory.dns-zone", format!("`{}` is not asked of a name server", name.value.0))
                    .cause("names below `local` are looked up by multicast (RFC 6762)")
                    .at(name.span, "")
                    .hint("use a domain of your own, `home.arpa` or `internal`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn dns_zone() {
        assert_eq!(codes("dns: { zones: { example.com: { guest: proj-x } } }"), [""; 0]);
        assert_eq!(codes("dns: { zones: { example.com: { guest: proj } } }"), ["inventory.ingress-guest"]);
        assert_eq!(codes("dns: { zones: { home.local: { guest: proj-x } } }"), ["inventory.dns-zone"]);
    }
}
