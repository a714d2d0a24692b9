//! Snapshots that a change gets in the way of: a disk that grew has its old size again after a rollback, and a
//! container with a bind mount can have no further snapshot (`pve-api.md`, 9.2.11).

use super::{Findings, Sight};
use crate::model::change::Action;

pub(super) fn check(sight: Sight<'_>, findings: &mut Findings) {
    for (addr, guest, action) in sight.changed() {
        if matches!(action, Action::Create | Action::None) {
            continue;
        }
        let host = sight.blueprint.host_of(guest);
        let config = sight.observed.sites.get(&host.site).and_then(|site| site.configs.get(&guest.vmid)?.value());
        let Some(parent) = config.and_then(|config| config.active("parent")) else { continue };
        let Some(change) = sight.plan.changes.iter().find(|change| change.addr == *addr) else { continue };
        let changes = |prefix: &str| change.fields.iter().any(|field| field.path.starts_with(prefix));
        if matches!(action, Action::Replace | Action::Destroy) {
            findings.notes.push(format!("{addr} has snapshots, the last of them `{parent}`: they go with it"));
            continue;
        }
        if changes("disk") {
            findings.notes.push(format!(
                "{addr} has snapshots, the last of them `{parent}`: going back to one gives its disk the old size again"
            ));
        }
        if changes("mounts.") {
            findings.notes.push(format!(
                "{addr} has snapshots, the last of them `{parent}`: going back to one takes its mounts back, and with a \
                 dataset mounted Proxmox takes no new one of it"
            ));
        }
    }
}
