//! A guest's address is one that a machine of its host's subnet can have.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::Interface;

/// Reports addresses outside the subnet, the network's own, its broadcast address, and the gateway's.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some(address) = &guest.own.address else { continue };
        let Some(network) = draft.host_of(guest).and_then(|(_, host)| host.network.as_ref()) else { continue };
        let Some(subnet) = &network.subnet else { continue };
        let (ip, net) = (address.value.0, subnet.value.0);
        let gateway = network.gateway.as_ref().filter(|gateway| gateway.value.0 == ip);
        let why = if let Some(gateway) = gateway {
            Diagnostic::error(CODE, format!("guest `{}` has the gateway's address {ip}", guest.name.value))
                .at(address.span, "")
                .related(gateway.span, "the gateway")
        } else if !net.contains(&ip) {
            Diagnostic::error(CODE, format!("the address {ip} of guest `{}` is outside its subnet", guest.name.value))
                .at(address.span, format!("not in {net}"))
                .related(subnet.span, "the subnet of its host")
        } else if Interface::in_network(ip, net).is_none() {
            Diagnostic::error(CODE, format!("guest `{}` cannot have the address {ip}", guest.name.value))
                .cause(format!("it is the network's own or the broadcast address of {net}"))
                .at(address.span, "")
        } else {
            continue;
        };
        let example = net.hosts().find(|free| {
            let taken = |ip: std::net::IpAddr| {
                draft.guests.iter().any(|g| g.own.address.as_ref().is_some_and(|a| a.value.0 == ip))
            };
            network.gateway.as_ref().is_none_or(|gateway| gateway.value.0 != *free) && !taken(*free)
        });
        report.push(match example {
            Some(free) => why.hint(format!("free in this inventory is `{free}`")),
            None => why,
        });
    }
}

const CODE: &str = "inventory.address-in-subnet";

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn address_in_subnet() {
        for wrong in ["10.0.1.5", "10.0.0.0", "10.0.0.255", "10.0.0.1", "fd00::5"] {
            let over = format!("guests: {{ proj-x: {{ address: \"{wrong}\" }} }}");
            assert_eq!(codes(&over), ["inventory.address-in-subnet"], "{wrong}");
        }
        assert!(said("guests: { proj-x: { address: 10.0.0.1 } }").contains("free in this inventory is `10.0.0.2`"));
    }
}
