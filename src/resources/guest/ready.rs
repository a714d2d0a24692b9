//! Whether a host can take a new guest: what Proxmox would find out only in a task, or at the start.

use crate::blueprint::{Guest, GuestShape};
use crate::diag::Diagnostic;
use crate::resources::{Context, Finding};

/// Storage, content type, bridge and quorum, held against what the guest asks for.
pub fn ready(context: &Context<'_>, guest: &Guest) -> Result<(), Finding> {
    let host = context.blueprint.host_of(guest);
    let there = &context.observed.hosts[&host.name];
    if context.observed.sites[&host.site].quorate.value() == Some(&false) {
        return Err(Finding::Gap { why: format!("`{}` has no quorum: nothing can be created there", host.site) });
    }
    let content = match guest.shape {
        GuestShape::Vm(_) => "images",
        GuestShape::Container(_) => "rootdir",
    };
    let name = &guest.storage;
    let Some(storages) = there.storages.value() else {
        return Err(Finding::Gap {
            why: format!("storages of `{}`: {}", host.name, there.storages.why().unwrap_or("not known")),
        });
    };
    let refuse = |problem: Diagnostic| {
        Err(Finding::Refused(problem.at(guest.span_of("storage"), "its disk would be there").into()))
    };
    match storages.get(name) {
        None if !there.storages.is_complete() => {
            return Err(Finding::Gap { why: format!("whether there is a storage `{name}` on `{}`", host.name) });
        }
        None => {
            let known = storages.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return refuse(
                Diagnostic::error("plan.no-such-storage", format!("host `{}` has no storage `{name}`", host.name))
                    .cause(format!("its storages are: {known}"))
                    .hint("name one of them in `storage.guests` of the host, or in `storage` of the guest"),
            );
        }
        Some(storage) if !storage.content.iter().any(|taken| taken == content) => {
            return refuse(
                Diagnostic::error(
                    "plan.storage-content",
                    format!("storage `{name}` of host `{}` does not take `{content}`", host.name),
                )
                .cause(format!("it takes {}", storage.content.join(", ")))
                .hint("use another storage for guests, such as `local-zfs`"),
            );
        }
        Some(storage) if !storage.active => {
            return refuse(
                Diagnostic::error(
                    "plan.storage-inactive",
                    format!("storage `{name}` of host `{}` is not active", host.name),
                )
                .hint("look at `pvesm status` on the host"),
            );
        }
        Some(_) => {}
    }
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
