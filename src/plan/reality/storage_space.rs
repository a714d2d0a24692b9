//! `plan.storage-space`: what guests' disks take of a storage, and what it has.
//!
//! What is thick takes its whole size at once, so that it fits or fails: containers' file systems on ZFS
//! are limits and take nothing, VMs' volumes there do unless the storage says `sparse`, LVM always does. What
//! is thin fits until it is written; only a volume that is larger than the whole storage can never be.

use std::collections::BTreeMap;

use super::{Findings, Sight};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host};
use crate::diag::{Diagnostic, Span};
use crate::model::observed::{Host as Seen, Observed, Storage};
use crate::model::{Size, StorageName};
use crate::proxmox::options::Options;

/// One disk that is made or grows.
#[derive(Debug)]
pub struct Demand<'a> {
    /// Whose.
    pub guest: &'a Guest,
    /// Bytes more than now.
    pub more: u64,
    /// Whether it takes them at once.
    pub thick: bool,
}

/// What is asked of one storage, and what it has.
#[derive(Debug)]
pub struct Demands<'a> {
    /// Which storage.
    pub name: &'a StorageName,
    /// The host that is asked, or one of those that share the storage.
    pub host: &'a Host,
    /// What it has.
    pub storage: &'a Storage,
    /// Disks that are made or grow on it.
    pub demands: Vec<Demand<'a>>,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All of it fits, even when all disks are full.
    Fits,
    /// It fits until disks are written full.
    Thin,
    /// What is taken at once is more than is free.
    Short,
    /// A disk is larger than the whole storage.
    TooLarge,
}

impl Demands<'_> {
    /// Bytes that are asked for: in all, or only what is taken at once.
    #[must_use]
    pub fn sum(&self, thick_only: bool) -> u64 {
        self.demands.iter().filter(|demand| demand.thick || !thick_only).map(|demand| demand.more).sum()
    }

    /// What comes of it.
    #[must_use]
    pub fn fit(&self) -> Fit {
        let storage = self.storage;
        if storage.total > 0 && self.demands.iter().any(|demand| demand.guest.disk.as_bytes() > storage.total) {
            Fit::TooLarge
        } else if self.sum(true) > storage.available {
            Fit::Short
        } else if self.sum(false) > storage.available {
            Fit::Thin
        } else {
            Fit::Fits
        }
    }
}

/// What guests ask of storages; `made` says of each whether it is made whole.
pub fn demands<'a>(
    blueprint: &'a Blueprint,
    observed: &'a Observed,
    guests: impl Iterator<Item = (&'a Guest, bool)>,
) -> Vec<Demands<'a>> {
    let mut all: BTreeMap<(String, &StorageName), Demands<'a>> = BTreeMap::new();
    for (guest, made) in guests {
        let host = blueprint.host_of(guest);
        let Some(there) = observed.hosts.get(&host.name) else { continue };
        let Some(storage) = there.storages.value().and_then(|all| all.get(&guest.storage)) else { continue };
        let more = if made { guest.disk.as_bytes() } else { growth(observed, guest, host) };
        if more == 0 {
            continue;
        }
        // A shared storage has its space once, whichever host asks.
        let place = if is_shared(there, &guest.storage) { host.site.clone() } else { host.name.to_string() };
        let entry = all.entry((place, &guest.storage)).or_insert_with(|| Demands {
            name: &guest.storage,
            host,
            storage,
            demands: Vec::new(),
        });
        entry.demands.push(Demand { guest, more, thick: is_thick(there, storage, guest) });
    }
    all.into_values().collect()
}

pub(super) fn check(sight: Sight<'_>, findings: &mut Findings) {
    let made = |guest: &Guest| sight.made().any(|(_, made)| made.name == guest.name);
    let changed = sight.changed().map(|(_, guest, _)| (guest, made(guest)));
    for demands in demands(sight.blueprint, sight.observed, changed) {
        judge(&demands, findings);
    }
}

