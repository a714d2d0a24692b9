//! VMs are made from cloud images, containers from templates.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::KindName;

/// Reports images of the other kind.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let (Some(kind), Some(image)) = (guest.kind(), draft.image_of(guest)) else { continue };
        let Some(name) = &guest.shape.image else { continue };
        let is_template = match (&image.template, &image.url) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => continue,
        };
        let (word, needs) = match kind {
            KindName::Vm if is_template => ("VM", "a cloud image, with `url` and `sha256`"),
            KindName::Container if !is_template => ("container", "a template, with `template`"),
            _ => continue,
        };
        let known: Vec<&str> = draft
            .images()
            .filter(|(_, other)| {
                other.template.is_some() != is_template && (other.template.is_some() || other.url.is_some())
            })
            .map(|(name, _)| name.as_str())
            .collect();
        let hint = if known.is_empty() {
            format!("describe one under `images`: {needs}")
        } else {
            format!("fitting ones are {}", known.join(", "))
        };
        report.push(
            Diagnostic::error(
                "inventory.image-kind",
                format!("guest `{}` is a {word} and cannot be made from `{}`", guest.name.value, name.value),
            )
            .cause(format!("a {word} needs {needs}"))
            .at(name.span, "")
            .hint(hint),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn image_kind() {
        let own = "inventory.image-kind";
        assert_eq!(codes("guests: { proj-x: { image: ubuntu } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { image: debian } }"), [own]);
    }
}
