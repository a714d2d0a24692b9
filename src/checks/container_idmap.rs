//! Ids of containers are shifted as everywhere: by 100,000.

use super::check::all;
use super::standing::{Standing, addr, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::GuestShape;
use crate::model::machine::SubIds;

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-idmap",
    area: Area::Containers,
    severity: Severity::Fail,
    title: "ids of containers are shifted by 100,000 and the host reserves them",
    needs: &["/etc/subuid", "/etc/subgid", "/etc/pve/nodes/*/lxc/*.conf"],
    why: "Unprivileged containers see the host's ids from 100000 on as theirs from 0 on. LXC insists that root has that range \
          in `/etc/subuid` and `/etc/subgid` where `newuidmap` is installed, which it is on Proxmox VE: without it no such \
          container starts (`newuidmap: uid range … not allowed`). Owners of datasets are set with that very shift; a \
          container with an `lxc.idmap` of its own, or a privileged one, sees others: files show up as `nobody`. \
          A changed map is reported to take hold only after a second start.",
    fix: "The line `root:100000:65536` belongs into both files. Remove `lxc.idmap` lines from `/etc/pve/lxc/ID.conf` and \
          start the container twice. A privileged container becomes unprivileged only by backup and restore.",
    mend: None,
    sources: &["lxc src/lxc/conf.c (lxc_map_ids)", "pve-container LXC.pm", "bpg/terraform-provider-proxmox#2895"],
    judge,
};

/// The shift of unprivileged containers, and how many ids they have.
const SHIFT: (u64, u64) = (100_000, 65_536);

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let containers: Vec<_> = subject.guests().filter(|guest| matches!(guest.shape, GuestShape::Container(_))).collect();
    if containers.is_empty() {
        return Err(NotRun::skipped("the inventory places no container on this host"));
    }
    let ids = all(&subject.machine().sub_ids)?;
    let mut findings = vec![reserved(ids).concerns(containers.iter().map(|guest| addr(guest)))];
    for guest in containers {
        let finding = match standing(subject, guest) {
            Err(why) => Finding::blind(why),
            Ok(Standing::Absent | Standing::Foreign(_)) => continue,
            Ok(Standing::Ours(_, config)) if config.active("unprivileged") != Some("1") => privileged(guest)
                .seen(format!("pct config {}", guest.vmid), "no unprivileged: 1")
                .fix(Fix::by_hand("back it up, and restore it with `pct restore … --unprivileged 1`")),
            Ok(Standing::Ours(..)) => mapped(subject, guest),
        };
        findings.push(finding.about(addr(guest).to_string()).concerns([addr(guest)]));
    }
    Ok(findings)
}

fn privileged(guest: &crate::blueprint::Guest) -> Finding {
    if guest.shape.datasets().is_some_and(|datasets| !datasets.is_empty()) {
        Finding::fail("it is privileged: owners of its datasets are meant for an unprivileged one")
    } else {
        Finding::warn("it is privileged: its root is the host's")
    }
}

fn reserved(ids: &SubIds) -> Finding {
    let (first, count) = SHIFT;
    if ids.hold(first, count) {
        return Finding::pass("root has the ids that containers are shifted to")
            .seen("/etc/subuid, /etc/subgid", "root:100000:65536");
    }
    let mut finding =
        Finding::fail("root lacks the ids that containers are shifted to: no unprivileged container starts");
    for (file, ranges) in [("/etc/subuid", &ids.users), ("/etc/subgid", &ids.groups)] {
        if !SubIds::one_holds(ranges, first, count) {
            let there =
                ranges.iter().map(|(first, count)| format!("root:{first}:{count}")).collect::<Vec<_>>().join(", ");
            let there = if there.is_empty() { "no line of root".to_owned() } else { there };
            finding = finding.seen(file, there).fix(Fix::run(format!("echo root:100000:65536 >> {file}")));
        }
    }
    finding
}

fn mapped(subject: &Subject<'_>, guest: &crate::blueprint::Guest) -> Finding {
    let files = match all(&subject.machine().guest_files) {
        Ok(files) => files,
        Err(NotRun::Skipped(why) | NotRun::Blind(why)) => return Finding::blind(why),
    };
    let Some(file) = files.guests.get(&guest.vmid) else {
        return Finding::blind(format!("/etc/pve/.vmlist does not know {}, and the API does", guest.vmid));
    };
    let path = file.path(guest.vmid);
    let Some(map) = file.get("lxc.idmap") else {
        return Finding::pass("its ids are shifted as everywhere").seen(path, "no lxc.idmap");
    };
    let datasets = guest.shape.datasets().is_some_and(|datasets| !datasets.is_empty());
    let finding = if datasets {
        Finding::fail("its ids are mapped by hand: owners of its datasets will not be the ones inside")
    } else {
        Finding::warn("its ids are mapped by hand")
    };
    let remove = format!("remove the `lxc.idmap` lines from {path}, and start it twice");
    finding.seen(path, format!("lxc.idmap: {map}")).fix(Fix::by_hand(remove))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{CouldNotRun, Fail, Pass};
    use super::super::guest_scene::{Scene, guest_file};
    use super::*;
    use crate::model::observed::Fact;
    use crate::model::observed::GuestKind::Lxc;

    fn with_ids(mut scene: Scene, groups: &[(u64, u64)]) -> Scene {
        scene.machine().sub_ids = Fact::complete(SubIds { users: vec![SHIFT], groups: groups.to_vec() });
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(Scene::bare().verdicts(&CHECK), [CouldNotRun]);
        assert_eq!(with_ids(Scene::bare(), &[SHIFT]).verdicts(&CHECK), [Pass]);
        assert_eq!(with_ids(Scene::bare(), &[(1000, 1)]).verdicts(&CHECK), [Fail]);
        assert!(with_ids(Scene::bare(), &[]).said(&CHECK).contains("/etc/subgid"));
        let there = || with_ids(Scene::bare().with_guest(104, Lxc, true, &[("unprivileged", "1")]), &[SHIFT]);
        assert_eq!(there().verdicts(&CHECK), [Pass, CouldNotRun]);
        let mut scene = there();
        scene.with_file(104, guest_file(Lxc, &[]));
        assert_eq!(scene.verdicts(&CHECK), [Pass, Pass]);
        scene.with_file(104, guest_file(Lxc, &[("lxc.idmap", "u 0 200000 65536")]));
        assert_eq!(scene.verdicts(&CHECK), [Pass, Fail]);
        let privileged = with_ids(Scene::bare().with_guest(104, Lxc, true, &[]), &[SHIFT]);
        assert_eq!(privileged.verdicts(&CHECK), [Pass, Fail]);
    }
}
