//! The firmware's console is not drawn in a GPU's memory.

use super::gpus::{self, PlacedGpu, known};
use super::iommu_off::is_before;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::model::machine::BootFramebuffer;

/// See its texts.
pub const CHECK: Check = Check {
    id: "boot-framebuffer",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the firmware's console is not drawn in the GPU's memory",
    needs: &["/proc/iomem", "dmesg", "/sys/bus/pci/devices"],
    why: "A host that boots with its screen on the GPU draws its console into the GPU's memory (`BOOTFB`, `efifb`). \
          While it does, `vfio-pci` cannot have that memory: `BAR 1: can't reserve [mem …]`, and the VM fails or shows \
          nothing. Since kernel 6.0 `vfio-pci` ends that console by itself when it takes the card, so what \
          is left is a screen that goes dark. `video=efifb:off` no longer does anything on kernels that have \
          `sysfb`.",
    fix: "Make another adapter (the processor's own, the BMC's) the primary one in the firmware. Else \
          `initcall_blacklist=sysfb_init` on the kernel's command line: the host then shows nothing while it boots.",
    mend: Some(Mend::KernelCommandLine),
    sources: &["qemu-devel msg385330", "amrzs.net/2024/11/03/pve_sriov_gpu", "linux drivers/vfio/pci/vfio_pci_core.c"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![framebuffer(subject, placed)])
}

fn mended(finding: Finding) -> Finding {
    finding
        .fix(Fix::by_hand("make another adapter the primary one in the firmware"))
        .fix(Fix::prepare(Mend::KernelCommandLine))
        .fix(Fix::prepare(Mend::Reboot))
}

fn framebuffer(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let machine = subject.machine();
    let collision = machine
        .kernel_log
        .value()
        .and_then(|log| log.of(&placed.device).filter(|line| line.contains("can't reserve")).last());
    let buffers = known(&machine.boot_framebuffers);
    let here =
        |buffer: &&BootFramebuffer| buffer.function.as_ref().is_some_and(|function| function.device() == placed.device);
    let buffer = buffers.as_ref().ok().and_then(|buffers| buffers.iter().find(here));
    if let Some(buffer) = buffer {
        let bound = placed.functions.iter().any(|(at, function)| {
            Some(*at) == buffer.function.as_ref() && function.driver.as_deref() == Some("vfio-pci")
        });
        let old = machine.kernel.value().is_some_and(|kernel| is_before(&kernel.release, 6, 0));
        let finding = if bound || old || collision.is_some() {
            Finding::fail(format!("the host's console ({}) keeps the GPU's memory from the VM", buffer.name))
        } else {
            Finding::warn("the host's console is on this GPU: it goes dark when the VM starts")
        };
        let finding = finding.seen("/proc/iomem", format!("{} : {}", buffer.range, buffer.name));
        return mended(match collision {
            Some(line) => finding.seen("dmesg", line),
            None => finding,
        });
    }
    match (buffers, collision) {
        (Err(blind), None) => blind,
        // The console may be gone by now: what counts is who has the memory today.
        (Ok(_), None) => {
            Finding::pass("no console is drawn in its memory").seen("/proc/iomem", "no frame buffer in it")
        }
        (_, Some(line)) => {
            let finding = Finding::warn("since boot its memory was taken once when a VM wanted it").seen("dmesg", line);
            mended(finding)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::machine::BootFramebuffer;
    use crate::model::observed::Fact;

    fn with_console(driver: Option<&str>, release: &str) -> Scene {
        let mut scene = Scene::sound();
        scene.machine().boot_framebuffers = Fact::complete(vec![BootFramebuffer {
            name: "BOOTFB".into(),
            range: "c0000000-c03e7fff".into(),
            function: Some("0000:01:00.0".parse().unwrap()),
        }]);
        scene.function("0000:01:00.0").driver = driver.map(str::to_owned);
        scene.release(release);
        scene
    }

    #[test]
    fn a_console_in_memory_that_vfio_already_has_fails() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(with_console(Some("vfio-pci"), "6.17.2-1-pve").verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(with_console(None, "5.15.158-2-pve").verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(with_console(None, "6.17.2-1-pve").verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn a_collision_in_the_log_counts_with_the_console_that_made_it() {
        let line = "[  99.0] vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xc0000000-0xcfffffff 64bit pref]";
        let mut scene = with_console(None, "6.17.2-1-pve");
        scene.log(&[line]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        let mut past = Scene::sound();
        past.log(&[line]);
        assert_eq!(past.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn a_console_elsewhere_is_nobodys_business_and_an_unknown_one_is_no_pass() {
        let mut scene = with_console(Some("vfio-pci"), "6.17.2-1-pve");
        if let Fact::Complete { value } = &mut scene.machine().boot_framebuffers {
            value[0].function = Some("0000:05:00.0".parse().unwrap());
        }
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().boot_framebuffers = Fact::unavailable("cat: /proc/iomem: Permission denied");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
