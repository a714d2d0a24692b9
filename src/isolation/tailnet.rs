//! The tailnet's part of an answer: whether its policy lets a party of it reach a guest, and by which rule.
//!
//! The evaluator itself is [`crate::tailnet::Policy::decide`], as resources are held against it, too. Here it is asked
//! in the words of flows.

use crate::model::{EnvironmentName, GuestName, Transport};
use crate::tailnet::{Decision, Packet, Policy, tag_of};

/// What `policy` says of `from`, in the policy's own words, reaching a port of a guest.
#[must_use]
pub fn tailnet_decision<'p>(
    policy: &'p Policy,
    inventory: &EnvironmentName,
    from: &str,
    to: &GuestName,
    (transport, port): (Transport, u16),
) -> Decision<'p> {
    policy.decide(&Packet { from, to: &tag_of(inventory, to), transport, port })
}

/// What `policy` says of a guest reaching a port of another over the tailnet.
#[must_use]
pub fn between_guests<'p>(
    policy: &'p Policy,
    inventory: &EnvironmentName,
    from: &GuestName,
    to: &GuestName,
    port: (Transport, u16),
) -> Decision<'p> {
    tailnet_decision(policy, inventory, &tag_of(inventory, from), to, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_decides_is_named() {
        let policy =
            Policy::read(r#"{"grants": [{"src": ["tag:phone"], "dst": ["tag:infra-t-plan-hq"], "ip": ["tcp:22"]}]}"#)
                .unwrap();
        let (plan, proj): (GuestName, GuestName) = ("plan-hq".parse().unwrap(), "proj-x".parse().unwrap());
        let inventory: EnvironmentName = "t".parse().unwrap();
        let said = tailnet_decision(&policy, &inventory, "tag:phone", &plan, (Transport::Tcp, 22)).to_string();
        assert!(said.contains("line 1") && said.contains("tcp:22"), "{said}");
        assert!(!between_guests(&policy, &inventory, &proj, &plan, (Transport::Tcp, 22)).is_reachable());
    }
}
