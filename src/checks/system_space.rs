//! The system has space to work and to be upgraded.

use super::amounts::bytes;
use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "system-space",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "the system has space to work and to be upgraded",
    needs: &["df / /boot /boot/efi"],
    why: "A full root file system stops Proxmox VE in odd ways: the cluster's database cannot be written, and every change \
          of a configuration fails; tasks leave no logs; a kernel upgrade stops half way. `update-initramfs` writes the new \
          file beside the old one, so `/boot` must have room for one more. EFI system partitions that `proxmox-boot-tool` \
          fills are not mounted and are not looked at.",
    fix: "`apt autoremove --purge` removes old kernels, `journalctl --vacuum-size=200M` old logs; images and backups are in \
          `/var/lib/vz`.",
    mend: None,
    sources: &["pve-cluster pmxcfs", "initramfs-tools update-initramfs", "proxmox-kernel-helper"],
    judge,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let space = all(&machine.space)?;
    // the largest that is there tells how much the next one takes
    let largest = machine.kernels.value().and_then(|kernels| kernels.initramfs.values().map(|file| file.size).max());
    let mut findings = Vec::new();
    for place in space {
        let (fail, warn) = match place.path.as_str() {
            "/" => (256 * MIB, (place.size / 20).clamp(GIB, 8 * GIB)),
            // a directory of the root file system
            path if place.mounted_on != path => continue,
            "/boot" => (largest.unwrap_or(80 * MIB), largest.unwrap_or(80 * MIB).saturating_mul(2) + 32 * MIB),
            _ => (MIB, 8 * MIB),
        };
        let free = place.available;
        if place.path != "/" && free >= warn {
            continue;
        }
        let what = format!("{} of {} are free", bytes(free), bytes(place.size));
        let finding = match free {
            free if free < fail => Finding::fail(what),
            free if free < warn => Finding::warn(what),
            _ => Finding::pass(what),
        };
        let finding =
            finding.about(&place.path).seen(format!("df -B1 {}", place.path), format!("{free} on {}", place.source));
        findings.push(match free < warn {
            true => finding.fix(Fix::run("apt autoremove --purge")).fix(Fix::run("journalctl --vacuum-size=200M")),
            false => finding,
        });
    }
    match findings.is_empty() {
        true => Err(NotRun::blind("`df` did not tell of `/`")),
        false => Ok(findings),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn a_full_root_fails_and_a_directory_of_it_is_not_asked_twice() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().space)[0].available = 3 * GIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().space)[0].available = 100 * MIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
    }

    #[test]
    fn a_boot_of_its_own_must_hold_one_more_initial_ram_disk() {
        let mut scene = Scene::sound();
        let boot = &mut known(&mut scene.machine().space)[1];
        (boot.mounted_on, boot.size, boot.available) = ("/boot".into(), 500 * MIB, 60 * MIB);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass, Verdict::Fail]);
        known(&mut scene.machine().space)[1].available = 100 * MIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass, Verdict::Warn]);
        known(&mut scene.machine().space).clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
