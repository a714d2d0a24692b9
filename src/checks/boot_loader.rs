//! The boot loader is known.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::Firmware;

/// See its texts.
pub const CHECK: Check = Check {
    id: "boot-loader",
    area: Area::System,
    severity: Severity::Warn,
    title: "the boot loader is known",
    needs: &["/proc/cmdline", "/sys/firmware/efi", "efibootmgr -v", "/etc/kernel/proxmox-boot-uuids"],
    why: "Proxmox VE boots with GRUB or with systemd-boot, and each takes the kernel's command line from another file. \
          The installer uses systemd-boot for ZFS on UEFI without Secure Boot, and GRUB for everything else; a host that \
          was converted may have both installed. What counts is which of them started the running system: GRUB puts \
          `BOOT_IMAGE=` before the command line, systemd-boot an `initrd=` with backslashes, and both tell the firmware \
          their name (`LoaderInfo`). Where that contradicts the boot entry of the firmware, or where there is no sign at \
          all, nothing is edited by guess.",
    fix: "Run `efibootmgr -v` and `proxmox-boot-tool status` and see which entry is booted. \
          `proxmox-boot-tool reinit` installs the loader on the EFI system partitions anew.",
    mend: None,
    sources: &[
        "pve-docs system-booting.adoc",
        "proxmox-kernel-helper zz-proxmox-boot",
        "systemd.io/BOOT_LOADER_INTERFACE",
    ],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let boot = all(&subject.machine().boot)?;
    let by = match boot.firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    };
    let mut finding = match boot.loader {
        Some(loader) => {
            let filled = if boot.esps.is_empty() { "" } else { ", filled by proxmox-boot-tool" };
            Finding::pass(format!("{}, started by {by}{filled}", loader.as_str()))
        }
        None if boot.signs.is_empty() => Finding::warn("nothing tells which boot loader it is")
            .seen("/proc/cmdline", "neither `BOOT_IMAGE=` nor `initrd=\\EFI\\…`"),
        None => Finding::warn("the signs of the boot loader contradict each other"),
    };
    for sign in &boot.signs {
        finding = finding.seen(&sign.source, &sign.text);
    }
    if boot.loader.is_none() {
        finding = finding.fix(Fix::run("efibootmgr -v; proxmox-boot-tool status"));
    }
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn a_loader_that_is_told_by_nothing_or_by_contradictions_is_not_guessed() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().boot).loader = None;
        assert!(scene.said(&CHECK).contains("contradict"));
        known(&mut scene.machine().boot).signs.clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.machine().boot = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