/// Bytes that a guest's disk takes beyond what it has now.
fn growth(observed: &Observed, guest: &Guest, host: &Host) -> u64 {
    let wanted = guest.disk.as_bytes();
    let config = observed.sites.get(&host.site).and_then(|site| site.configs.get(&guest.vmid)?.value());
    let key = if matches!(guest.shape, GuestShape::Vm(_)) { "scsi0" } else { "rootfs" };
    let size = config.and_then(|config| Options::parse(config.coming(key)?).get("size").and_then(Size::from_pve));
    size.map_or(0, |size| wanted.saturating_sub(size.as_bytes()))
}

fn option<'a>(there: &'a Seen, storage: &StorageName, key: &str) -> Option<&'a str> {
    there.storage_entries.value()?.get(storage)?.options.get(key).map(String::as_str)
}

fn is_shared(there: &Seen, storage: &StorageName) -> bool {
    let kind = there.storages.value().and_then(|all| all.get(storage)).map_or("", |storage| storage.kind.as_str());
    matches!(kind, "nfs" | "cifs" | "cephfs" | "rbd" | "glusterfs" | "iscsi" | "iscsidirect" | "zfs")
        || option(there, storage, "shared") == Some("1")
}

/// Whether a guest's disk takes its size at once. Where nobody knows, it is taken for thin.
fn is_thick(there: &Seen, storage: &Storage, guest: &Guest) -> bool {
    match storage.kind.as_str() {
        "lvm" => true,
        "zfspool" | "zfs" => {
            let known = there.storage_entries.value().is_some_and(|all| all.contains_key(&guest.storage));
            let sparse = option(there, &guest.storage, "sparse") == Some("1");
            known && !sparse && matches!(guest.shape, GuestShape::Vm(_))
        }
        _ => false,
    }
}

fn judge(all: &Demands<'_>, findings: &mut Findings) {
    let Demands { name, host, storage, demands } = all;
    let (free, total) = (Size::bytes(storage.available), Size::bytes(storage.total));
    let on = format!("storage `{name}` of `{}`", host.name);
    let place = |guest: &Guest| -> Span { guest.span_of("disk") };
    match all.fit() {
        Fit::Fits => {}
        Fit::TooLarge => {
            for demand in demands.iter().filter(|demand| demand.guest.disk.as_bytes() > storage.total) {
                findings.problems.push(
                    Diagnostic::error(
                        "plan.storage-space",
                        format!("the disk of `{}` is larger than all of {on}", demand.guest.name),
                    )
                    .at(place(demand.guest), format!("{} of {}", demand.guest.disk, round(total)))
                    .hint("make it smaller, or name another storage"),
                );
            }
        }
        Fit::Short => {
            let thick = all.sum(true);
            let mut taking = demands.iter().filter(|demand| demand.thick);
            let first = taking.next().expect("a sum that is not zero has a part");
            let mut problem = Diagnostic::error(
                "plan.storage-space",
                format!(
                    "{on} has {} free, and disks that take {} at once shall be on it",
                    round(free),
                    round(Size::bytes(thick))
                ),
            )
            .at(place(first.guest), format!("{} for `{}`", round(Size::bytes(first.more)), first.guest.name));
            for demand in taking {
                let text = format!("{} for `{}`", round(Size::bytes(demand.more)), demand.guest.name);
                problem = problem.related(place(demand.guest), text);
            }
            let problem = problem.cause(format!(
                "`{}` without thin provisioning takes a disk's whole size when it is made",
                storage.kind
            ));
            findings.problems.push(if storage.kind == "zfspool" {
                problem.hint(format!(
                    "make them smaller, name another storage, or on the host: `pvesm set {name} --sparse 1`"
                ))
            } else {
                problem.hint("make them smaller, or name another storage")
            });
        }
        Fit::Thin => findings.notes.push(format!(
            "{on} has {} free, and the disks of this plan may grow to {}: it is thin, so this works until they are full",
            round(free),
            round(Size::bytes(all.sum(false))),
        )),
    }
}

/// A size that a person reads: whole MiB are exact enough.
pub fn round(size: Size) -> Size {
    let mib = size.as_bytes() >> 20;
    if mib >= 10 << 10 { Size::gib(mib >> 10) } else { Size::mib(mib) }
}
