//! A container sees one dataset at one place.

use crate::blueprint::assemble::dataset_name;
use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Places that a container's own system needs.
const TAKEN: [&str; 9] = ["/proc", "/sys", "/dev", "/run", "/etc", "/usr", "/bin", "/sbin", "/lib"];

/// Reports two datasets at one place, one dataset at two places of a container, and mounts over its system.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.dataset-mount";
    for guest in &draft.guests {
        let datasets = || guest.shape.datasets.iter().flatten();
        let mounts = datasets().filter_map(|dataset| dataset.mount.as_ref()).map(|mount| (&mount.value.0, mount.span));
        once(mounts.clone(), |mount, first, again| {
            report.push(
                collision(
                    Diagnostic::error(CODE, format!("guest `{}` has two datasets at `{mount}`", guest.name.value)),
                    *first,
                    *again,
                )
                .hint("mount one of them somewhere else"),
            );
        });
        let names = datasets().filter_map(|d| Some((dataset_name(draft, guest, d)?, d.name.as_ref()?.span)));
        once(names, |dataset, first, again| {
            report.push(
                collision(
                    Diagnostic::error(CODE, format!("guest `{}` mounts `{dataset}` twice", guest.name.value)),
                    *first,
                    *again,
                )
                .hint("one mount will do; use a link inside the container for the second place"),
            );
        });
        for (mount, span) in mounts {
            if let Some(taken) = TAKEN.iter().find(|taken| *taken == mount) {
                report.push(
                    Diagnostic::error(CODE, format!("a dataset at `{taken}` would hide the container's own system"))
                        .at(span, "")
                        .hint("use a place of its own, such as `/workspace` or `/srv/data`"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn dataset_mount() {
        let over = |list: &str| format!("guests: {{ proj-x: {{ datasets: [{list}] }} }}");
        for wrong in [
            "{ name: a, mount: /x }, { name: b, mount: /x }",
            "{ name: a, mount: /x }, { name: a, mount: /y }",
            "{ name: a, mount: /x }, { name: /rpool/containers/a, mount: /y }",
            "{ name: a, mount: /etc }",
        ] {
            assert_eq!(codes(&over(wrong)), ["inventory.dataset-mount"], "{wrong}");
        }
        assert_eq!(codes(&over("{ name: a, mount: / }")), ["inventory.value"]);
    }
}
