//! Guests have memory enough to start.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::KindName;
use crate::model::Size;

/// PVE takes no less for either kind.
const PVE: Size = Size::mib(16);
/// Less than this and a cloud image's first boot runs out of memory.
const CLOUD_IMAGE: Size = Size::mib(512);
/// Passed-through devices pin all memory, and UEFI firmware maps the card's windows beside it.
const PASSTHROUGH: Size = Size::gib(2);

/// Reports memory that is too small for the kind of guest.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some(memory) = guest.shape.memory else { continue };
        let has_gpu = guest.shape.gpus.as_ref().is_some_and(|gpus| !gpus.is_empty());
        let (least, why) = match guest.kind() {
            Some(KindName::Vm) if has_gpu => {
                (PASSTHROUGH, "UEFI firmware, a kernel and the driver of its GPU do not fit")
            }
            Some(KindName::Vm) => (CLOUD_IMAGE, "the first boot of a cloud image does not fit"),
            Some(KindName::Container) => (PVE, "Proxmox takes no less"),
            None => continue,
        };
        if memory.value < least {
            report.push(
                Diagnostic::error(
                    "inventory.memory-minimum",
                    format!("{} of memory is too little for guest `{}`", memory.value, guest.name.value),
                )
                .cause(why)
                .at(memory.span, "")
                .hint(format!("give it `{least}` or more")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn memory_minimum() {
        let own = "inventory.memory-minimum";
        assert_eq!(codes("guests: { plan-hq: { memory: 1GiB } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { memory: 1GiB, gpus: [] } }"), [""; 0]);
        assert_eq!(codes("guests: { plan-hq: { memory: 256MiB, gpus: [] } }"), [own]);
        assert_eq!(codes("guests: { proj-x: { memory: 8MiB } }"), [own]);
    }
}
