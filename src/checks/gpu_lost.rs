//! A GPU answers, and is none that is known to die of its reset.

use super::gpus::{self, PlacedGpu};
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-lost",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the GPU answers",
    needs: &["dmesg", "/sys/bus/pci/devices"],
    why: "A card that does not come back from a reset no longer answers: `not ready 65535ms after bus reset; giving up`, \
          `Unable to change power state from D3cold to D0, device inaccessible`. No VM gets it until the host is \
          rebooted, often not before its power was cut. It is reported of RTX 5090 and RTX PRO 6000 (Blackwell) after \
          days or weeks, or when a VM is restarted; H100, B200 and RTX 4090 are reported not to have it.",
    fix: "Reboot the host; where that does not help, cut its power. For Blackwell cards: the newest kernel of Proxmox \
          (which helps in part), `vfio-pci` from the boot on, no D3cold (`d3cold_allowed` 0), and a plan for a reboot.",
    mend: Some(Mend::Reboot),
    sources: &["guiahardware.es (RTX 5090 after FLR)", "ai-manual.ru 2026-01-07", "linux drivers/pci/pci.c"],
    judge,
};

/// Cards that are reported to die of a reset.
const REPORTED: &[(u16, &str)] = &[
    (0x2b85, "RTX 5090"),
    (0x2bb1, "RTX PRO 6000 Blackwell Workstation"),
    (0x2bb4, "RTX PRO 6000 Blackwell Max-Q"),
    (0x2bb5, "RTX PRO 6000 Blackwell Server"),
];

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![lost(subject, placed)])
}

fn lost(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let log = &subject.machine().kernel_log;
    let last = |texts: &[&str]| {
        let lines = log.value()?.of(&placed.device);
        lines.filter(|line| texts.iter().any(|text| line.contains(text))).last()
    };
    let Some((at, function)) = placed.main() else { return Finding::blind("the device has no function") };
    // After a failed function reset the kernel tries the next way; after the bus there is none.
    if let Some(line) = last(&["after bus reset; giving up", "device inaccessible", "has fallen off the bus"]) {
        return Finding::fail("it no longer answers")
            .seen("dmesg", line)
            .fix(Fix::prepare(Mend::Reboot))
            .fix(Fix::by_hand("where a reboot does not help, cut the power of the whole machine"));
    }
    let reported = REPORTED.iter().find(|(device, _)| function.id.vendor == 0x10de && function.id.device == *device);
    let weak = last(&["; giving up"]);
    let advice = |finding: Finding| {
        finding
            .fix(Fix::by_hand("run the newest kernel of Proxmox, and let vfio-pci have the card from the boot on"))
            .fix(Fix::run(format!("echo 0 > /sys/bus/pci/devices/{at}/d3cold_allowed")))
            .fix(Fix::by_hand("plan for a reboot of the host when the card stops answering"))
    };
    if let Some(line) = weak {
        return advice(Finding::warn("it did not answer after a reset, and came back another way").seen("dmesg", line));
    }
    if let Some((_, name)) = reported {
        let cold = if function.d3cold_allowed == Some(true) { "1" } else { "0 or unknown" };
        return advice(
            Finding::warn(format!("{name} is reported to stop answering after a reset"))
                .seen(format!("/sys/bus/pci/devices/{at}/device"), function.id.to_string())
                .seen(format!("/sys/bus/pci/devices/{at}/d3cold_allowed"), cold),
        );
    }
    match log.why() {
        Some(why) => Finding::blind(why),
        None => {
            Finding::pass("nothing says that it stopped answering").seen("dmesg", "no `giving up`, no `inaccessible`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn a_dead_card_fails_and_a_slow_one_is_warned_of() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.log(&["[ 900.0] vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.log(&["[ 900.0] vfio-pci 0000:01:00.0: not ready 65535ms after bus reset; giving up"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        scene.log(&["[ 900.0] nvme 0000:02:00.0: not ready 65535ms after bus reset; giving up"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "another device's trouble is not this one's");
    }

    #[test]
    fn cards_with_a_reputation_are_warned_of_and_an_unreadable_log_is_no_pass() {
        let mut scene = Scene::over("hosts: { hq: { gpus: { rtx4090: { id: '10de:2b85' } } } }");
        scene.function("0000:01:00.0").id = "10de:2b85".parse().unwrap();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        let mut blind = Scene::sound();
        blind.machine().kernel_log = Fact::unavailable("dmesg: Operation not permitted");
        assert_eq!(blind.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
