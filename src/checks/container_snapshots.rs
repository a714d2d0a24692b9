//! Snapshots of containers and their mounts do not get in each other's way.

use super::check::all;
use super::standing::{Standing, containers, foreign, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-snapshots",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "no snapshot of a container stands against its mounted datasets",
    needs: &["/etc/pve/nodes/*/lxc/*.conf", "inventory: datasets"],
    why: "PVE takes no snapshot of a container with a bind mount (`snapshot feature is not available`). A snapshot from \
          before the mount stays, and going back to it takes the mount away with the configuration. Data in mounted \
          datasets is in none of them: datasets have snapshots of their own.",
    fix: "Remove snapshots that nobody needs (`pct delsnapshot ID NAME`), and snapshot the datasets: `zfs snapshot \
          POOL/PATH@NAME`.",
    mend: None,
    sources: &["pve-container LXC/Config.pm", "ansible-collections/community.proxmox#276"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, container| {
        if container.datasets.is_empty() {
            return Finding::skipped("no dataset is mounted into it");
        }
        match standing(subject, guest) {
            Err(why) => return Finding::blind(why),
            Ok(Standing::Absent) => return Finding::pass("it is not there yet and has no snapshot"),
            Ok(Standing::Foreign(_)) => return foreign(guest),
            Ok(Standing::Ours(..)) => {}
        }
        let files = match all(&subject.machine().guest_files) {
            Ok(files) => files,
            Err(NotRun::Skipped(why) | NotRun::Blind(why)) => return Finding::blind(why),
        };
        let Some(file) = files.guests.get(&guest.vmid) else {
            return Finding::blind(format!("/etc/pve/.vmlist does not know {}, and the API does", guest.vmid));
        };
        let path = file.path(guest.vmid);
        if file.snapshots.is_empty() {
            return Finding::pass("it has no snapshots; with a dataset mounted Proxmox takes none")
                .seen(path, "no [section]");
        }
        let names: Vec<&str> = file.snapshots.keys().map(String::as_str).collect();
        let finding = Finding::warn(
            "it has snapshots from before its datasets were mounted: going back to one takes the mounts away",
        )
        .seen(path, names.iter().map(|name| format!("[{name}]")).collect::<Vec<_>>().join(" "));
        names
            .iter()
            .fold(finding, |finding, name| finding.fix(Fix::run(format!("pct delsnapshot {} {name}", guest.vmid))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container, guest_file};
    use super::*;
    use crate::model::observed::GuestKind::Lxc;

    #[test]
    fn right_wrong_and_unknown() {
        let there = || Scene::bare().with_guest(104, Lxc, true, &[]);
        assert_eq!(there().verdicts(&CHECK), [Verdict::CouldNotRun]);
        let mut scene = there();
        scene.with_file(104, guest_file(Lxc, &[]));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let mut file = guest_file(Lxc, &[]);
        file.snapshots.insert("before".into(), Vec::new());
        scene.with_file(104, file);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(container(scene, |ct| ct.datasets.clear()).verdicts(&CHECK), [Verdict::Skipped]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
    }
}
