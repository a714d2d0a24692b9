//! Sites for members of the tailnet have somebody to come.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::VisitorName;

/// Reports sites for the tailnet alone that nobody of the tailnet may come to.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
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
}
