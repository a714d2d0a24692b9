//! VMs with GPUs have the machine and the firmware that PCI Express devices need.

use super::standing::{gpu_vms, hostpci, plan_sets};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-machine-type",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "VMs with GPUs are q35 machines with OVMF and an EFI disk",
    needs: &["GET /nodes/N/qemu/ID/pending"],
    why: "Passed-through PCI Express devices need `machine: q35` (PVE refuses `pcie=1` without it) and modern GPUs \
          want UEFI (`bios: ovmf`). A VM that was installed with SeaBIOS on i440fx often no longer boots when this is \
          switched later: its disk has no EFI system partition, and its devices get other names. Without an EFI disk \
          PVE starts OVMF with a temporary one, so that boot entries are forgotten at every stop. VMs that \
          `infra` makes are right from the first day.",
    fix: "`infra apply` sets machine and firmware. Before it does so for a VM that was made otherwise, make sure that its \
          system boots by UEFI (cloud images of Debian and Ubuntu do), and add an EFI disk: \
          `qm set ID --efidisk0 STORAGE:1,efitype=4m,pre-enrolled-keys=0`.",
    mend: None,
    sources: &["qemu-server QemuServer/PCI.pm", "pve-docs qm-pci-passthrough.adoc", "pve-docs qm.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpu_vms(subject, &Finding::pass("the plan makes it with q35, OVMF and an EFI disk"), |guest, _, _, config| {
        let source = format!("qm config {}", guest.vmid);
        let machine = config.active("machine").unwrap_or("pc (the default)");
        let bios = config.active("bios").unwrap_or("seabios (the default)");
        let mut wrong = Vec::new();
        if !machine.contains("q35") {
            wrong.push(("machine", machine));
        }
        if bios != "ovmf" {
            wrong.push(("bios", bios));
        }
        let disk = config.active("efidisk0").is_some();
        if wrong.is_empty() && disk {
            let flat = hostpci(config).iter().any(|(_, value)| Options::parse(value).flag("pcie") != Some(true));
            let summary = match flat {
                true if !plan_sets(subject, guest, "hostpci0") => {
                    "q35, OVMF and an EFI disk; a device is passed as plain PCI"
                }
                true => "q35, OVMF and an EFI disk; the plan passes the device as PCI Express",
                false => "q35, OVMF and an EFI disk",
            };
            return Finding::pass(summary).seen(source, format!("machine: {machine}; bios: {bios}"));
        }
        let mut finding = if wrong.is_empty() {
            Finding::warn("it has no EFI disk: its boot entries are forgotten at every stop")
        } else {
            Finding::warn("the plan switches machine or firmware, after which its system may not boot")
        };
        for (key, value) in &wrong {
            finding = finding.seen(source.clone(), format!("{key}: {value}"));
        }
        if !wrong.is_empty() {
            finding = finding.fix(Fix::by_hand("make sure that the VM's system boots by UEFI before `infra apply`"));
        }
        if !disk {
            let command =
                format!("qm set {} --efidisk0 {}:1,efitype=4m,pre-enrolled-keys=0", guest.vmid, guest.storage);
            finding = finding.seen(source, "no efidisk0").fix(Fix::run(command));
        }
        finding
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::GuestKind::Qemu;

    #[test]
    fn right_wrong_and_unknown() {
        let right = [("machine", "pc-q35-9.2"), ("bios", "ovmf"), ("efidisk0", "local-zfs:vm-100-disk-0,size=1M")];
        assert_eq!(Scene::bare().with_guest(100, Qemu, true, &right).verdicts(&CHECK), [Verdict::Pass]);
        let old = Scene::bare().with_guest(100, Qemu, true, &[("bios", "seabios")]);
        assert_eq!(old.verdicts(&CHECK), [Verdict::Warn]);
        assert!(old.said(&CHECK).contains("no efidisk0") && old.said(&CHECK).contains("--efidisk0 local-zfs:1"));
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(Scene::bare().with_guest(100, Qemu, false, &[]).verdicts(&CHECK), [Verdict::Skipped]);
    }
}
