//! Somebody can log in.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::KindName;

/// Warns about VMs without an SSH key: a cloud image has no password.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let top = draft.inventory.document.ssh_keys.as_ref().is_some_and(|keys| !keys.is_empty());
    for guest in &draft.guests {
        let own = guest.shape.ssh_keys.as_ref();
        let none = own.map_or(!top, Vec::is_empty);
        if guest.kind() == Some(KindName::Vm) && none && !draft.broken.name("ssh_keys") {
            report.push(
                Diagnostic::warning(
                    "inventory.ssh-keys-present",
                    format!("nobody can log in to VM `{}`", guest.name.value),
                )
                .cause("it has no SSH key, and a cloud image has no password")
                .at(guest.name.span, "")
                .hint("list public keys under `ssh_keys`, for this guest or at the top for all"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn ssh_keys_present() {
        let own = "inventory.ssh-keys-present";
        assert_eq!(codes("ssh_keys: []"), [own]);
        assert_eq!(codes("guests: { plan-hq: { ssh_keys: [] } }"), [own]);
    }
}
