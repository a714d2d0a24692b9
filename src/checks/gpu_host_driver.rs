//! No driver of the host holds a GPU that is passed to a VM.

use super::gpus::{self, described};
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-host-driver",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "no driver of the host holds the GPU",
    needs: &["/sys/bus/pci/drivers", "/sys/bus/pci/devices"],
    why: "When a VM starts, PVE takes the card from the driver that has it and gives it to `vfio-pci`. Most drivers \
          let go; `nvidia`, `nouveau` and `amdgpu` do so only while nobody uses the card (a console, \
          `nvidia-persistenced`, a running program): else the start hangs, and so does the card until the host is \
          rebooted. Some cards that a driver of the host has initialised do not come up in the guest. A card that \
          `vfio-pci` or nobody has is ready.",
    fix: "Let `vfio-pci` have the card from the boot on: `infra prepare` writes which driver takes it, makes the \
          initial RAM disk anew and reboots. By hand: `options vfio-pci ids=…` and `softdep <driver> pre: vfio-pci` in \
          `/etc/modprobe.d/`, then `update-initramfs -u -k all`.",
    mend: Some(Mend::Modprobe),
    sources: &["pve-common SysFSTools.pm (pci_dev_bind_to_vfio)", "pve-docs qm-pci-passthrough.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let off = subject.machine().iommu.value().is_some_and(|iommu| !iommu.is_active());
    gpus::each(subject, |placed| {
        if off {
            return vec![Finding::skipped("without an IOMMU `vfio-pci` can have no device: `iommu-off` says more")];
        }
        let held: Vec<_> = placed.functions.iter().filter(|(_, function)| !function.is_free()).collect();
        let source = |at: &crate::model::PciAddress| format!("/sys/bus/pci/devices/{at}/driver");
        let Some((first, function)) = held.first() else {
            let mut finding = Finding::pass("ready");
            for (at, function) in &placed.functions {
                finding = finding.seen(source(at), function.driver.as_deref().unwrap_or("(none)"));
            }
            return vec![finding];
        };
        let driver = function.driver.as_deref().unwrap_or_default();
        let mut finding = match &held[..] {
            [_] => Finding::warn(format!("`{driver}` of the host holds {}", described(first, function))),
            _ => Finding::warn(format!("drivers of the host hold {} of its functions", held.len())),
        };
        for (at, function) in &held {
            finding = finding.seen(source(at), function.driver.as_deref().unwrap_or_default());
        }
        vec![
            finding
                .fix(Fix::prepare(Mend::Modprobe))
                .fix(Fix::prepare(Mend::Initramfs))
                .fix(Fix::prepare(Mend::Reboot)),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    #[test]
    fn vfio_or_nobody_is_ready_and_anybody_else_is_not() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.function("0000:01:00.0").driver = None;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.function("0000:01:00.0").driver = Some("nouveau".into());
        let finding = scene.only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.summary.contains("nouveau") && finding.evidence[0].source.contains("0000:01:00.0/driver"));
        scene.function("0000:01:00.0").driver = None;
        scene.function("0000:01:00.1").driver = Some("snd_hda_intel".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.machine().iommu = crate::model::observed::Fact::complete(Default::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped], "who has it then is no fault of its own");
    }
}
