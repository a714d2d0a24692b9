//! Firewall rules can be obeyed.

use crate::blueprint::draft::{Draft, peers};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::{Peer, Protocol};

/// Reports ports without a protocol that has ports, unknown guests, and rules over both IPv4 and IPv6.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for rule in draft.rules() {
        let mut found = Vec::new();
        if let Some(ports) = &rule.ports {
            match &rule.protocol {
                Some(protocol) if matches!(protocol.value, Protocol::Tcp | Protocol::Udp) => {}
                Some(protocol) => found.push(
                    Diagnostic::error(CODE, format!("`{}` has no ports", protocol.value))
                        .at(ports.span, "")
                        .related(protocol.span, "the protocol")
                        .hint("remove `ports`, or use `tcp` or `udp`"),
                ),
                None if draft.broken.key(rule.span, "protocol") => {}
                None => found.push(
                    Diagnostic::error(CODE, "this rule has ports but no protocol")
                        .at(ports.span, "")
                        .hint("add `protocol: tcp` or `protocol: udp`"),
                ),
            }
        }
        let mut families = [false; 2];
        for (peer, span) in peers(rule) {
            match peer {
                Peer::Net(net) => families[usize::from(net.addr().is_ipv6())] = true,
                Peer::Guest(name) => match draft.guest(name) {
                    Some(guest) => {
                        if let Some(address) = &guest.own.address {
                            families[usize::from(address.value.0.is_ipv6())] = true;
                        }
                    }
                    None if draft.broken.name(name.as_str()) => {}
                    None => found.push(
                        Diagnostic::error(CODE, format!("this rule names `{name}`, which is no guest"))
                            .at(span, "")
                            .hint(
                                did_you_mean(name.as_str(), draft.guests.iter().map(|guest| guest.name.as_str()))
                                    .unwrap_or_else(|| {
                                        "write a network, an address, or a guest of this inventory".to_owned()
                                    }),
                            ),
                    ),
                },
            }
        }
        if families == [true, true] {
            found.push(
                Diagnostic::error(CODE, "this rule mixes IPv4 and IPv6")
                    .at(rule.span, "")
                    .hint("make two rules of it: Proxmox takes one of the two per rule"),
            );
        }
        for problem in found {
            if !report.iter().any(|said| *said == problem) {
                report.push(problem);
            }
        }
    }
}

const CODE: &str = "inventory.firewall-rule";

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn firewall_rule() {
        let over =
            |rule: &str| format!("guests: {{ proj-x: {{ firewall: {{ rules: [{{ action: accept, {rule} }}] }} }} }}");
        for wrong in
            ["ports: 22", "ports: 22, protocol: icmp", "source: nobody", "source: 10.0.0.0/24, dest: \"fd00::/8\""]
        {
            assert_eq!(codes(&over(wrong)), ["inventory.firewall-rule"], "{wrong}");
        }
        assert_eq!(codes(&over("ports: [22, \"80:90\"], protocol: tcp, source: [plan-hq, 10.0.0.5]")), [""; 0]);
    }
}
