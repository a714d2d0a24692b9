//! What is accepted but not acted on is said plainly.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};

/// Warns once per key that this version checks but does not act on.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let first = |place: fn(&crate::inventory::Shape) -> Option<Span>| draft.guests.iter().find_map(|g| place(&g.shape));
    if let Some(span) = first(|shape| list(&shape.access)) {
        report.push(
            Diagnostic::warning("inventory.not-yet", "`access` is checked but not acted on yet")
                .cause("this version creates guests and their firewalls; what runs in them is up to you")
                .at(span, "")
                .hint("it may stay; firewall rules that it needs have to be written under `firewall`"),
        );
    }
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
    }
}
