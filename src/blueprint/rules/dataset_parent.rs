//! Datasets have a place on their host.

use crate::blueprint::assemble::dataset_name;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports datasets on hosts without `storage.datasets`, full names without a pool, and names that
/// are too long with their parents.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.dataset-parent";
    for guest in &draft.guests {
        let Some((host_name, host)) = draft.host_of(guest) else { continue };
        let Some(storage) = &host.storage else { continue };
        for dataset in guest.shape.datasets.iter().flatten() {
            let Some(name) = &dataset.name else { continue };
            let relative = !name.value.0.starts_with('/');
            if relative && storage.datasets.is_none() {
                if draft.broken.key(storage.span, "datasets") {
                    continue;
                }
                report.push(
                    Diagnostic::error(
                        CODE,
                        format!("host `{}` has no place for the dataset `{}`", host_name.value, name.value.0),
                    )
                    .at(name.span, "")
                    .related(storage.span, "its storage")
                    .hint("add `datasets: rpool/containers` there, or write a full name after a slash: `/rpool/x`"),
                );
            } else if dataset_name(draft, guest, dataset).is_none() {
                report.push(
                    Diagnostic::error(CODE, format!("`{}` is not the full name of a dataset", name.value.0))
                        .at(name.span, "")
                        .hint("a pool starts with a letter, and the whole name has fewer than 256 characters"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn dataset_parent() {
        let own = "inventory.dataset-parent";
        assert_eq!(codes("hosts: { hq: { storage: { datasets: null } } }"), [own]);
        assert_eq!(codes("guests: { proj-x: { datasets: [{ name: /9pool/x, mount: /x }] } }"), [own]);
        let full = "guests: { proj-x: { datasets: [{ name: /tank/x, mount: /x }] } }";
        assert_eq!(codes(&format!("hosts: {{ hq: {{ storage: {{ datasets: null }} }} }}\n{full}")), [""; 0]);
    }
}
