//! Whether a host can take a new guest: what Proxmox would find out only in a task, or at the start.

use crate::blueprint::{Guest, GuestShape};
use crate::diag::Diagnostic;
use crate::resources::storage::{Kept, takes};
use crate::resources::{Context, Finding};

/// Storage, content type, bridge and quorum, held against what the guest asks for.
pub fn ready(context: &Context<'_>, guest: &Guest) -> Result<(), Finding> {
    let host = context.blueprint.host_of(guest);
    let there = &context.observed.hosts[&host.name];
    let content = match guest.shape {
        GuestShape::Vm(_) => "images",
        GuestShape::Container(_) => "rootdir",
    };
    takes(
        context,
        host,
        &Kept { storage: &guest.storage, content, place: guest.span_of("storage"), label: "its disk would be there" },
    )?;
    let bridge = &host.network.bridge;
    if let Some(bridges) = there.bridges.value()
        && there.bridges.is_complete()
        && !bridges.contains(bridge)
    {
        let known = bridges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Finding::Refused(
            Diagnostic::error("plan.no-such-bridge", format!("host `{}` has no bridge `{bridge}`", host.name))
                .at(host.span, "named in this host's `network.bridge`")
                .cause(if known.is_empty() {
                    "it has no bridge at all".into()
                } else {
                    format!("its bridges are: {known}")
                })
                .hint("Proxmox would notice only when the guest starts")
                .into(),
        ));
    }
    Ok(())
}
