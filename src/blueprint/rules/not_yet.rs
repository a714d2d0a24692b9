//! What is accepted but not acted on is said plainly.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};

/// Warns once per key that this version checks but does not act on.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let first = |place: fn(&crate::inventory::Shape) -> Option<Span>| draft.guests.iter().find_map(|g| place(&g.shape));
    let Some(span) = first(|shape| list(&shape.access)) else { return };
    let warning = |summary: &str| Diagnostic::warning("inventory.not-yet", summary).at(span, "");
    report.push(match draft.inventory.document.tailnet {
        None => warning("`access` leads nowhere, as there is no `tailnet:`")
            .cause("it is carried out by the policy of a tailnet, and this inventory declares none")
            .hint("it may stay; see docs/tailnet.md for the section"),
        Some(_) => warning("guests with `access` are not joined to the tailnet yet")
            .cause("this version writes its policy; `tailscale up` in the guests is up to you")
            .hint("the plan names those that are not there, see docs/tailnet.md"),
    });
}

fn list<T>(list: &Option<Vec<Spanned<T>>>) -> Option<Span> {
    list.iter().flatten().next().map(|item| item.span)
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn not_yet() {
        let own = "inventory.not-yet";
        let over = "guests: { plan-hq: { services: [ollama], access: [tag:phone] }, \
                    proj-x: { uses: [plan-hq/ollama] } }";
        assert_eq!(codes(over), [own]);
        assert_eq!(codes("tailnet: { key: secret:t }\nguests: { plan-hq: { access: [tag:phone] } }"), [own]);
    }
}
