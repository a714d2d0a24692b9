//! A GPU's link is as wide as its slot.

use super::gpus::{self, PlacedGpu};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::PciBus;

/// See its texts.
pub const CHECK: Check = Check {
    id: "pcie-link",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the GPU's link has all the lanes that its slot gives",
    needs: &["/sys/bus/pci/devices"],
    why: "A link can come back from a reset with half its lanes (reported of cards at x16 that went on at x8), or is \
          made narrow by dirt in the slot. Nothing fails: models load more slowly, and several cards talk more slowly to \
          each other. The number of lanes does not depend on load, unlike the speed, which drops while a card idles.",
    fix: "Shut the host down and cut its power for a moment; a reboot keeps the narrow link. If it stays: reseat the \
          card, update the firmware, look whether another slot or disk shares its lanes.",
    mend: None,
    sources: &["forum.proxmox.com 178461"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let bus = subject.machine().pci.value();
    gpus::each(subject, |placed| vec![link(placed, bus.expect("a placed GPU was found on the bus"))])
}

fn link(placed: &PlacedGpu<'_>, bus: &PciBus) -> Finding {
    let Some((at, function)) = placed.main() else { return Finding::blind("the device has no function") };
    let Some(link) = &function.link else { return Finding::skipped("it has no PCI Express link") };
    let Some(width) = link.width else {
        return Finding::skipped("its link sleeps: its width shows while it is used");
    };
    let port = function.parent.as_ref().and_then(|port| bus.functions.get(port)?.link.as_ref());
    let slot = port.map_or(link.max_width, |port| port.max_width);
    let most = slot.min(link.max_width);
    let source = |name: &str| format!("/sys/bus/pci/devices/{at}/{name}");
    if width < most {
        return Finding::warn(format!("x{width}, where card and slot can do x{most}"))
            .seen(source("current_link_width"), width.to_string())
            .seen(source("max_link_width"), link.max_width.to_string())
            .fix(Fix::by_hand("shut the host down and cut its power for a moment: a reboot keeps the narrow link"))
            .fix(Fix::by_hand("reseat the card, and look whether another slot or disk shares its lanes"));
    }
    let finding = if most < link.max_width {
        Finding::pass(format!("x{width}, which is all that the slot gives to a card of x{}", link.max_width))
    } else {
        Finding::pass(format!("x{width}"))
    };
    finding.seen(source("current_link_width"), width.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    fn widths(now: Option<u8>, card: u8, slot: u8) -> Vec<Verdict> {
        let mut scene = Scene::sound();
        let link = |width, max_width| crate::model::machine::PciLink { width, max_width, speed: None, max_speed: None };
        scene.function("0000:01:00.0").link = Some(link(now, card));
        scene.function("0000:00:01.0").link = Some(link(now, slot));
        scene.verdicts(&CHECK)
    }

    #[test]
    fn a_narrow_slot_is_no_narrow_link() {
        assert_eq!(widths(Some(16), 16, 16), [Verdict::Pass]);
        assert_eq!(widths(Some(8), 16, 8), [Verdict::Pass]);
        assert_eq!(widths(Some(8), 16, 16), [Verdict::Warn]);
        assert_eq!(widths(None, 16, 16), [Verdict::Skipped], "a card that sleeps tells nothing");
    }
}
