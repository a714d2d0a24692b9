//! An image comes from one place.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports images with no source or with two, and file names that Proxmox does not take.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.image-source";
    for (name, image) in draft.images() {
        let broken = |key| draft.broken.key(image.span, key);
        match (&image.url, &image.template) {
            (Some(url), Some(template)) => report.push(
                Diagnostic::error(CODE, format!("image `{}` is a cloud image and a container template", name.value))
                    .at(template.span, "a template")
                    .related(url.span, "a cloud image")
                    .hint("make two images of it"),
            ),
            (None, None) if !broken("url") && !broken("template") => report.push(
                Diagnostic::error(CODE, format!("image `{}` comes from nowhere", name.value))
                    .at(name.span, "")
                    .hint("write `url` and `sha256` for a cloud image, or `template` for a container"),
            ),
            _ => {}
        }
        if let (Some(_), Some(extra)) =
            (&image.template, image.sha256.as_ref().map(|sha| sha.span).or(image.file.as_ref().map(|file| file.span)))
        {
            report.push(
                Diagnostic::error(
                    CODE,
                    format!("image `{}` is a template, which needs neither `sha256` nor `file`", name.value),
                )
                .at(extra, "")
                .hint("Proxmox checks templates of its list by itself"),
            );
        }
        if let Some(file) = &image.file {
            let good = !file.is_empty()
                && !file.starts_with(['.', '-'])
                && file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && [".qcow2", ".raw", ".vmdk"].iter().any(|end| file.ends_with(end));
            if !good {
                report.push(
                    Diagnostic::error(CODE, format!("`{}` is no file name that Proxmox imports", file.escape_debug()))
                        .at(file.span, "")
                        .hint("letters, digits, `.`, `-`, `_`, ending in `.qcow2`, `.raw` or `.vmdk` (what Ubuntu calls `.img` is qcow2)"),
                );
            }
        }
        if let Some(template) = &image.template {
            let good = [".tar.zst", ".tar.gz", ".tar.xz"].iter().any(|end| template.ends_with(end))
                && template.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+~".contains(&b));
            if !good {
                report.push(
                    Diagnostic::error(
                        CODE,
                        format!("`{}` is not the file name of a template", template.escape_debug()),
                    )
                    .at(template.span, "")
                    .hint(
                        "write it in full, as `pveam available` shows it: `debian-12-standard_12.12-1_amd64.tar.zst`",
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn image_source() {
        for over in [
            "images: { x: {} }",
            "images: { ubuntu: { template: debian-12-standard_12.12-1_amd64.tar.zst, sha256: null } }",
            "images: { ubuntu: { file: a.img } }",
            "images: { debian: { template: debian-12-standard } }",
            "images: { debian: { file: a.raw } }",
        ] {
            let codes = codes(over);
            assert!(codes.contains(&"inventory.image-source"), "{over}: {codes:?}");
        }
        assert_eq!(codes("images: { ubuntu: { file: jammy.qcow2 } }"), [""; 0]);
    }
}
