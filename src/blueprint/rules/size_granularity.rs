//! Sizes are whole numbers of what Proxmox counts in.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Spanned};
use crate::model::Size;

/// Reports memory and swap that are no whole MiB, disks that are no whole GiB, and nothing at all.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let shape = &guest.shape;
        let name = guest.name.as_str();
        let mib = |size: Size| size.as_mib().is_some();
        let gib = |size: Size| size.as_gib().is_some_and(|gib| gib > 0);
        refuse(shape.memory, name, "memory", "MiB", mib, report);
        refuse(shape.swap, name, "swap", "MiB", mib, report);
        refuse(shape.disk, name, "disk", "GiB", gib, report);
    }
}

fn refuse(
    size: Option<Spanned<Size>>,
    guest: &str,
    key: &str,
    unit: &str,
    good: fn(Size) -> bool,
    report: &mut Diagnostics,
) {
    let Some(size) = size.filter(|size| !good(size.value)) else { return };
    let problem = Diagnostic::error(
        "inventory.size-granularity",
        format!("the {key} of guest `{guest}` is no whole number of {unit}"),
    )
    .at(size.span, "");
    let step = if unit == "GiB" { Size::gib(1) } else { Size::mib(1) };
    let up = Size::bytes(size.value.as_bytes().div_ceil(step.as_bytes()).max(1).saturating_mul(step.as_bytes()));
    report.push(problem.hint(format!("the next larger one is `{up}`")));
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn size_granularity() {
        let own = "inventory.size-granularity";
        assert_eq!(codes("guests: { proj-x: { memory: 2000000KiB, disk: 20.5GiB, swap: 1KiB } }"), [own; 3]);
        assert_eq!(codes("guests: { proj-x: { memory: 1.5GiB, disk: 0.5TiB } }"), [""; 0]);
        assert!(said("guests: { proj-x: { disk: 20.5GiB } }").contains("`21GiB`"));
    }
}
