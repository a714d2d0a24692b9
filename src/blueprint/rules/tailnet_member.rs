//! Who joins the tailnet can: it is reached by its host, and reaches the tailnet's control plane.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{Internet, VisitorName};

const CODE: &str = "inventory.tailnet-member";

/// Reports guests that are to join the tailnet and have `internet: false`, or whose host has no `ssh`.
///
/// Without the internet there is no tailnet: Tailscale's control plane and relays have no fixed addresses that a flow
/// could be derived for, and opening all of the internet behind a `false` would be a lie. Whoever runs Headscale lists
/// its address.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in draft.guests.iter().filter(|guest| joins(draft, guest)) {
        let name = &guest.name.value;
        if let Some(internet) = guest.shape.internet.as_ref().filter(|one| matches!(one.value, Internet::None)) {
            report.push(
                Diagnostic::error(CODE, format!("guest `{name}` joins the tailnet and has no internet"))
                    .cause("what joins has to reach the tailnet's control plane and relays, and the package it needs")
                    .at(internet.span, "")
                    .related(guest.name.span, "joins as somebody has `access` to it, or as one of `tailnet.members`")
                    .hint("list where it may connect to: `internet: [internet]`, or your own Headscale and package proxy by their addresses")
                    .hint("or take it out of the tailnet: people reach it through `routes` on a guest that is in it"),
            );
        }
        let Some((host_name, host)) = draft.host_of(guest) else { continue };
        if host.ssh.is_none() && !draft.broken.key(host.span, "ssh") {
            report.push(
                Diagnostic::error(CODE, format!("guest `{name}` joins the tailnet, and nobody can reach into it"))
                    .cause("Proxmox runs commands in a guest for root on its host, over SSH")
                    .at(guest.name.span, "")
                    .related(host_name.span, "has no `ssh`")
                    .hint("give the host `ssh: { user: root, host_key: … }`"),
            );
        }
    }
}

fn joins(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> bool {
    let document = &draft.inventory.document;
    let Some(tailnet) = &document.tailnet else { return false };
    let named = tailnet.members.iter().flatten().any(|member| member.value == guest.name.value);
    let reached = guest.shape.access.as_ref().is_some_and(|access| !access.is_empty());
    let visited = document.ingress.as_ref().is_some_and(|ingress| {
        let here = ingress.guest.as_ref().is_some_and(|own| own.value == guest.name.value);
        here && ingress.from.iter().flatten().any(|from| matches!(from.value, VisitorName::Tailnet(_)))
    });
    named || reached || visited
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, with};
    use crate::blueprint::{GuestShape, TUN};

    #[test]
    fn tailnet_member() {
        let own = ["inventory.tailnet-member"];
        let member = |rest: &str| codes(&format!("tailnet: {{ key: secret:t, members: [proj-x] }}\n{rest}"));
        assert_eq!(member(""), [""; 0]);
        assert_eq!(member("guests: { proj-x: { internet: false } }"), own);
        assert_eq!(member("guests: { proj-x: { internet: [192.168.20.5] } }"), [""; 0]);
        assert_eq!(member("hosts: { hq: { ssh: null } }\nguests: { proj-x: { datasets: [] } }"), own);
        let access = "guests: { proj-x: { internet: false, access: ['tag:phone'] } }";
        assert_eq!(codes(&format!("tailnet: {{ key: secret:t }}\n{access}")), own);
        assert!(!codes(access).contains(&own[0]), "without a tailnet nobody joins");
        let ingress = "ingress: { guest: proj-x, from: ['tag:phone'], tls: internal }\n\
                       guests: { proj-x: { internet: false, routes: { a.example.com: 8080 } } }";
        assert_eq!(codes(&format!("tailnet: {{ key: secret:t }}\n{ingress}")), own);
    }

    #[test]
    fn a_container_that_joins_is_given_the_tunnel_device_once() {
        let devices = |text: &str| -> Vec<(String, u32)> {
            let GuestShape::Container(container) = &with(text).guests[&"proj-x".parse().unwrap()].shape else {
                panic!("a container")
            };
            container.devices.iter().map(|device| (device.path.clone(), device.mode)).collect()
        };
        assert_eq!(devices("tailnet: { key: secret:t }"), []);
        let joins = "tailnet: { key: secret:t, members: [proj-x] }";
        assert_eq!(devices(joins), [(TUN.to_owned(), 0o666)]);
        let own = format!("{joins}\nguests: {{ proj-x: {{ devices: [{{ path: {TUN}, mode: \"0600\" }}] }} }}");
        assert_eq!(devices(&own), [(TUN.to_owned(), 0o600)]);
    }
}
