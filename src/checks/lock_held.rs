//! No process sits on the lock of a guest's file.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "lock-held",
    area: Area::Access,
    severity: Severity::Warn,
    title: "no process sits on the lock of a guest's file",
    needs: &["/run/lock/qemu-server", "/run/lock/lxc", "/proc/locks", "ps"],
    why: "While PVE works on a guest it holds a lock on a file below `/run/lock/qemu-server` or `/run/lock/lxc`, and whoever \
          else wants to gives up after 10 seconds: `can't lock file … - got timeout`. The files stay for ever and mean \
          nothing; removing one is harmful, as two would then hold two locks of one name. What counts is who holds one: a \
          process that has hung for minutes (a storage that does not answer) blocks its guest until it ends.",
    fix: "See what the process waits for (`ps -o pid,etimes,stat,wchan,args -p PID`; state `D` is a storage that does not \
          answer). End it as its kind asks: a task with `pvesh delete /nodes/NODE/tasks/UPID`. Never remove the file.",
    mend: None,
    sources: &["pve-guest-common PVE/AbstractConfig.pm", "pve-common PVE/Tools.pm (lock_file)", "proc_locks(5)"],
    judge,
};

/// Seconds that work on a guest takes at most, as a rule.
const PATIENCE_S: u64 = 300;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let held = all(&subject.machine().held_locks)?;
    if held.is_empty() {
        return Ok(vec![Finding::pass("nobody holds one").seen("/proc/locks", "no lock below /run/lock")]);
    }
    let finding = |lock: &crate::model::machine::HeldLock| {
        let who = lock.command.as_deref().unwrap_or("ended meanwhile");
        let text = match lock.running_s {
            Some(seconds) => format!("pid {} ({who}), running for {seconds} s", lock.pid),
            None => format!("pid {} ({who})", lock.pid),
        };
        // A worker of the API runs for hours and holds a lock for a moment.
        let worker = ["pvedaemon", "pveproxy", "pvestatd", "pvescheduler"].iter().any(|name| who.starts_with(name));
        let hung = !worker && lock.running_s.is_some_and(|seconds| seconds > PATIENCE_S);
        let finding = if hung {
            Finding::warn("a process that has been running for minutes holds it: whoever wants to change the guest gives up after 10 s")
                .fix(Fix::run(format!("ps -o pid,etimes,stat,wchan,args -p {}", lock.pid)))
        } else {
            Finding::pass("it is held by work that is going on")
        };
        let ours = subject.guests().filter(|guest| Some(guest.vmid.get()) == lock.vmid).map(addr);
        finding.about(lock.path.clone()).seen("/proc/locks", text).concerns(ours)
    };
    Ok(held.iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::machine::HeldLock;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |command: &str, running_s| {
            let path = "/run/lock/lxc/pve-config-104.lock".to_owned();
            let lock =
                HeldLock { path, vmid: Some(104), pid: 7, command: Some(command.into()), running_s: Some(running_s) };
            let mut scene = Scene::new();
            scene.machine().held_locks = Fact::complete(vec![lock]);
            scene.verdicts(&CHECK)
        };
        assert_eq!(of("task UPID:hq:000", 12), [Verdict::Pass]);
        assert_eq!(of("task UPID:hq:000", 1800), [Verdict::Warn]);
        assert_eq!(of("pvedaemon worke", 90_000), [Verdict::Pass]);
        let mut none = Scene::new();
        none.machine().held_locks = Fact::complete(Vec::new());
        assert_eq!(none.verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
