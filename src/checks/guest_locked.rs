//! No guest of the inventory is locked.

use super::standing::{Standing, addr, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::observed::GuestKind;
use crate::resources::may_hold;

/// See its texts.
pub const CHECK: Check = Check {
    id: "guest-locked",
    area: Area::Access,
    severity: Severity::Fail,
    title: "no guest of the inventory is locked",
    needs: &["GET /nodes/N/qemu, lxc", "GET /cluster/tasks", "/etc/pve/nodes/*/*/*.conf"],
    why: "A task writes `lock: backup` (or `clone`, `create`, `migrate`, `snapshot`, `rollback`, `disk`) into the guest's \
          configuration and takes it off at its end. One that was cut off, by a power failure or `kill -9`, leaves it: \
          PVE then refuses every change, start and backup with `VM is locked (backup)`. `suspended` and `mounted` are \
          no accidents: the guest is suspended to disk, or its disk is mounted on the host.",
    fix: "When no task works on it any more (`pvesh get /cluster/tasks`): `qm unlock ID` or `pct unlock ID`. `infra` never does \
          it by itself. A suspended VM: `qm resume ID`. A mounted container: `pct unmount ID`.",
    mend: None,
    sources: &[
        "pve-guest-common PVE/AbstractConfig.pm",
        "qemu-server PVE/QemuConfig.pm",
        "pve-container PVE/LXC/Config.pm",
    ],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let findings: Vec<Finding> = subject
        .guests()
        .map(|guest| {
            let finding = match standing(subject, guest) {
                Err(why) => Finding::blind(why),
                Ok(Standing::Absent) => Finding::skipped("it is not there yet"),
                Ok(Standing::Foreign(_)) => super::standing::foreign(guest),
                Ok(Standing::Ours(listing, config)) => {
                    let file = subject.machine().guest_files.value().and_then(|files| files.guests.get(&guest.vmid));
                    let lock =
                        config.active("lock").or(listing.lock.as_deref()).or(file.and_then(|file| file.get("lock")));
                    match lock {
                        None => Finding::pass("it is not locked")
                            .seen(format!("{} config {}", tool(listing.kind), guest.vmid), "no lock"),
                        Some(lock) => locked(subject, guest, listing.kind, &listing.node, lock),
                    }
                }
            };
            finding.about(addr(guest).to_string()).concerns([addr(guest)])
        })
        .collect();
    if findings.is_empty() { Err(NotRun::skipped("the inventory places no guest on this host")) } else { Ok(findings) }
}

fn tool(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    }
}

fn locked(
    subject: &Subject<'_>,
    guest: &crate::blueprint::Guest,
    kind: GuestKind,
    node: &crate::model::NodeName,
    lock: &str,
) -> Finding {
    let vmid = guest.vmid;
    let seen = |finding: Finding| finding.seen(format!("{} config {vmid}", tool(kind)), format!("lock: {lock}"));
    match (kind, lock) {
        (GuestKind::Qemu, "suspended") => {
            return seen(Finding::fail("it is suspended to disk, and nothing about it can be changed"))
                .fix(Fix::run(format!("qm resume {vmid}")));
        }
        (GuestKind::Lxc, "mounted") => {
            return seen(Finding::fail("its disk is mounted on its host, and nothing about it can be changed"))
                .fix(Fix::run(format!("pct unmount {vmid}")));
        }
        _ => {}
    }
    let tasks = &subject.site().tasks;
    let holder = tasks
        .value()
        .and_then(|all| all.iter().find(|task| task.id() == vmid.to_string() || may_hold(task, lock, node)));
    let unlock = Fix::run(format!("{} unlock {vmid}", tool(kind)));
    match (holder, tasks.why()) {
        (Some(task), _) => seen(Finding::warn("it is locked by a task that runs: that one takes the lock off"))
            .seen("GET /cluster/tasks", format!("{} on {}", task.task_type(), task.node()))
            .fix(Fix::by_hand("wait for the end of the task")),
        (None, None) => seen(Finding::fail("it is locked, and no task that could hold the lock is running"))
            .seen("GET /cluster/tasks", "no task about it")
            .fix(unlock),
        (None, Some(why)) => seen(Finding::warn("it is locked; whether a task holds the lock is not known"))
            .seen("GET /cluster/tasks", why)
            .fix(Fix::by_hand("wait for the end of tasks that work on it"))
            .fix(unlock),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{self, CouldNotRun, Fail, Pass, Skipped, Warn};
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::Fact;
    use crate::model::observed::GuestKind::Lxc;

    fn verdict(lock: &[(&str, &str)], tasks: Option<&[&str]>) -> Verdict {
        let mut scene = Scene::bare().with_guest(104, Lxc, true, lock);
        if let Some(tasks) = tasks {
            scene.site().tasks = Fact::complete(tasks.iter().map(|upid| upid.parse().unwrap()).collect());
        }
        scene.verdicts(&CHECK)[1]
    }

    #[test]
    fn right_wrong_and_unknown() {
        let about = "UPID:hq:00001000:00001000:6740F000:vzdump:104:root@pam:";
        let backup = "UPID:hq:00001000:00001000:6740F000:vzdump::root@pam:";
        let other = "UPID:hq:00001000:00001000:6740F000:vzstart:900:root@pam:";
        assert_eq!(verdict(&[], Some(&[])), Pass);
        assert_eq!(verdict(&[("lock", "backup")], Some(&[other])), Fail);
        assert_eq!(verdict(&[("lock", "backup")], Some(&[about])), Warn);
        assert_eq!(verdict(&[("lock", "backup")], Some(&[backup])), Warn);
        assert_eq!(verdict(&[("lock", "backup")], None), Warn);
        assert_eq!(verdict(&[("lock", "mounted")], Some(&[])), Fail);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Skipped, Skipped]);
        assert_eq!(Scene::new().verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
    }
}
