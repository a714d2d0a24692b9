//! Whose a guest is, and where it is now.

use crate::blueprint::{Blueprint, Guest, GuestShape};
use crate::diag::Diagnostic;
use crate::model::observed::{GuestConfig, GuestKind, GuestListing, Power};
use crate::model::step::StepId;
use crate::model::{Addr, HostName, Kind, NodeName};
use crate::resources::ownership::{Owner, owner, owner_tag};
use crate::resources::{Context, Finding};

/// The address of a guest.
pub fn guest_addr(guest: &Guest) -> Addr {
    match guest.shape {
        GuestShape::Vm(_) => Addr::new(Kind::Vm, &guest.name),
        GuestShape::Container(_) => Addr::new(Kind::Container, &guest.name),
    }
}

/// Where a guest is, or would be.
pub struct Located {
    pub kind: GuestKind,
    pub node: NodeName,
    pub running: bool,
    /// Whether it exists as a whole; a torso of an interrupted create does not.
    pub present: bool,
    /// Whether the torso of an interrupted create of ours has to go first.
    pub torso: bool,
    pub listing: Option<GuestListing>,
    pub config: GuestConfig,
    /// The host of the inventory that it is on, for what goes over SSH.
    pub shell: Option<HostName>,
}

impl Located {
    /// The key of its system disk.
    pub fn disk_key(&self) -> &'static str {
        match self.kind {
            GuestKind::Qemu => "scsi0",
            GuestKind::Lxc => "rootfs",
        }
    }

    /// The storage that its system disk is on.
    pub fn disk_storage(&self) -> Option<&str> {
        let (storage, _) = self.config.coming(self.disk_key())?.split_once(':')?;
        Some(storage)
    }

    /// Whether the guest that is there goes, whole or torso, before one is made: its firewall file
    /// goes with it.
    pub fn goes_first(&self, context: &Context<'_>, guest: &Guest) -> bool {
        let moved = self.disk_storage().is_some_and(|storage| storage != guest.storage.as_str());
        self.torso || (moved && context.allowed.replaces(&guest_addr(guest)))
    }
}

fn wanted_kind(guest: &Guest) -> GuestKind {
    match guest.shape {
        GuestShape::Vm(_) => GuestKind::Qemu,
        GuestShape::Container(_) => GuestKind::Lxc,
    }
}

/// Finds a guest by its number, wherever in its site it is now.
pub fn locate(context: &Context<'_>, guest: &Guest) -> Result<Located, Box<Finding>> {
    let gap = |why: String| Err(Box::new(Finding::Gap { why }));
    let host = context.blueprint.host_of(guest);
    let site = &context.observed.sites[&host.site];
    let unknown = || format!("guests of `{}`: {}", host.site, site.guests.why().unwrap_or("not known"));
    let Some(guests) = site.guests.value() else { return gap(unknown()) };
    if let Some(busy) = site.tasks.value().and_then(|tasks| tasks.iter().find(|t| t.id() == guest.vmid.to_string())) {
        return gap(format!("a task is working on it: {} on {}", busy.task_type(), busy.node()));
    }
    let kind = wanted_kind(guest);
    let Some(listing) = guests.get(&guest.vmid) else {
        // Only in a complete list does "not listed" mean "not there".
        if !site.guests.is_complete() {
            return gap(unknown());
        }
        let online = &context.observed.hosts[&host.name].online;
        if online.value() == Some(&false) {
            return gap(format!("node `{}` is offline", host.node));
        }
        return Ok(Located {
            kind,
            node: host.node.clone(),
            running: false,
            present: false,
            torso: false,
            listing: None,
            config: GuestConfig::default(),
            shell: Some(host.name.clone()),
        });
    };
    if listing.status == Power::Unknown {
        return gap(format!("node `{}` is offline", listing.node));
    }
    let config = site.configs.get(&guest.vmid);
    let Some(known) = config.and_then(|config| config.value()) else {
        return gap(format!("its configuration: {}", config.and_then(|c| c.why()).unwrap_or("was not asked for")));
    };
    let addr = guest_addr(guest);
    let torso = known.active("lock") == Some("create")
        && listing.kind == kind
        && context.unfinished.contains(&StepId::new(&addr, "create"));
    let owner = owner(&context.blueprint.name, &addr, listing, Some(known));
    if let Owner::Other(other) = &owner {
        return Err(Box::new(Finding::Refused(of_another(guest, listing, other).into())));
    }
    let ours = owner == Owner::Us && listing.kind == kind;
    if !ours && !torso {
        return Err(Box::new(Finding::Refused(foreign(context.blueprint, guest, listing, known).into())));
    }
    let on = context.blueprint.hosts.values().find(|other| other.site == host.site && other.node == listing.node);
    Ok(Located {
        kind,
        node: listing.node.clone(),
        running: listing.status == Power::Running,
        present: !torso,
        torso,
        listing: Some(listing.clone()),
        config: if torso { GuestConfig::default() } else { known.clone() },
        shell: on.map(|on| on.name.clone()),
    })
}

fn foreign(blueprint: &Blueprint, guest: &Guest, there: &GuestListing, config: &GuestConfig) -> Diagnostic {
    let what = match there.kind {
        GuestKind::Qemu => "a VM",
        GuestKind::Lxc => "a container",
    };
    let name = there.name.as_deref().unwrap_or("without a name");
    let problem = Diagnostic::error(
        "plan.foreign-vmid",
        format!("vmid {} is taken: {what}, `{name}`, on node `{}`", guest.vmid, there.node),
    )
    .at(guest.span_of("vmid"), format!("wanted for `{}`", guest.name));
    if config.active("lock") == Some("create") {
        return problem
            .cause("it carries `lock: create`: a create was cut off, and nothing tells that it was ours")
            .hint(format!("if nothing else is creating it right now: on `{}`, `{} unlock {v}` and `{} destroy {v}`, then apply again", there.node, tool(there.kind), tool(there.kind), v = guest.vmid));
    }
    problem.cause("it does not carry our mark, so it is not ours to touch").hint(format!(
        "use another vmid, or adopt it: give it the tag `{}`, and the next plan shows what would change",
        owner_tag(&blueprint.name)
    ))
}

/// A guest of ours with this number that is called something else: a renamed entry, or a number used anew.
/// Taking it over would put one guest's name and data under another.
fn of_another(guest: &Guest, there: &GuestListing, other: &str) -> Diagnostic {
    Diagnostic::error(
        "plan.vmid-of-another",
        format!("vmid {} belongs to `{other}`, not to `{}`", guest.vmid, guest.name),
    )
    .at(guest.span_of("vmid"), "wanted here")
    .cause(format!("the notes of {} on node `{}` say so", guest.vmid, there.node))
    .hint("use another vmid; the other guest stays until it is destroyed by name")
    .hint("if it is the same guest under a new name: remove the line `managed by infra: …` from its notes, and plan again")
}

pub fn tool(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    }
}
