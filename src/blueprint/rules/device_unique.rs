//! A device node is passed into a container once.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports device nodes that are listed twice.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let devices = guest.shape.devices.iter().flatten().filter_map(|device| device.path.as_ref());
        once(devices.map(|path| (&path.value.0, path.span)), |path, first, again| {
            report.push(
                collision(
                    Diagnostic::error(
                        "inventory.device-unique",
                        format!("guest `{}` gets `{path}` twice", guest.name.value),
                    ),
                    *first,
                    *again,
                )
                .hint("remove one; a profile's devices are kept when a guest adds some"),
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn device_unique() {
        let over = "guests: { proj-x: { devices: [/dev/kvm, { path: /dev/kvm }] } }";
        assert_eq!(codes(over), ["inventory.device-unique"]);
    }
}
