//! `access` is carried out by a tailnet.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Warns once where members of a tailnet are given access and there is no tailnet.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    if draft.inventory.document.tailnet.is_some() {
        return;
    }
    let first = draft.guests.iter().find_map(|guest| guest.shape.access.iter().flatten().next().map(|item| item.span));
    if let Some(span) = first {
        let problem = "`access` leads nowhere, as there is no `tailnet:`";
        report.push(
            Diagnostic::warning("inventory.access-without-tailnet", problem)
                .cause("it is carried out by the policy of a tailnet, and this inventory declares none")
                .hint("it may stay; see docs/tailnet.md for the section")
                .at(span, ""),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn access_without_tailnet() {
        let over = "guests: { plan-hq: { services: [ollama], access: [tag:phone] }, \
                    proj-x: { uses: [plan-hq/ollama] } }";
        assert_eq!(codes(over), ["inventory.access-without-tailnet"]);
        assert_eq!(codes("tailnet: { key: secret:t }\nguests: { plan-hq: { access: [tag:phone] } }"), [""; 0]);
    }
}
