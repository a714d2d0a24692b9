//! Images that guests are made from are described.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports unknown images.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some(image) = &guest.shape.image else { continue };
        if draft.image_of(guest).is_some() || draft.broken.name(image.as_str()) || draft.broken.name("images") {
            continue;
        }
        let names = || draft.images().map(|(name, _)| name.as_str());
        let hint = did_you_mean(image.as_str(), names()).unwrap_or_else(|| "describe it under `images:`".to_owned());
        let problem =
            Diagnostic::error("inventory.image-known", format!("there is no image `{}`", image.escape_debug()))
                .at(image.span, "")
                .hint(hint);
        if !report.iter().any(|said| *said == problem) {
            report.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn image_known() {
        assert_eq!(codes("guests: { proj-x: { image: debain } }"), ["inventory.image-known"]);
        assert!(said("guests: { proj-x: { image: debain } }").contains("did you mean `debian`?"));
    }
}
