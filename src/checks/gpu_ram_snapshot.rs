//! Snapshots of VMs with GPUs are of disks alone.

use super::check::all;
use super::standing::gpu_vms;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-ram-snapshot",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "no snapshot of a VM with a GPU holds its memory",
    needs: &["/etc/pve/nodes/*/qemu-server/*.conf"],
    why: "What a passed-through device knows cannot be saved, so that neither a snapshot with memory nor hibernation works \
          while a device is passed (PVE's QEMU refuses it since 2025). One that was taken before the device came can \
          be gone back to only without the device: PVE restores memory of a machine that had none.",
    fix: "Take snapshots without memory: disks alone, with the file systems frozen by the guest agent. Remove old ones \
          with memory (`qm delsnapshot ID NAME`) once nobody needs them.",
    mend: None,
    sources: &["qemu-server QemuConfig.pm", "pve-qemu patch 0046"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpu_vms(subject, &Finding::pass("it is not there yet and has no snapshot"), |guest, _, _, _| {
        let files = match all(&subject.machine().guest_files) {
            Ok(files) => files,
            Err(NotRun::Skipped(why) | NotRun::Blind(why)) => return Finding::blind(why),
        };
        let Some(file) = files.guests.get(&guest.vmid) else {
            return Finding::blind(format!("/etc/pve/.vmlist does not know {}, and the API does", guest.vmid));
        };
        let holds = |lines: &[(String, String)]| lines.iter().find(|(key, _)| key == "vmstate").cloned();
        if let Some((_, volume)) = holds(&file.lines) {
            return Finding::warn("it is suspended to disk, and cannot be resumed with a device passed")
                .seen(file.path(guest.vmid), format!("vmstate: {volume}"))
                .fix(Fix::by_hand("resume it as it was, shut it down, and plan again"));
        }
        let with: Vec<(&String, String)> =
            file.snapshots.iter().filter_map(|(name, lines)| Some((name, holds(lines)?.1))).collect();
        if with.is_empty() {
            return Finding::pass("no snapshot of it holds memory").seen(file.path(guest.vmid), "no vmstate");
        }
        with.iter().fold(
            Finding::warn("it has snapshots with memory, which cannot be gone back to with a device passed"),
            |finding, (name, volume)| {
                finding
                    .seen(file.path(guest.vmid), format!("[{name}] vmstate: {volume}"))
                    .fix(Fix::run(format!("qm delsnapshot {} {name}", guest.vmid)))
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict;
    use super::super::guest_scene::{Scene, guest_file};
    use super::*;
    use crate::model::observed::GuestKind::Qemu;

    #[test]
    fn right_wrong_and_unknown() {
        let there = || Scene::bare().with_guest(100, Qemu, true, &[]);
        assert_eq!(there().verdicts(&CHECK), [Verdict::CouldNotRun]);
        let mut scene = there();
        scene.with_file(100, guest_file(Qemu, &[]));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let memory = vec![("vmstate".to_owned(), "local-zfs:vm-100-state-a".to_owned())];
        let mut file = guest_file(Qemu, &[]);
        file.snapshots = BTreeMap::from([("a".to_owned(), memory), ("b".to_owned(), Vec::new())]);
        scene.with_file(100, file);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("qm delsnapshot 100 a"));
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
    }
}
