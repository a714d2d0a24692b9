//! ROM files that a VM names are there, and nothing stands in their way.

use super::standing::{gpu_vms, hostpci};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-rom",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "no ROM file is set by hand for a passed-through GPU",
    needs: &["GET /nodes/N/qemu/ID/pending", "/usr/share/kvm"],
    why: "A GPU that shows the VM's screen may need a copy of its ROM (`romfile=`), and a faulty ROM may have to be hidden \
          (`rombar=0`); reported signs are a black screen and `Invalid PCI ROM header`. A GPU that only computes needs \
          neither. QEMU looks for the file in `/usr/share/kvm` and does not start the VM when it is not there. \
          `infra` passes GPUs without a ROM file; whether a token may take away one that root set depends on the \
          release.",
    fix: "As root on the host: `qm set ID --hostpciN mapping=NAME,pcie=1`. Where the card needs its ROM, leave it and keep \
          the VM out of the inventory.",
    mend: None,
    sources: &["qemu-server API2/Qemu.pm", "pve-docs qm-pci-passthrough.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpu_vms(
        subject,
        &Finding::pass("the plan makes it without a ROM file, as a GPU that only computes needs none"),
        |guest, vm, _, config| {
            let source = format!("qm config {}", guest.vmid);
            let devices = hostpci(config);
            let with_rom: Vec<_> = devices
                .iter()
                .filter_map(|(key, value)| Some((*key, *value, Options::parse(value).get("romfile")?.to_owned())))
                .collect();
            let Some((key, value, file)) = with_rom.first() else {
                return Finding::pass("no ROM file is set, and a GPU that only computes needs none");
            };
            let mapping = vm.gpus.first().map(ToString::to_string).unwrap_or_default();
            let mut finding = Finding::warn(format!("{key} has a ROM file that root set by hand"))
                .seen(source, format!("{key}: {value}"))
                .fix(Fix::run(format!("qm set {} --{key} mapping={mapping},pcie=1", guest.vmid)));
            if let Some(files) = subject.machine().rom_files.value()
                && !files.contains(file)
            {
                finding = finding.seen("ls -A /usr/share/kvm", format!("no {file}: the VM cannot start as it is"));
            }
            finding
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::Fact;
    use crate::model::observed::GuestKind::Qemu;

    #[test]
    fn right_wrong_and_unknown() {
        let right = Scene::bare().with_guest(100, Qemu, true, &[("hostpci0", "mapping=rtx4090,pcie=1")]);
        assert_eq!(right.verdicts(&CHECK), [Verdict::Pass]);
        let mut rom = Scene::bare().with_guest(100, Qemu, true, &[("hostpci0", "mapping=rtx4090,romfile=card.rom")]);
        assert_eq!(rom.verdicts(&CHECK), [Verdict::Warn]);
        assert!(!rom.said(&CHECK).contains("cannot start"));
        rom.machine().rom_files = Fact::complete(BTreeSet::new());
        assert!(rom.said(&CHECK).contains("no card.rom: the VM cannot start"));
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
