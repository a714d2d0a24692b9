//! `plan.host-memory`: what guests take of a host's memory, and what it has.
//!
//! A device that is passed through can reach all of its VM's memory, so that the host sets all of it aside when the VM
//! starts: more than there is cannot start. Everything else may be promised twice and works until it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::storage_space::round;
use super::{Findings, Sight};
use crate::blueprint::{Guest, GuestShape, Host, PowerState};
use crate::diag::Diagnostic;
use crate::model::change::Action;
use crate::model::observed::{Power, Site};
use crate::model::{Size, Vmid};

pub(super) fn check(sight: Sight<'_>, findings: &mut Findings) {
    let stays = |action: Action| matches!(action, Action::Create | Action::Replace | Action::Update);
    let hosts: BTreeMap<_, &Host> = sight
        .changed()
        .filter(|(_, _, action)| stays(*action))
        .map(|(_, guest, _)| (&guest.host, sight.blueprint.host_of(guest)))
        .collect();
    for host in hosts.into_values() {
        let Some(site) = sight.observed.sites.get(&host.site) else { continue };
        let Some(has) = site.node_memory.value().and_then(|all| all.get(&host.node)).copied() else { continue };
        let ours: Vec<&Guest> = sight.blueprint.guests.values().filter(|guest| guest.host == host.name).collect();
        match pinned(host, has, &ours) {
            Some(problem) => findings.problems.push(problem),
            None => findings.notes.extend(promised(sight, host, has, &ours, site)),
        }
    }
}

/// The refusal where VMs that shall run pin more than there is.
fn pinned(host: &Host, has: u64, ours: &[&Guest]) -> Option<Diagnostic> {
    let passes = |guest: &Guest| matches!(&guest.shape, GuestShape::Vm(vm) if !vm.gpus.is_empty());
    let mut pinning = ours.iter().filter(|guest| guest.power == PowerState::Running && passes(guest));
    let sum: u64 = pinning.clone().map(|guest| guest.memory.as_bytes()).sum();
    if sum <= has {
        return None;
    }
    let first = pinning.next()?;
    let part = |guest: &Guest| format!("{} for `{}`", guest.memory, guest.name);
    let summary = format!(
        "VMs with passthrough take {} of the memory of `{}` at once, and it has {}",
        round(Size::bytes(sum)),
        host.name,
        round(Size::bytes(has)),
    );
    let mut problem = Diagnostic::error("plan.host-memory", summary).at(first.span_of("memory"), part(first));
    for guest in pinning {
        problem = problem.related(guest.span_of("memory"), part(guest));
    }
    Some(
        problem
            .cause("a device that is passed through can reach all memory of its VM, so that none of it is swapped or shared")
            .hint("give them less `memory`, or let one of them be `state: stopped`"),
    )
}

/// The note where all guests together may take more than there is.
fn promised(sight: Sight<'_>, host: &Host, has: u64, ours: &[&Guest], site: &Site) -> Option<String> {
    let known: BTreeSet<Vmid> = sight
        .blueprint
        .guests
        .values()
        .filter(|guest| sight.blueprint.host_of(guest).site == host.site)
        .map(|guest| guest.vmid)
        .collect();
    let mut parts: Vec<(u64, String)> = ours
        .iter()
        .filter(|guest| guest.power == PowerState::Running || guest.onboot)
        .map(|guest| (guest.memory.as_bytes(), format!("`{}` {}", guest.name, guest.memory)))
        .collect();
    let others = site
        .guests
        .value()
        .into_iter()
        .flatten()
        .filter(|(vmid, guest)| !known.contains(vmid) && guest.node == host.node && guest.status == Power::Running);
    for (vmid, guest) in others {
        let Some(memory) = guest.memory else { continue };
        let name = guest.name.as_deref().unwrap_or("no name");
        parts.push((memory, format!("{vmid} ({name}) {}, not of this inventory", round(Size::bytes(memory)))));
    }
    let sum: u64 = parts.iter().map(|(memory, _)| memory).sum();
    (sum > has).then(|| {
        let parts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
        format!(
            "guests of `{}` may take {} of memory, and it has {}: {}; this works until they use it",
            host.name,
            round(Size::bytes(sum)),
            round(Size::bytes(has)),
            parts.join("; "),
        )
    })
}
