//! A GPU can be reset between two VMs.

use super::gpus::{self, PlacedGpu, described};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::PciFunction;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-reset",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the GPU can be reset",
    needs: &["/sys/bus/pci/devices"],
    why: "A card is reset whenever its VM starts or stops. AMD's Polaris, Vega and Navi 1x cards say that they can be \
          reset over their bus and do not come back from it: the first start works, the second hangs, with \
          `atombios stuck` or nothing at all in the log, until the host is rebooted. PVE starts a VM whose card has no \
          reset all the same, with whatever state the last guest left in it.",
    fix: "For those AMD cards, the kernel module `vendor-reset` with its udev rule (`reset_method` then says \
          `device_specific`); it has nothing for RDNA 2 and later, which need none. Without it: reboot the host before \
          the VM is started a second time.",
    mend: None,
    sources: &["gnif/vendor-reset", "qemu-server QemuServer/PCI.pm (prepare_pci_device)"],
    judge,
};

/// AMD's cards that a bus reset hangs: first and last device id, and their family.
const STUCK: &[(u16, u16, &str)] = &[
    (0x67c0, 0x67df, "Polaris 10"),
    (0x67e0, 0x67ff, "Polaris 11"),
    (0x6980, 0x699f, "Polaris 12"),
    (0x6860, 0x687f, "Vega 10"),
    (0x66a0, 0x66af, "Vega 20"),
    (0x7310, 0x731f, "Navi 10"),
    (0x7340, 0x734f, "Navi 14"),
    (0x7360, 0x7362, "Navi 12"),
];

fn family(function: &PciFunction) -> Option<&'static str> {
    let device = function.id.device;
    let fits = |(first, last, _): &&(u16, u16, &str)| (*first..=*last).contains(&device);
    if function.id.vendor == 0x1002 { STUCK.iter().find(fits).map(|(_, _, family)| *family) } else { None }
}

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![reset(placed)])
}

fn reset(placed: &PlacedGpu<'_>) -> Finding {
    let Some((at, function)) = placed.main() else { return Finding::blind("the device has no function") };
    let source = format!("/sys/bus/pci/devices/{at}/reset_method");
    let methods = function.reset_methods.join(" ");
    let own = function.reset_methods.iter().any(|method| method == "device_specific");
    if let Some(family) = family(function).filter(|_| !own) {
        return Finding::warn(format!("{family} does not come back from a reset over its bus"))
            .seen(source, if methods.is_empty() { "(none)" } else { &methods })
            .seen(format!("/sys/bus/pci/devices/{at}/device"), function.id.to_string())
            .fix(Fix::by_hand("install the kernel module vendor-reset with its udev rule on the host"))
            .fix(Fix::by_hand("without it, reboot the host before the VM is started a second time"));
    }
    if !function.can_reset {
        return Finding::warn(format!("the kernel knows no way to reset {}", described(at, function)))
            .seen(format!("/sys/bus/pci/devices/{at}/reset"), "not there")
            .fix(Fix::by_hand("should the VM not start a second time, reboot the host"));
    }
    Finding::pass("can be reset").seen(source, if methods.is_empty() { "(kernel does not say how)" } else { &methods })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    #[test]
    fn old_amd_cards_need_their_own_reset() {
        let mut scene = Scene::over("hosts: { hq: { gpus: { rtx4090: { id: '1002:67df' } } } }");
        scene.function("0000:01:00.0").id = "1002:67df".parse().unwrap();
        let finding = scene.only(&CHECK);
        assert!(finding.verdict == Verdict::Warn && finding.summary.contains("Polaris 10"), "{finding:?}");
        scene.function("0000:01:00.0").reset_methods = vec!["device_specific".into(), "bus".into()];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn a_card_without_any_reset_is_warned_of() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let card = scene.function("0000:01:00.0");
        (card.can_reset, card.reset_methods) = (false, Vec::new());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }
}
