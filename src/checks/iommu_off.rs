//! The IOMMU is active.

use super::check::{all, some};
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "iommu-off",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the IOMMU is active",
    needs: &["/sys/class/iommu", "/sys/kernel/iommu_groups", "/proc/cmdline"],
    why: "Without an IOMMU no device can be passed through: PVE ends the start of the VM with `IOMMU not present`. \
          It looks at `/sys/class/iommu`, and so does this check. `dmesg` is no witness: kernel 6.12 prints \
          `DMAR: IOMMU enabled` on machines that have none, and prints nothing where one is active.",
    fix: "Switch VT-d (Intel) or AMD-Vi (AMD, also called IOMMU or SVM) on in the firmware. Intel on kernels before \
          6.8 needs `intel_iommu=on` on the kernel's command line as well; a `…_iommu=off` or `iommu=off` there has to go.",
    mend: Some(Mend::KernelCommandLine),
    sources: &["pve-common SysFSTools.pm", "qemu-server QemuServer/PCI.pm", "pve-docs qm-pci-passthrough.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let users: Vec<_> = subject.passed_gpus().flat_map(|(_, _, users)| users).collect();
    if users.is_empty() {
        return Err(NotRun::skipped("no GPU of this host is passed to a VM"));
    }
    let iommu = all(&subject.machine().iommu)?;
    if iommu.is_active() {
        let units = iommu.units.iter().cloned().collect::<Vec<_>>().join(", ");
        return Ok(vec![
            Finding::pass(format!("active, with {} groups", iommu.groups.len())).seen("ls -A /sys/class/iommu", units),
        ]);
    }
    let mut finding = Finding::fail("no IOMMU is active")
        .seen("ls -A /sys/class/iommu", if iommu.units.is_empty() { "(empty)" } else { "a unit, but no group" })
        .concerns(users);
    if let Ok(kernel) = some(&subject.machine().kernel) {
        let off = ["intel_iommu", "amd_iommu", "iommu"].iter().find(|name| kernel.parameter(name) == Some("off"));
        if let Some(name) = off {
            finding = finding.seen("/proc/cmdline", format!("{name}=off")).fix(Fix::prepare(Mend::KernelCommandLine));
        }
    }
    Ok(vec![finding.fix(Fix::by_hand("switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware"))])
}
