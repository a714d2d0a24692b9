//! From inventory to blueprint.

use super::draft::Draft;
use super::{Blueprint, assemble, rules};
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::Inventory;

/// Resolves profiles, holds everything against everything, and completes what was left out.
///
/// There is a blueprint exactly if neither loading nor resolving found an error. Warnings come beside it.
#[must_use]
pub fn resolve(inventory: &Inventory) -> (Option<Blueprint>, Diagnostics) {
    let mut report = Diagnostics::new();
    let draft = Draft::new(inventory, &mut report);
    for rule in rules::RULES {
        (rule.check)(&draft, &mut report);
    }
    let refused = inventory.refused || report.has_errors();
    let blueprint = if refused { None } else { assemble::blueprint(&draft) };
    if blueprint.is_none() && !refused {
        report.push(
            Diagnostic::error("inventory.incomplete", "the inventory passed every rule, but is not complete")
                .hint("this is a mistake of this program; please report it with the inventory"),
        );
    }
    report.sort_by_place();
    (blueprint, report)
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, good};
    use crate::blueprint::{GuestShape, PowerState, Verdict};
    use crate::model::Size;

    #[test]
    fn what_is_left_out_is_completed() {
        let blueprint = good();
        assert_eq!(codes(""), [""; 0]);
        assert_eq!(blueprint.pool.as_str(), "test");
        let host = &blueprint.hosts.values().next().unwrap();
        assert_eq!((host.site.as_str(), host.node.as_str(), host.access.api.port), ("hq", "hq", 8006));
        assert_eq!(host.network.dns, [host.network.gateway]);
        let vm = &blueprint.guests[&"plan-hq".parse().unwrap()];
        let GuestShape::Vm(shape) = &vm.shape else { panic!("a VM") };
        assert_eq!((shape.user.as_str(), shape.cpu.0.as_str(), shape.agent.wait_s), ("infra", "host", 300));
        assert_eq!((vm.power, vm.onboot, vm.memory), (PowerState::Running, true, Size::gib(32)));
        let container = &blueprint.guests[&"proj-x".parse().unwrap()];
        let GuestShape::Container(shape) = &container.shape else { panic!("a container") };
        assert_eq!(shape.datasets[0].dataset.as_str(), "rpool/containers/proj-x");
        assert!(shape.datasets[0].owner && shape.nesting && !shape.keyctl);
        assert_eq!(container.firewall.inbound, Verdict::Drop);
        assert_eq!(container.interface.to_string(), "10.0.0.123/24");
    }
}
