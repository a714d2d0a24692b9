//! Addresses of guests are unique within a site.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports two guests with one address, and guests with the address of a host.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.address-unique";
    let guests = || {
        draft.guests.iter().filter_map(|guest| {
            let address = guest.own.address.as_ref()?;
            Some(((draft.site_of(guest)?, address.value.0), (guest, address.span)))
        })
    };
    once(guests(), |(_, address), (first, first_span), (again, span)| {
        let problem = Diagnostic::error(
            CODE,
            format!("guests `{}` and `{}` have the same address {address}", first.name.value, again.name.value),
        );
        report.push(collision(problem, *first_span, *span).hint("give one of them a free address of the subnet"));
    });
    for ((_, address), (guest, span)) in guests() {
        for (name, host) in draft.hosts() {
            let Some(own) = host.address.as_ref().filter(|own| own.parse() == Ok(address)) else { continue };
            report.push(
                Diagnostic::error(
                    CODE,
                    format!("guest `{}` has the address of host `{}`", guest.name.value, name.value),
                )
                .at(span, "")
                .related(own.span, "the host")
                .hint("give the guest a free address of the subnet"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn address_unique() {
        assert_eq!(codes("guests: { proj-x: { address: 10.0.0.10 } }"), ["inventory.address-unique"]);
        assert_eq!(codes("hosts: { hq: { address: 10.0.0.123 } }"), ["inventory.address-unique"]);
    }
}
