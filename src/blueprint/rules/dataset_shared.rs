//! A dataset of the same name on two hosts is two datasets.

use std::collections::BTreeMap;

use crate::blueprint::assemble::dataset_name;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Warns where guests on different hosts write to datasets of one name, which are not shared.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let mut first = BTreeMap::new();
    for guest in &draft.guests {
        for dataset in guest.shape.datasets.iter().flatten() {
            if dataset.read_only.is_some_and(|read_only| read_only.value) {
                continue;
            }
            let (Some(name), Some((host, _))) = (dataset_name(draft, guest, dataset), draft.host_of(guest)) else {
                continue;
            };
            let Some(span) = dataset.name.as_ref().map(|name| name.span) else { continue };
            let (other, other_span) = *first.entry(name.clone()).or_insert((host, span));
            if other.value != host.value {
                report.push(
                    Diagnostic::warning(
                        "inventory.dataset-shared",
                        format!("`{name}` on `{}` and on `{}` are two datasets", other.value, host.value),
                    )
                    .cause("ZFS is local to its host: what one guest writes, the other does not see")
                    .at(span, "")
                    .related(other_span, "the other one")
                    .hint("give them different names, or place the guests on one host if they shall share it"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, HOST, codes};

    #[test]
    fn dataset_shared() {
        let elsewhere = CONTAINER.replace("host: hq", "host: b");
        let over = |more: &str| {
            format!(
                "hosts: {{ b: {{ address: b, {HOST} }} }}\n\
                 guests: {{ z: {{ {elsewhere}, vmid: 105, address: 10.1.0.5, datasets: [{{ name: proj-x, mount: /x{more} }}] }} }}"
            )
        };
        assert_eq!(codes(&over("")), ["inventory.dataset-shared"]);
        assert_eq!(codes(&over(", read_only: true")), [""; 0]);
    }
}
