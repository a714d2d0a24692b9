//! What is exposed is there, and so is who it is exposed to.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use crate::inventory::{LocalService, Viewer};

const CODE: &str = "inventory.exposes-known";

/// Reports services of `exposes` and `access` that the guest does not have, viewers that are no guests or the guest
/// itself, networks that mean everybody, and lists without anybody.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for (what, viewers) in guest.shape.exposes.iter().flatten() {
            offered(draft, guest, what, report);
            if viewers.is_empty() && !draft.broken.keys_of(guest.own.span).any(|key| key == "exposes") {
                let problem = Diagnostic::error(CODE, format!("`{}` is exposed to nobody", what.value));
                report.push(
                    problem.at(what.span, "").hint("list networks, addresses, guests or `internet`, or remove it"),
                );
            }
            viewers.iter().for_each(|viewer| known(draft, guest, viewer, report));
        }
        for what in guest.shape.access.iter().flatten().flat_map(|access| access.to.iter().flatten()) {
            offered(draft, guest, what, report);
        }
    }
}

fn offered(draft: &Draft<'_>, guest: &DraftGuest<'_>, what: &Spanned<LocalService>, report: &mut Diagnostics) {
    if draft.has(guest, &what.service) || draft.broken.key(guest.own.span, "services") {
        return;
    }
    let names = || draft.services_of(guest).map(|service| service.name.as_str());
    let hint = did_you_mean(what.service.as_str(), names())
        .unwrap_or_else(|| format!("list it under `services`; it has {}", names().collect::<Vec<_>>().join(", ")));
    let problem = Diagnostic::error(CODE, format!("guest `{}` has no service `{}`", guest.name.value, what.service));
    report.push(problem.at(what.span, "").hint(hint));
}

fn known(draft: &Draft<'_>, guest: &DraftGuest<'_>, viewer: &Spanned<Viewer>, report: &mut Diagnostics) {
    let problem = match &viewer.value {
        Viewer::Guest(name) if *name == guest.name.value => {
            Diagnostic::error(CODE, format!("guest `{name}` exposes a service to itself"))
                .hint("remove it: services of one guest reach one another anyway")
        }
        Viewer::Guest(name) if draft.guest(name).is_none() && !draft.broken.name(name.as_str()) => {
            Diagnostic::error(CODE, format!("there is no guest `{name}`")).hint(
                did_you_mean(name.as_str(), draft.guests.iter().map(|guest| guest.name.as_str()))
                    .unwrap_or_else(|| "write a network, an address, a guest of this inventory, or `internet`".into()),
            )
        }
        Viewer::Net(network) if network.prefix_len() == 0 => {
            Diagnostic::error(CODE, format!("`{network}` means guests and hosts, too"))
                .hint("write `internet` for whoever has a public address, and name private networks beside it")
        }
        _ => return,
    };
    report.push(problem.at(viewer.span, ""));
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn exposes_known() {
        let own = ["inventory.exposes-known"];
        for wrong in [
            "open-webui: []",
            "open-webui: [plan-hq]",
            "open-webui: [nobody]",
            "open-webui: [0.0.0.0/0]",
            "grafana: [proj-x]",
        ] {
            let over = format!("guests: {{ plan-hq: {{ services: [open-webui], exposes: {{ {wrong} }} }} }}");
            assert_eq!(codes(&over), own, "{wrong}");
        }
        let fine =
            "guests: { plan-hq: { services: [open-webui], exposes: { open-webui: [proj-x, 10.0.0.0/24, internet] } } }";
        assert_eq!(codes(fine), [""; 0]);
    }
}
