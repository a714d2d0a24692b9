//! Guests that use one another are on one network, or somebody routes between theirs.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::inventory::Viewer;

/// Warns about flows between guests whose hosts are of different sites with different subnets: nothing of the
/// inventory says that there is a way.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for wanted in guest.shape.uses.iter().flatten() {
            if let Some(other) = draft.guest(&wanted.guest) {
                apart(draft, guest, other, wanted.span, report);
            }
        }
        for viewer in guest.shape.exposes.iter().flatten().flat_map(|(_, viewers)| viewers) {
            if let Viewer::Guest(name) = &viewer.value
                && let Some(other) = draft.guest(name)
            {
                apart(draft, other, guest, viewer.span, report);
            }
        }
    }
}

fn apart(draft: &Draft<'_>, from: &DraftGuest<'_>, to: &DraftGuest<'_>, span: Span, report: &mut Diagnostics) {
    let subnet =
        |guest| draft.host_of(guest).and_then(|(_, host)| host.network.as_ref()?.subnet.as_ref().map(|s| s.value.0));
    let (Some(here), Some(there)) = (draft.site_of(from), draft.site_of(to)) else { return };
    let (Some(near), Some(far)) = (subnet(from), subnet(to)) else { return };
    if here == there || near == far {
        return;
    }
    let problem = Diagnostic::warning(
        "inventory.flow-reachable",
        format!("guest `{}` is on another network than `{}`", to.name.value, from.name.value),
    );
    report.push(
        problem
            .cause(format!("{near} of `{here}` and {far} of `{there}`: nothing here routes between them"))
            .at(span, "")
            .hint("the firewalls of both let it through; that packets find their way, without their source being rewritten, is up to your router"),
    );
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, HOST, codes};

    #[test]
    fn flow_reachable() {
        let over = |cluster: &str| {
            let guest = CONTAINER.replace("host: hq", "host: b");
            format!(
                "hosts: {{ hq: {{ {cluster} }}, b: {{ address: b, {cluster} {HOST} }} }}\n\
                 guests: {{ plan-hq: {{ services: [ollama] }}, \
                 z: {{ {guest}, vmid: 107, address: 10.1.0.5, uses: [plan-hq/ollama] }} }}"
            )
        };
        assert_eq!(codes(&over("")), ["inventory.flow-reachable"]);
        assert_eq!(codes(&over("cluster: c,")), [""; 0]);
    }
}
