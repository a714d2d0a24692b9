//! The IOMMU is active.

use super::check::{all, some};
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject, gpus};
use crate::model::machine::{Iommu, Kernel};

/// See its texts.
pub const CHECK: Check = Check {
    id: "iommu-off",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the IOMMU is active",
    needs: &["/sys/class/iommu", "/sys/kernel/iommu_groups", "/sys/firmware/acpi/tables", "/proc/cmdline"],
    why: "Without an IOMMU no device can be passed through: PVE ends the start of the VM with `IOMMU not present`. \
          It looks at `/sys/class/iommu`, and so does this check. `dmesg` is no witness: kernel 6.12 prints \
          `DMAR: IOMMU enabled` on machines that have none, and prints nothing where one is active. \
          Whose fault it is, is told by the ACPI tables: without `DMAR` (Intel) or `IVRS` (AMD) the firmware keeps \
          the IOMMU off or the machine has none, and no command line helps; with a table, the kernel was told to \
          leave it off, or was not told to switch it on: kernels of Proxmox before 6.8 do that only when asked on \
          Intel processors.",
    fix: "Switch VT-d (Intel) or AMD-Vi (AMD, also called IOMMU or SVM) on in the firmware, where there is no such \
          table. Where there is one: a `…_iommu=off` or `iommu=off` on the kernel's command line has to go, and Intel \
          on kernels before 6.8 needs `intel_iommu=on` there. `iommu=pt` is about speed only.",
    mend: Some(Mend::KernelCommandLine),
    sources: &["pve-common SysFSTools.pm", "qemu-server QemuServer/PCI.pm", "pve-docs qm-pci-passthrough.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let users: Vec<_> = subject.passed_gpus().flat_map(|(_, _, users)| users).collect();
    if users.is_empty() {
        return Err(NotRun::skipped(gpus::NONE));
    }
    let iommu = all(&subject.machine().iommu)?;
    if iommu.is_active() {
        let units = iommu.units.iter().cloned().collect::<Vec<_>>().join(", ");
        return Ok(vec![
            Finding::pass(format!("active, with {} groups", iommu.groups.len())).seen("ls -A /sys/class/iommu", units),
        ]);
    }
    Ok(vec![cause(iommu, some(&subject.machine().kernel).ok()).concerns(users)])
}

fn cause(iommu: &Iommu, kernel: Option<&Kernel>) -> Finding {
    let firmware = || Fix::by_hand("switch VT-d (Intel) or AMD-Vi (AMD, also called IOMMU) on in the firmware");
    let seen = |summary: &str| {
        let finding = Finding::fail(summary)
            .seen("ls -A /sys/class/iommu", if iommu.units.is_empty() { "(empty)" } else { "a unit, but no group" });
        match iommu.described {
            Some(true) => finding.seen("/sys/firmware/acpi/tables", "the firmware describes an IOMMU"),
            Some(false) => finding.seen("/sys/firmware/acpi/tables", "neither DMAR nor IVRS"),
            None => finding,
        }
    };
    let off = kernel.and_then(switched_off);
    if iommu.described == Some(false) {
        let asked = kernel.and_then(|kernel| Some(format!("intel_iommu={}", kernel.parameter("intel_iommu")?)));
        let finding = seen("the firmware offers no IOMMU: it is switched off there, or the machine has none");
        return match asked {
            Some(word) => finding.seen("/proc/cmdline", format!("{word}: asked for all the same")),
            None => finding,
        }
        .fix(firmware());
    }
    if let Some(word) = off {
        return seen("the kernel was told to leave the IOMMU off")
            .seen("/proc/cmdline", word)
            .fix(Fix::prepare(Mend::KernelCommandLine))
            .fix(Fix::prepare(Mend::Reboot));
    }
    let Some(kernel) = kernel else { return seen("no IOMMU is active").fix(firmware()) };
    let asked = kernel.parameter("intel_iommu").is_some_and(|value| value.split(',').any(|part| part == "on"));
    if iommu.described == Some(true) && !asked && is_before(&kernel.release, 6, 8) {
        return seen("this kernel leaves Intel's IOMMU off unless it is asked")
            .seen("uname -r", &kernel.release)
            .fix(Fix::prepare(Mend::KernelCommandLine))
            .fix(Fix::prepare(Mend::Reboot));
    }
    let finding = seen("no IOMMU is active").seen("uname -r", &kernel.release);
    if iommu.described == Some(true) && !asked {
        return finding.fix(Fix::prepare(Mend::KernelCommandLine)).fix(Fix::prepare(Mend::Reboot)).fix(firmware());
    }
    finding.fix(firmware())
}

/// The parameter that switches it off. Values are lists: `intel_iommu=on,sm_on`.
fn switched_off(kernel: &Kernel) -> Option<String> {
    ["intel_iommu", "amd_iommu", "iommu"].into_iter().find_map(|name| {
        let value = kernel.parameter(name)?;
        value.split(',').any(|part| part == "off").then(|| format!("{name}={value}"))
    })
}

/// Whether a release such as `6.5.13-5-pve` is before a version; not where it is not understood.
pub(super) fn is_before(release: &str, major: u32, minor: u32) -> bool {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(this), Some(that)) => (this, that) < (major, minor),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::super::{Fix, Mend, Verdict};
    use super::{CHECK, is_before};
    use crate::model::machine::Iommu;
    use crate::model::observed::Fact;

    fn off(described: Option<bool>, words: &[&str], release: &str) -> Scene {
        let mut scene = Scene::sound();
        scene.machine().iommu = Fact::complete(Iommu { described, ..Iommu::default() });
        scene.command_line(words).release(release);
        scene
    }

    #[test]
    fn an_active_one_passes_whatever_the_log_says() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn who_is_to_blame_is_told_apart() {
        let said = |scene: Scene| scene.only(&CHECK);
        let firmware = said(off(Some(false), &["intel_iommu=on"], "6.17.2-1-pve"));
        assert!(firmware.summary.contains("firmware") && matches!(firmware.fixes[..], [Fix::ByHand { .. }]));
        assert!(firmware.evidence.iter().any(|e| e.text.contains("asked for all the same")));
        let told = said(off(Some(true), &["intel_iommu=off"], "6.17.2-1-pve"));
        assert!(told.summary.contains("told") && told.fixes[0] == Fix::prepare(Mend::KernelCommandLine));
        let old = said(off(Some(true), &[], "6.5.13-5-pve"));
        assert!(old.summary.contains("unless it is asked"), "{old:?}");
        let unknown = said(off(None, &[], "6.17.2-1-pve"));
        assert!(unknown.verdict == Verdict::Fail && !unknown.fixes.is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_no_pass_and_no_failure() {
        let mut scene = Scene::sound();
        scene.machine().iommu = Fact::unavailable("`ls` failed");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(Scene::without_gpu().verdicts(&CHECK), [Verdict::Skipped]);
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert!(is_before("6.5.13-5-pve", 6, 8) && is_before("5.15.0", 6, 0));
        assert!(!is_before("6.17.2-1-pve", 6, 8) && !is_before("strange", 6, 8));
    }
}
