//! `plan.storage-space`: what guests' disks take of a storage, and what it has.
//!
//! What is thick takes its whole size at once, so that it fits or fails: containers' file systems on ZFS
//! are limits and take nothing, VMs' volumes there do unless the storage says `sparse`, LVM always does. What
//! is thin fits until it is written; only a volume that is larger than the whole storage can never be.

use std::collections::BTreeMap;

use super::{Findings, Sight};
use crate::blueprint::{Guest, GuestShape, Host};
use crate::diag::{Diagnostic, Span};
use crate::model::observed::{Host as Seen, Storage};
use crate::model::{Size, StorageName};
use crate::proxmox::options::Options;

/// One disk that is made or grows.
struct Demand<'a> {
    guest: &'a Guest,
    /// Bytes more than now.
    more: u64,
    thick: bool,
}

pub(super) fn check(sight: Sight<'_>, findings: &mut Findings) {
    let mut demands: BTreeMap<(String, &StorageName), (&Host, &Storage, Vec<Demand<'_>>)> = BTreeMap::new();
    for (_, guest, _) in sight.changed() {
        let host = sight.blueprint.host_of(guest);
        let Some(there) = sight.observed.hosts.get(&host.name) else { continue };
        let Some(storage) = there.storages.value().and_then(|all| all.get(&guest.storage)) else { continue };
        let more = more(sight, guest, host);
        if more == 0 {
            continue;
        }
        // A shared storage has its space once, whichever host asks.
        let place = if is_shared(there, &guest.storage) { host.site.clone() } else { host.name.to_string() };
        let entry = demands.entry((place, &guest.storage)).or_insert((host, storage, Vec::new()));
        entry.2.push(Demand { guest, more, thick: is_thick(there, storage, guest) });
    }
    for ((_, name), (host, storage, demands)) in demands {
        judge(name, host, storage, &demands, findings);
    }
}

/// Bytes that a guest's disk takes beyond what it has now.
fn more(sight: Sight<'_>, guest: &Guest, host: &Host) -> u64 {
    let wanted = guest.disk.as_bytes();
    if sight.made().any(|(_, made)| made.name == guest.name) {
        return wanted;
    }
    let config = sight.observed.sites.get(&host.site).and_then(|site| site.configs.get(&guest.vmid)?.value());
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

fn judge(name: &StorageName, host: &Host, storage: &Storage, demands: &[Demand<'_>], findings: &mut Findings) {
    let (free, total) = (Size::bytes(storage.available), Size::bytes(storage.total));
    let on = format!("storage `{name}` of `{}`", host.name);
    let place = |guest: &Guest| -> Span { guest.span_of("disk") };
    let mut refused = false;
    for demand in demands.iter().filter(|demand| demand.guest.disk.as_bytes() > storage.total && storage.total > 0) {
        refused = true;
        findings.problems.push(
            Diagnostic::error(
                "plan.storage-space",
                format!("the disk of `{}` is larger than all of {on}", demand.guest.name),
            )
            .at(place(demand.guest), format!("{} of {}", demand.guest.disk, round(total)))
            .hint("make it smaller, or name another storage"),
        );
    }
    let sum = |thick_only: bool| demands.iter().filter(|d| d.thick || !thick_only).map(|d| d.more).sum::<u64>();
    let thick = sum(true);
    if !refused && thick > storage.available {
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
        let problem = problem
            .cause(format!("`{}` without thin provisioning takes a disk's whole size when it is made", storage.kind));
        findings.problems.push(if storage.kind == "zfspool" {
            problem
                .hint(format!("make them smaller, name another storage, or on the host: `pvesm set {name} --sparse 1`"))
        } else {
            problem.hint("make them smaller, or name another storage")
        });
        return;
    }
    let all = sum(false);
    if !refused && all > storage.available {
        findings.notes.push(format!(
            "{on} has {} free, and the disks of this plan may grow to {}: it is thin, so this works until they are full",
            round(free),
            round(Size::bytes(all)),
        ));
    }
}

/// A size that a person reads: whole MiB are exact enough.
pub(super) fn round(size: Size) -> Size {
    let mib = size.as_bytes() >> 20;
    if mib >= 10 << 10 { Size::gib(mib >> 10) } else { Size::mib(mib) }
}
