//! The host keeps a console when a GPU is passed through.

use super::gpus;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "only-console",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the host keeps a console",
    needs: &["/sys/bus/pci/devices", "/proc/cmdline"],
    why: "The GPU is the only display of the host. Once its VM has started, the screen at the host is dark and stays so: \
          when network or SSH fail, there is no way in, and some firmwares do not even boot without a display. Nothing \
          else is lost: the host runs on, with SSH and web interface.",
    fix: "Have another way in before it is needed: the processor's own graphics, a BMC, or a serial console \
          (`console=ttyS0,115200` on the kernel's command line).",
    mend: None,
    sources: &["racknotes.pro/?p=159"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let serial = subject.machine().kernel.value().and_then(|kernel| {
        kernel.command_line.iter().find(|word| word.starts_with("console=ttyS") || word.starts_with("console=hvc"))
    });
    // GPUs that go to VMs are no consoles of the host.
    let mut given = Vec::new();
    let findings = gpus::each(subject, |placed| {
        given.push(placed.device.clone());
        Vec::new()
    })?;
    let bus = super::check::all(&subject.machine().pci)?;
    let display = bus
        .functions
        .iter()
        .find(|(at, function)| function.is_vga() && !function.virtual_function && !given.contains(&at.device()));
    let judged = gpus::each(subject, |placed| {
        let console = placed.functions.iter().find(|(_, function)| function.boot_vga == Some(true));
        let finding = match (console, display, serial) {
            (_, Some((at, function)), _) => {
                let kept = gpus::described(at, function);
                Finding::pass("another display stays with the host")
                    .seen(format!("/sys/bus/pci/devices/{at}/class"), kept)
            }
            (None, None, _) => Finding::pass("the host's console is not on it")
                .seen(format!("/sys/bus/pci/devices/{}.0/boot_vga", placed.device), "not 1"),
            (Some(_), None, Some(word)) => {
                Finding::pass("its screen goes, a serial console stays").seen("/proc/cmdline", word)
            }
            (Some((at, _)), None, None) => Finding::warn("it is the only console of the host: its screen goes dark")
                .seen(format!("/sys/bus/pci/devices/{at}/boot_vga"), "1")
                .fix(Fix::by_hand("have another way in: the processor's own graphics, a BMC, or a serial console")),
        };
        vec![finding]
    })?;
    Ok(if judged.is_empty() { findings } else { judged })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    #[test]
    fn only_the_last_way_in_is_warned_of() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "the BMC stays");
        scene.bus().functions.retain(|at, _| at.to_string() != "0000:05:00.0");
        scene.function("0000:01:00.0").boot_vga = Some(true);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.command_line(&["console=tty0", "console=ttyS0,115200"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.command_line(&[]).function("0000:01:00.0").boot_vga = Some(false);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }
}
