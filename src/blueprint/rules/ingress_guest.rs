//! The reverse proxy and whoever it asks run in guests of this inventory.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use crate::model::GuestName;

const CODE: &str = "inventory.ingress-guest";

/// Reports guests that do not exist, and routes to the very ports that the proxy listens on.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(ingress) = &draft.inventory.document.ingress else { return };
    known(draft, ingress.guest.as_ref(), "the reverse proxy", report);
    known(draft, ingress.authelia.as_ref().and_then(|asked| asked.guest.as_ref()), "Authelia", report);
    known(draft, ingress.authentik.as_ref().and_then(|asked| asked.guest.as_ref()), "authentik", report);
    for (guest, site, route) in draft.all_routes() {
        let own = ingress.guest.as_ref().is_some_and(|proxy| proxy.value == guest.name.value);
        if let Some(port) = route.port.filter(|port| own && matches!(port.value, 80 | 443 | 2019)) {
            report.push(
                Diagnostic::error(CODE, format!("`{}` leads to the reverse proxy itself", site.value.0))
                    .cause(format!("it runs in `{}` and listens on 80, 443 and 2019 there", guest.name.value))
                    .at(port.span, "")
                    .hint("let the service listen on another port of that guest"),
            );
        }
    }
    let visitors = ingress.from.iter().flatten().map(|visitor| (&visitor.value, visitor.span));
    once(visitors, |_, first, again| {
        let problem = Diagnostic::error(CODE, "these visitors are named twice");
        report.push(collision(problem, *first, *again).hint("remove one"));
    });
}

/// Reports a guest that does not exist.
pub(super) fn known(draft: &Draft<'_>, guest: Option<&Spanned<GuestName>>, what: &str, report: &mut Diagnostics) {
    let Some(guest) = guest else { return };
    if draft.guest(&guest.value).is_some() || draft.broken.name(guest.as_str()) || draft.broken.name("guests") {
        return;
    }
    let names = draft.guests.iter().map(|guest| guest.name.as_str());
    report.push(
        Diagnostic::error(CODE, format!("{what} is to run in `{}`, which is no guest", guest.value))
            .at(guest.span, "")
            .hint(did_you_mean(guest.as_str(), names).unwrap_or_else(|| "describe it under `guests`".to_owned())),
    );
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn ingress_guest() {
        let own = "inventory.ingress-guest";
        let with = |ingress: &str, port: u16| {
            codes(&format!(
                "ingress: {{ {ingress}, tls: internal }}\nguests: {{ plan-hq: {{ routes: {{ a.example.com: {port} }} }} }}"
            ))
        };
        assert_eq!(with("guest: plan-hq, from: [internet]", 3000), [""; 0]);
        assert_eq!(with("guest: plan, from: [internet]", 3000), [own]);
        assert_eq!(with("guest: plan-hq, from: [internet], authelia: { guest: nobody }", 3000), [own]);
        assert_eq!(with("guest: plan-hq, from: [internet]", 443), [own], "a loop");
        assert_eq!(with("guest: proj-x, from: [internet]", 443), [""; 0]);
        assert_eq!(with("guest: plan-hq, from: [internet, internet]", 3000), [own]);
    }
}
