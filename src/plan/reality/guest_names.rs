//! Names that another guest of the site has already: Proxmox takes them, people mix them up.

use super::{Findings, Sight};

pub(super) fn check(sight: Sight<'_>, findings: &mut Findings) {
    for (_, guest) in sight.made() {
        let host = sight.blueprint.host_of(guest);
        let guests = sight.observed.sites.get(&host.site).and_then(|site| site.guests.value());
        for (vmid, other) in guests.into_iter().flatten() {
            if *vmid != guest.vmid && other.name.as_deref() == Some(guest.name.as_str()) {
                findings.notes.push(format!(
                    "{} on node {} is called `{}`, too: Proxmox tells them apart by number only",
                    vmid, other.node, guest.name
                ));
            }
        }
    }
}
