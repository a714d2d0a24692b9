//! A container that runs containers may do so.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::KindName;

const CODE: &str = "inventory.service-nesting";

/// Reports services with an image in containers that may not nest, and warns where the keyring is missing: runc goes
/// without one, some images do not (PVE: pve-container, LXC/Config.pm, `keyctl`).
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in draft.guests.iter().filter(|guest| guest.kind() == Some(KindName::Container)) {
        let in_container =
            |name: &crate::model::ServiceName| draft.services.get(name).is_some_and(|service| service.recipe.is_some());
        let Some(listed) = guest.listed().find(|listed| in_container(&listed.value)) else { continue };
        if let Some(nesting) = guest.shape.nesting.filter(|nesting| !nesting.value) {
            let problem =
                format!("container `{}` may run no containers, and `{}` is one", guest.name.value, listed.value);
            report.push(
                Diagnostic::error(CODE, problem)
                    .at(nesting.span, "")
                    .related(listed.span, "the service")
                    .hint("write `nesting: true`, or use a VM"),
            );
        } else if !guest.shape.keyctl.is_some_and(|keyctl| keyctl.value) && !draft.broken.key(guest.own.span, "keyctl")
        {
            let problem = format!("Docker in container `{}` has no access to the keyring", guest.name.value);
            report.push(
                Diagnostic::warning(CODE, problem)
                    .at(listed.span, "this runs in Docker")
                    .hint("write `keyctl: true`; Proxmox lets root@pam alone set it, so it goes over SSH"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn service_nesting() {
        let own = "inventory.service-nesting";
        assert_eq!(codes("guests: { proj-x: { keyctl: true, services: [nats] } }"), [""; 0]);
        assert_eq!(codes("guests: { proj-x: { services: [nats] } }"), [own]);
        assert_eq!(codes("guests: { proj-x: { keyctl: true, nesting: false, services: [nats] } }"), [own]);
        assert_eq!(codes("guests: { proj-x: { services: [node-exporter] } }"), [""; 0], "a package");
    }
}
