//! Docker finds a good storage driver on ZFS.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::GuestShape;
use crate::model::machine::version_order;
use crate::model::{Addr, Kind};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-overlay",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "ZFS can carry the overlay file system of Docker",
    needs: &["dpkg-query -W zfsutils-linux", "GET /nodes/N/storage"],
    why: "Before version 2.2 ZFS could not carry overlay file systems. Docker in a container whose root file system is on such \
          a ZFS falls back to `vfs`, which copies every layer whole (22 GB were reported where 3 GB would do), or fails with \
          `unlinkat` errors. Docker's own `zfs` driver does not work inside containers.",
    fix: "Upgrade the host: Proxmox VE 8.1 and later have ZFS 2.2. Else put `/var/lib/docker` on a volume with ext4, or use \
          `fuse-overlayfs`, which root@pam must allow (`fuse=1`) and which may hang backups.",
    mend: None,
    sources: &["OpenZFS 2.2 release notes", "tteck/Proxmox#875", "docker/for-linux#1410", "moby#28847"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let nested: Vec<_> = subject
        .guests()
        .filter(|guest| matches!(&guest.shape, GuestShape::Container(container) if container.nesting))
        .collect();
    if nested.is_empty() {
        return Err(NotRun::skipped("no container of this host runs containers itself"));
    }
    let storages = all(&subject.here().storages)?;
    let on_zfs: Vec<Addr> = nested
        .into_iter()
        .filter(|guest| storages.get(&guest.storage).is_some_and(|storage| storage.kind == "zfspool"))
        .map(|guest| Addr::new(Kind::Container, guest.name.as_str()))
        .collect();
    if on_zfs.is_empty() {
        return Err(NotRun::skipped("no container that runs containers is on ZFS"));
    }
    let packages = all(&subject.machine().packages)?;
    let Some(version) = packages.installed.get("zfsutils-linux") else {
        return Err(NotRun::blind("`zfsutils-linux` is not installed, or not configured"));
    };
    let source = "dpkg-query -W zfsutils-linux";
    Ok(vec![match version_order(version, "2.2") {
        std::cmp::Ordering::Less => Finding::warn(format!("ZFS {version} cannot: Docker falls back to `vfs`"))
            .seen(source, version)
            .fix(Fix::by_hand("upgrade to Proxmox VE 8.1 or later"))
            .concerns(on_zfs),
        _ => Finding::pass(format!("ZFS {version} can")).seen(source, version),
    }])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn only_old_zfs_under_containers_with_nesting_warns() {
        let mut scene = Scene::sound();
        scene.container().nesting = false;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.container().nesting = true;
        for (version, verdict) in
            [("2.3.4-pve1", Verdict::Pass), ("2.2.0-pve1", Verdict::Pass), ("2.1.15-pve1", Verdict::Warn)]
        {
            known(&mut scene.machine().packages).installed.insert("zfsutils-linux".into(), version.into());
            assert_eq!(scene.verdicts(&CHECK), [verdict], "{version}");
        }
        known(&mut scene.host().storages).values_mut().for_each(|storage| storage.kind = "lvmthin".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.host().storages = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
