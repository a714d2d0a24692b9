//! An image is the same tomorrow.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Words in a web address that say its content changes.
const MOVING: [&str; 4] = ["latest", "current", "daily", "nightly"];

/// Reports cloud images without a checksum, or from an address whose content changes.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.image-pinned";
    for (name, image) in draft.images() {
        let Some(url) = &image.url else { continue };
        if image.sha256.is_none() && !draft.broken.key(image.span, "sha256") {
            report.push(
                Diagnostic::error(CODE, format!("image `{}` has no `sha256`", name.value))
                    .at(url.span, "anybody on the way could change it")
                    .hint("take it from the `SHA256SUMS` beside the image"),
            );
        }
        let path = url.value.0.to_ascii_lowercase();
        let moving = path.split(['/', '-', '_', '.']).find(|part| MOVING.contains(part));
        if let Some(word) = moving {
            report.push(
                Diagnostic::error(CODE, format!("image `{}` is not pinned: `{word}` changes its content", name.value))
                    .at(url.span, "")
                    .hint("use the address of one release, such as `…/releases/22.04/release-20250516/…`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn image_pinned() {
        let own = "inventory.image-pinned";
        assert_eq!(codes("images: { ubuntu: { sha256: null } }"), [own]);
        assert_eq!(codes("images: { ubuntu: { url: https://x.example/latest/a.img } }"), [own]);
        assert_eq!(codes("images: { ubuntu: { url: https://x.example/jammy/current/a.img } }"), [own]);
    }
}
