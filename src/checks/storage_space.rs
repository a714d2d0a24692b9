//! Disks fit on their storages.

use super::standing::{Standing, addr, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::Size;
use crate::plan::{Fit, round, storage_demands};

/// See its texts.
pub const CHECK: Check = Check {
    id: "storage-space",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "disks that the plan makes or grows fit on their storages",
    needs: &["GET /nodes/N/storage", "/etc/pve/storage.cfg"],
    why: "What is thick (LVM, volumes of VMs on ZFS without `sparse`) takes its whole size when it is made: it fits or the \
          task fails halfway. What is thin (containers on ZFS, LVM-thin, qcow2) fits until it is written; a pool that \
          is full stops every guest on it.",
    fix: "Make disks smaller, name another storage, or on ZFS switch thin provisioning on: `pvesm set STORAGE --sparse 1`.",
    mend: None,
    sources: &["pve-storage PVE/Storage/ZFSPoolPlugin.pm", "pve-docs local-zfs.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let storages = &subject.here().storages;
    if storages.value().is_none() {
        return Err(NotRun::blind(storages.why().unwrap_or_default()));
    }
    let mut findings = Vec::new();
    let mut asking = Vec::new();
    for guest in subject.guests() {
        let unknown = |why: String| Finding::blind(why).about(addr(guest).to_string()).concerns([addr(guest)]);
        match standing(subject, guest) {
            _ if storages.value().is_some_and(|all| !all.contains_key(&guest.storage)) => {
                findings.push(unknown(format!("storage `{}` is not listed: see `storage-usable`", guest.storage)));
            }
            Err(why) => findings.push(unknown(why)),
            Ok(Standing::Foreign(_)) => {}
            Ok(Standing::Absent) => asking.push((guest, true)),
            Ok(Standing::Ours(..)) => asking.push((guest, false)),
        }
    }
    for demands in storage_demands(subject.blueprint, subject.observed, asking.into_iter()) {
        let (free, total) = (Size::bytes(demands.storage.available), Size::bytes(demands.storage.total));
        let text = format!("{} free of {}", round(free), round(total));
        let (thick, all) = (round(Size::bytes(demands.sum(true))), round(Size::bytes(demands.sum(false))));
        let smaller = || Fix::by_hand("make disks smaller, or name another storage");
        let finding = match demands.fit() {
            Fit::Fits => Finding::pass(format!("{all} more fit")),
            Fit::Thin => {
                Finding::warn(format!("disks may grow by {all}: it is thin, so this works until they are full"))
                    .fix(smaller())
            }
            Fit::Short if demands.storage.kind == "zfspool" => {
                Finding::fail(format!("disks that take {thick} at once do not fit"))
                    .fix(Fix::run(format!("pvesm set {} --sparse 1", demands.name)))
                    .fix(smaller())
            }
            Fit::Short => Finding::fail(format!("disks that take {thick} at once do not fit")).fix(smaller()),
            Fit::TooLarge => Finding::fail("a disk is larger than the whole storage").fix(smaller()),
        };
        let addrs = demands.demands.iter().map(|demand| addr(demand.guest));
        findings.push(finding.about(format!("storage {}", demands.name)).seen("pvesm status", text).concerns(addrs));
    }
    if findings.is_empty() { Err(NotRun::skipped("no disk is made or grows on this host")) } else { Ok(findings) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::{Fact, Storage, StorageEntry};

    fn scene(free_gib: u64, sparse: bool) -> Scene {
        let mut scene = Scene::bare();
        let storage = Storage {
            kind: "zfspool".into(),
            content: vec!["images".into(), "rootdir".into()],
            active: true,
            available: free_gib << 30,
            total: 1 << 40,
        };
        let mut entry = StorageEntry { kind: "zfspool".into(), ..StorageEntry::default() };
        if sparse {
            entry.options.insert("sparse".into(), "1".into());
        }
        scene.host().storages = Fact::complete(BTreeMap::from([("local-zfs".parse().unwrap(), storage)]));
        scene.host().storage_entries = Fact::complete(BTreeMap::from([("local-zfs".parse().unwrap(), entry)]));
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene(900, false).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(100, false).verdicts(&CHECK), [Verdict::Fail]);
        assert!(scene(100, false).said(&CHECK).contains("pvesm set local-zfs --sparse 1"));
        assert_eq!(scene(100, true).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
