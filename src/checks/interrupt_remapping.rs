//! Interrupts of passed devices are remapped.

use super::gpus::{self, known};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::KernelLog;
use crate::model::observed::Fact;

/// See its texts.
pub const CHECK: Check = Check {
    id: "interrupt-remapping",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "interrupts of devices are remapped",
    needs: &["/proc/interrupts", "dmesg", "/sys/module/vfio_iommu_type1/parameters"],
    why: "Without interrupt remapping a VM could make up interrupts of the host with its device, so the kernel refuses: \
          `No interrupt remapping support. Use the module param \"allow_unsafe_interrupts\"`, and the VM does not \
          start. With the parameter it starts, and any guest with a device can take the host down. \
          A controller that remaps is called `IR-…` in `/proc/interrupts`; the log says `Enabled IRQ remapping` \
          (Intel) or `Interrupt remapping enabled` (AMD).",
    fix: "Switch interrupt remapping on in the firmware (often part of VT-d or AMD-Vi, or of x2APIC), and take \
          `intremap=off` off the kernel's command line. `options vfio_iommu_type1 allow_unsafe_interrupts=1` is \
          the last resort, and makes the host depend on its guests.",
    mend: None,
    sources: &["pve-docs qm-pci-passthrough.adoc", "linux drivers/vfio/vfio_iommu_type1.c"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let users: Vec<_> = subject.passed_gpus().flat_map(|(_, _, users)| users).collect();
    if users.is_empty() {
        return Err(NotRun::skipped(gpus::NONE));
    }
    if machine.iommu.value().is_some_and(|iommu| !iommu.is_active()) {
        return Err(NotRun::skipped("no IOMMU is active: `iommu-off` says more"));
    }
    let log = machine.kernel_log.value();
    let enabled = log.and_then(|log| {
        log.lines
            .iter()
            .find(|line| line.contains("Enabled IRQ remapping") || line.contains("Interrupt remapping enabled"))
    });
    let refused = log.and_then(|log| log.about("No interrupt remapping support").last());
    if refused.is_none() {
        if let Some(line) = enabled {
            return Ok(vec![Finding::pass("remapped").seen("dmesg", line)]);
        }
        if machine.remapped_interrupts.value() == Some(&true) {
            return Ok(vec![Finding::pass("remapped").seen("/proc/interrupts", "controllers are named IR-…")]);
        }
    }
    let absent = (refused.is_none()).then(|| absent(&machine.remapped_interrupts, &machine.kernel_log));
    if let Some(Err(blind)) = absent {
        return Ok(vec![blind.concerns(users)]);
    }
    let unsafe_ones = machine.vfio.value().and_then(|vfio| vfio.allow_unsafe_interrupts) == Some(true);
    let finding = if unsafe_ones {
        Finding::warn("not remapped, and VMs may have devices all the same: a guest can take the host down")
            .seen("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y")
    } else {
        Finding::fail("interrupts are not remapped: the kernel hands no device to a VM")
    };
    let finding = match refused {
        Some(line) => finding.seen("dmesg", line),
        None => finding
            .seen("/proc/interrupts", "no controller is named IR-…")
            .seen("dmesg", "no line says that remapping was enabled"),
    };
    let finding = match machine.kernel.value().and_then(|kernel| kernel.parameter("intremap")) {
        Some(value) => finding.seen("/proc/cmdline", format!("intremap={value}")),
        None => finding,
    };
    Ok(vec![
        finding
            .fix(Fix::by_hand("switch interrupt remapping (part of VT-d or AMD-Vi, or of x2APIC) on in the firmware"))
            .concerns(users),
    ])
}

/// That it is not there is believed only where both say so.
fn absent(interrupts: &Fact<bool>, log: &Fact<KernelLog>) -> Result<(), Finding> {
    known(interrupts)?;
    known(log)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn either_witness_is_enough_to_pass() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        let mut log_alone = Scene::sound();
        log_alone.machine().remapped_interrupts = Fact::complete(false);
        log_alone.log(&["[    0.5] AMD-Vi: Interrupt remapping enabled"]);
        assert_eq!(log_alone.verdicts(&CHECK), [Verdict::Pass]);
        let mut interrupts_alone = Scene::sound();
        interrupts_alone.machine().kernel_log = Fact::unavailable("dmesg: Operation not permitted");
        assert_eq!(interrupts_alone.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn its_absence_needs_both_witnesses() {
        let mut scene = Scene::sound();
        scene.machine().remapped_interrupts = Fact::complete(false);
        scene.log(&[]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        scene.machine().vfio.clone_from(&Fact::complete(crate::model::machine::Vfio {
            allow_unsafe_interrupts: Some(true),
            ..Default::default()
        }));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.machine().kernel_log = Fact::Partial { value: Default::default(), why: "no beginning".into() };
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }

    #[test]
    fn a_refusal_in_the_log_is_proof() {
        let mut scene = Scene::sound();
        scene.log(&["[  99.0] vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param \
                     \"allow_unsafe_interrupts\" to enable VFIO IOMMU support on this platform"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
    }

    #[test]
    fn without_an_iommu_nothing_is_said() {
        let mut scene = Scene::sound();
        scene.machine().iommu = Fact::complete(Default::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
    }
}
