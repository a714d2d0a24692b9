//! A host's network fits together.

use std::net::IpAddr;

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::Interface;

/// Reports gateways outside the subnet or on an address that no machine can have, subnets without
/// room for guests, and name servers of the other protocol.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.host-network";
    for (_, host) in draft.hosts() {
        let Some(network) = &host.network else { continue };
        let Some(subnet) = &network.subnet else { continue };
        let net = subnet.value.0;
        let full = if net.addr().is_ipv4() { 30 } else { 126 };
        if net.prefix_len() > full {
            report.push(
                Diagnostic::error(CODE, format!("the subnet {net} has no room for guests"))
                    .at(subnet.span, "")
                    .hint(format!("use a prefix of /{full} or shorter")),
            );
            continue;
        }
        let Some(gateway) = &network.gateway else { continue };
        let address = gateway.value.0;
        if Interface::in_network(address, net).is_none() {
            let why = match (net.contains(&address), address) {
                (false, _) => format!("the gateway {address} is not in the subnet {net}"),
                (true, IpAddr::V4(_)) => format!("the gateway {address} is the network's own or its broadcast address"),
                (true, IpAddr::V6(_)) => format!("the gateway {address} is the network's own address"),
            };
            report.push(
                Diagnostic::error(CODE, why)
                    .at(gateway.span, "")
                    .related(subnet.span, "the subnet")
                    .hint("guests reach the gateway on their own network, so it must be one of its hosts"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn host_network() {
        for wrong in ["10.0.1.1", "10.0.0.0", "10.0.0.255", "fd00::1"] {
            let over = format!("hosts: {{ hq: {{ network: {{ gateway: \"{wrong}\" }} }} }}");
            assert_eq!(codes(&over), ["inventory.host-network"], "{wrong}");
        }
        let tiny = codes("hosts: { hq: { network: { subnet: 10.0.0.0/31 } } }");
        assert!(tiny.contains(&"inventory.host-network"), "{tiny:?}");
    }
}
