//! What only a cluster can do to a plan: guests that are elsewhere, and a missing quorum.

use std::collections::BTreeSet;

use super::{Plan, Request};
use crate::blueprint::Guest;
use crate::diag::Diagnostic;
use crate::model::observed::GuestKind;
use crate::model::step::Op;
use crate::model::{Addr, Kind};
use crate::resources::owns;

/// A sentence for each guest of ours that is on another node than the inventory says. It is left there, and
/// never made a second time where it should be: moving it is for the operator, or for what moved it.
pub(super) fn misplaced(request: &Request<'_>) -> Vec<String> {
    let guests = request.blueprint.guests.values().filter(|guest| {
        let host = request.blueprint.host_of(guest);
        request.scope.covers(&addr(guest), &host.name)
    });
    guests.filter_map(|guest| sentence(request, guest)).collect()
}

fn addr(guest: &Guest) -> Addr {
    let kind = if matches!(guest.shape, crate::blueprint::GuestShape::Vm(_)) { Kind::Vm } else { Kind::Container };
    Addr::new(kind, &guest.name)
}

fn sentence(request: &Request<'_>, guest: &Guest) -> Option<String> {
    let host = request.blueprint.host_of(guest);
    let site = request.observed.sites.get(&host.site)?;
    let there = site.guests.value()?.get(&guest.vmid)?;
    let addr = addr(guest);
    let config = site.configs.get(&guest.vmid).and_then(|config| config.value());
    if there.node == host.node || !owns(&request.blueprint.name, &addr, there, config) {
        return None;
    }
    let tool = if there.kind == GuestKind::Qemu { "qm" } else { "pct" };
    let known = request.blueprint.hosts.values().find(|other| other.site == host.site && other.node == there.node);
    let other = match known {
        Some(known) => format!("write `host: {}`", known.name),
        None => format!("add a host with `node: {}` to the inventory and place it there", there.node),
    };
    Some(format!(
        "{addr} is on node {}, and the inventory places it on {}: it is left there; move it back (on {}: \
         `{tool} migrate {} {}`), or {other}",
        there.node, host.node, there.node, guest.vmid, host.node
    ))
}

/// Refuses changes in clusters that cannot write: Proxmox would turn the first one away, or wait ten seconds and
/// then turn it away.
pub(super) fn without_quorum(request: &Request<'_>, plan: &Plan) -> Vec<Diagnostic> {
    let sites: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter_map(|step| request.blueprint.hosts.get(&step.host))
        .map(|host| host.site.as_str())
        .filter(|site| request.observed.sites.get(*site).and_then(|site| site.quorate.value()) == Some(&false))
        .collect();
    let others = request.blueprint.hosts.values().find(|host| !sites.contains(host.site.as_str()));
    sites
        .into_iter()
        .map(|site| {
            let nodes = request.observed.sites[site].nodes.value();
            let off: Vec<String> =
                nodes.into_iter().flatten().filter(|(_, on)| !**on).map(|(node, _)| node.to_string()).collect();
            let problem = Diagnostic::error(
                "plan.no-quorum",
                format!("`{site}` has no quorum: nothing can be changed there"),
            )
            .cause("Proxmox refuses every change meanwhile (`cluster not ready - no quorum?`)")
            .hint("look at `pvecm status` on one of its nodes; when enough of them see one another again, plan again");
            let problem = match off.is_empty() {
                true => problem,
                false => problem.cause(format!("offline: {}", off.join(", "))),
            };
            problem.hint_maybe(others.map(|host| format!("the rest goes on without it: `--limit {}`", host.name)))
        })
        .collect()
}

/// The node on which a plan would change a resource.
pub(super) fn node_of<'a>(plan: &'a Plan, addr: &Addr) -> Option<&'a str> {
    let ops = plan.steps.iter().filter(|step| step.addr == *addr).flat_map(|step| &step.ops);
    let mut paths = ops.filter_map(|op| match op {
        Op::Call { request, .. } | Op::Task { request, .. } | Op::Obtain { request, .. } => Some(request.path.as_str()),
        _ => None,
    });
    paths.find_map(|path| path.strip_prefix("/nodes/")?.split('/').next())
}
