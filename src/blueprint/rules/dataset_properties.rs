//! A dataset has one set of properties, and sensible ones.

use std::collections::BTreeMap;

use crate::blueprint::assemble::dataset_name;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};
use crate::inventory::Dataset;

/// Reports containers that disagree about a dataset that they share, record sizes that ZFS does not
/// have, and quotas too small to be meant.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let mut seen: BTreeMap<(String, String, &str), (String, Span)> = BTreeMap::new();
    for guest in &draft.guests {
        for dataset in guest.shape.datasets.iter().flatten() {
            sane(dataset, report);
            let (Some(name), Some((host, _))) = (dataset_name(draft, guest, dataset), draft.host_of(guest)) else {
                continue;
            };
            for (property, value) in properties(dataset) {
                let Some(value) = value else { continue };
                let key = (host.value.to_string(), name.to_string(), property);
                match seen.get(&key) {
                    Some((first, span)) if *first != value.value => report.push(
                        Diagnostic::error(CODE, format!("two containers disagree about the {property} of `{name}`"))
                            .at(value.span, format!("here it is {}", value.value))
                            .related(*span, format!("here it is {first}"))
                            .hint("a shared dataset has its properties once: say them in one container only"),
                    ),
                    Some(_) => {}
                    None => {
                        seen.insert(key, (value.value, value.span));
                    }
                }
            }
        }
    }
}

const CODE: &str = "inventory.dataset-properties";

fn properties(dataset: &Dataset) -> [(&'static str, Option<Spanned<String>>); 5] {
    fn text<T: ToString>(value: Option<&Spanned<T>>) -> Option<Spanned<String>> {
        value.map(|value| Spanned { value: value.value.to_string(), span: value.span })
    }
    [
        ("quota", text(dataset.quota.as_ref())),
        ("record size", text(dataset.recordsize.as_ref())),
        ("compression", text(dataset.compression.as_ref())),
        ("owner", text(dataset.uid.as_ref())),
        ("group", text(dataset.gid.as_ref())),
    ]
}

fn sane(dataset: &Dataset, report: &mut Diagnostics) {
    if let Some(size) = dataset.recordsize {
        let bytes = size.value.as_bytes();
        if !bytes.is_power_of_two() || !(512..=16 << 20).contains(&bytes) {
            report.push(
                Diagnostic::error(CODE, format!("ZFS has no record size of {}", size.value))
                    .at(size.span, "")
                    .hint("use a power of two from 4KiB to 16MiB; 128KiB is the default, 1MiB is good for large files"),
            );
        }
    }
    if let Some(quota) = dataset.quota.filter(|quota| quota.value.as_bytes() < 1 << 20) {
        report.push(
            Diagnostic::error(CODE, format!("a quota of {} leaves no room", quota.value))
                .at(quota.span, "")
                .hint("give it more, or leave `quota` out for no limit"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, codes};

    #[test]
    fn dataset_properties() {
        let own = "inventory.dataset-properties";
        let shared = |entry: &str| {
            format!(
                "guests: {{ y: {{ {CONTAINER}, vmid: 105, address: 10.0.0.124, datasets: [{{ name: proj-x, mount: /x, {entry} }}] }} }}"
            )
        };
        assert_eq!(codes(&shared("quota: 30GiB")), [own]);
        assert_eq!(codes(&shared("quota: 20GiB")), [""; 0]);
        assert_eq!(codes(&shared("recordsize: 100KiB")), [own]);
        assert_eq!(codes(&shared("recordsize: 1MiB, compression: zstd")), [""; 0]);
        assert_eq!(codes("guests: { proj-x: { datasets: [{ name: a, mount: /a, quota: 1KiB }] } }"), [own]);
    }
}
