//! Numbers of guests are unique within a site, over VMs and containers.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports two guests with one number.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let guests = draft.guests.iter().filter_map(|guest| {
        let vmid = guest.own.vmid?;
        Some(((draft.site_of(guest)?, vmid.value), (guest, vmid.span)))
    });
    once(guests, |(_, vmid), (first, first_span), (again, span)| {
        let problem = Diagnostic::error(
            "inventory.vmid-unique",
            format!("guests `{}` and `{}` have the same number {vmid}", first.name.value, again.name.value),
        );
        report.push(
            collision(problem, *first_span, *span)
                .hint("give one of them a free number; VMs and containers share them"),
        );
    });
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, HOST, codes};

    #[test]
    fn vmid_unique() {
        assert_eq!(codes("guests: { proj-x: { vmid: 100 } }"), ["inventory.vmid-unique"]);
        let elsewhere = CONTAINER.replace("host: hq", "host: b");
        let over = |cluster: &str| {
            format!(
                "hosts: {{ hq: {{ {cluster} }}, b: {{ address: b, {cluster} {HOST} }} }}\n\
                 guests: {{ z: {{ {elsewhere}, vmid: 100, address: 10.1.0.5 }} }}"
            )
        };
        assert_eq!(codes(&over("")), [""; 0], "two hosts of their own may use the same number");
        assert_eq!(codes(&over("cluster: c,")), ["inventory.vmid-unique"]);
    }
}
