//! How a guest of the inventory stands on its host.

use super::{Finding, NotRun, Subject};
use crate::blueprint::{Container, Guest, GuestShape, Vm};
use crate::model::observed::{GuestConfig, GuestKind, GuestListing};
use crate::model::{Addr, Kind};
use crate::resources::owns;

/// How a guest of the inventory stands on its host.
pub(super) enum Standing<'a> {
    /// It is not there: the plan makes it.
    Absent,
    /// It is there and ours.
    Ours(&'a GuestListing, &'a GuestConfig),
    /// Its number is somebody else's.
    Foreign(&'a GuestListing),
}

/// The address of a guest.
pub(super) fn addr(guest: &Guest) -> Addr {
    let kind = if matches!(guest.shape, GuestShape::Vm(_)) { Kind::Vm } else { Kind::Container };
    Addr::new(kind, &guest.name)
}

/// How a guest stands, or why nobody can tell.
pub(super) fn standing<'a>(subject: &Subject<'a>, guest: &Guest) -> Result<Standing<'a>, String> {
    let site = subject.site();
    let Some(guests) = site.guests.value() else { return Err(site.guests.why().unwrap_or_default().to_owned()) };
    let Some(listing) = guests.get(&guest.vmid) else {
        return match site.guests.why() {
            None => Ok(Standing::Absent),
            Some(why) => Err(why.to_owned()),
        };
    };
    let fact = site.configs.get(&guest.vmid);
    let Some(config) = fact.and_then(|config| config.value()) else {
        let why = fact.and_then(|config| config.why()).unwrap_or("it was not asked for");
        return Err(format!("configuration of {}: {why}", guest.vmid));
    };
    let kind = if matches!(guest.shape, GuestShape::Vm(_)) { GuestKind::Qemu } else { GuestKind::Lxc };
    let ours = listing.kind == kind && owns(&subject.blueprint.name, &addr(guest), listing, Some(config));
    Ok(if ours { Standing::Ours(listing, config) } else { Standing::Foreign(listing) })
}

/// Whether the plan changes a field of a guest; a field is named as in the plan (`machine`, `mounts./srv`).
pub(super) fn plan_sets(subject: &Subject<'_>, guest: &Guest, field: &str) -> bool {
    let addr = addr(guest);
    let change = subject.plan.ok().and_then(|plan| plan.changes.iter().find(|change| change.addr == addr));
    change.is_some_and(|change| change.fields.iter().any(|changed| changed.path == field))
}

/// One finding per VM that GPUs are passed to; `absent` about one that is not there yet.
pub(super) fn gpu_vms<'a>(
    subject: &Subject<'a>,
    absent: &Finding,
    judge: impl Fn(&'a Guest, &'a Vm, &'a GuestListing, &'a GuestConfig) -> Finding,
) -> Result<Vec<Finding>, NotRun> {
    let vms = subject.vms().filter(|(_, vm)| !vm.gpus.is_empty());
    let findings: Vec<Finding> = vms
        .map(|(guest, vm)| each(subject, guest, absent, |listing, config| judge(guest, vm, listing, config)))
        .collect();
    if findings.is_empty() { Err(NotRun::skipped("no GPU of this host is passed to a VM")) } else { Ok(findings) }
}

/// One finding per container of the inventory.
pub(super) fn containers<'a>(
    subject: &Subject<'a>,
    judge: impl Fn(&'a Guest, &'a Container) -> Finding,
) -> Result<Vec<Finding>, NotRun> {
    let one = |guest: &'a Guest| match &guest.shape {
        GuestShape::Container(container) => {
            Some(judge(guest, container).about(addr(guest).to_string()).concerns([addr(guest)]))
        }
        GuestShape::Vm(_) => None,
    };
    let findings: Vec<Finding> = subject.guests().filter_map(one).collect();
    if findings.is_empty() {
        Err(NotRun::skipped("the inventory places no container on this host"))
    } else {
        Ok(findings)
    }
}

fn each<'a>(
    subject: &Subject<'a>,
    guest: &'a Guest,
    absent: &Finding,
    judge: impl Fn(&'a GuestListing, &'a GuestConfig) -> Finding,
) -> Finding {
    let finding = match standing(subject, guest) {
        Err(why) => Finding::blind(why),
        Ok(Standing::Absent) => absent.clone(),
        Ok(Standing::Foreign(_)) => foreign(guest),
        Ok(Standing::Ours(listing, config)) => judge(listing, config),
    };
    finding.about(addr(guest).to_string()).concerns([addr(guest)])
}

/// Nothing is said about what is not ours but that it is in the way, which is another check's.
pub(super) fn foreign(guest: &Guest) -> Finding {
    Finding::skipped(format!("vmid {} is somebody else's: see `vmid-taken`", guest.vmid))
}

/// Devices that are passed through, by key, as they are now and as they will be after the next start.
pub(super) fn hostpci(config: &GuestConfig) -> Vec<(&str, &str)> {
    let keys = config.current.keys().chain(config.pending.keys());
    let mut all: Vec<(&str, &str)> = keys
        .filter(|key| key.strip_prefix("hostpci").is_some_and(|n| n.parse::<u8>().is_ok()))
        .flat_map(|key| {
            [config.active(key), config.coming(key)].into_iter().flatten().map(|value| (key.as_str(), value))
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
