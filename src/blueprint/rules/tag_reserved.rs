//! Tags that mark what is ours are not given by hand.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports tags that begin like the ownership tag.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for tag in guest.shape.tags.iter().flatten() {
            if tag.as_str() == "infra" || tag.as_str().starts_with("infra-") {
                let problem =
                    Diagnostic::error("inventory.tag-reserved", format!("the tag `{}` is reserved", tag.value))
                        .cause("tags that begin with `infra-` say which inventory a guest belongs to")
                        .at(tag.span, "")
                        .hint("use another word; the ownership tag is set by itself");
                if !report.iter().any(|said| *said == problem) {
                    report.push(problem);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn tag_reserved() {
        assert_eq!(codes("guests: { proj-x: { tags: [infra-other, mine] } }"), ["inventory.tag-reserved"]);
    }
}
