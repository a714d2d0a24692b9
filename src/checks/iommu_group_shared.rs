//! A GPU's IOMMU group holds nothing that the host needs.

use std::collections::BTreeMap;

use super::gpus::{self, PlacedGpu, described, known};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::PciAddress;
use crate::model::machine::{Iommu, PciBus, PciFunction};

/// See its texts.
pub const CHECK: Check = Check {
    id: "iommu-group-shared",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the GPU's IOMMU group holds nothing that the host needs",
    needs: &["/sys/kernel/iommu_groups", "/sys/bus/pci/devices", "/sys/bus/pci/drivers"],
    why: "Devices of one IOMMU group can reach each other's memory, so they are passed through together or not at \
          all. When a VM starts, PVE binds *every* member of the group that has no `pci_bus` directory to `vfio-pci`, \
          asked or not: a SATA controller, NVMe disk, network or USB controller in it is torn from the running \
          host, with the disks and the network that hang on it. Bridges and the card's own functions are not in the \
          way.",
    fix: "Put the card into a slot whose group is its own (slots at the processor rather than at the chipset), or \
          switch ACS on in the firmware. `pcie_acs_override=downstream,multifunction` makes the kernel pretend that \
          groups are apart, which they are not: a guest can then reach the host's memory through the other device.",
    mend: None,
    sources: &["pve-common SysFSTools.pm (pci_dev_group_bind_to_vfio)", "pve-docs qm-pci-passthrough.adoc"],
    judge,
};

/// What becomes of a member of the group that is not the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Nobody on the host has it.
    Nothing,
    /// The host has it and can do without.
    Convenience,
    /// Disks, network, keyboard, or the only console.
    Vital,
}

/// Members of the groups of a device that PVE would take with it, and what the host loses by that.
pub(super) fn taken_along<'a>(
    device: &PciAddress,
    bus: &'a PciBus,
    iommu: &Iommu,
) -> Vec<(&'a PciAddress, &'a PciFunction, Loss)> {
    let mut members = BTreeMap::new();
    for (address, _) in bus.device(device) {
        let group = iommu.group_of(address).and_then(|group| iommu.groups.get(&group));
        for other in group.into_iter().flat_map(|group| &group.devices) {
            let Some((at, function)) = bus.functions.get_key_value(other) else { continue };
            if at.device() != device.device() && !function.bridge {
                members.insert(at, function);
            }
        }
    }
    members.into_iter().map(|(at, function)| (at, function, loss(function))).collect()
}

fn loss(function: &PciFunction) -> Loss {
    if function.is_free() {
        return Loss::Nothing;
    }
    match function.base_class() {
        0x01 | 0x02 => Loss::Vital,
        0x03 if function.boot_vga == Some(true) => Loss::Vital,
        _ if function.subclass() == 0x0c03 => Loss::Vital,
        _ if !function.roles.is_empty() && function.base_class() != 0x03 => Loss::Vital,
        _ => Loss::Convenience,
    }
}

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let iommu = &subject.machine().iommu;
    gpus::each(subject, |placed| match known(iommu) {
        Err(blind) => vec![blind],
        Ok(iommu) if !iommu.is_active() => {
            vec![Finding::blind("groups are known only while an IOMMU is active: `iommu-off` says more")]
        }
        Ok(iommu) => vec![group(subject, placed, iommu)],
    })
}

fn group(subject: &Subject<'_>, placed: &PlacedGpu<'_>, iommu: &Iommu) -> Finding {
    let Some((main, _)) = placed.main() else { return Finding::blind("the device has no function") };
    let Some(number) = iommu.group_of(main) else {
        return Finding::fail("it is in no IOMMU group: no unit is responsible for its slot")
            .seen(format!("/sys/bus/pci/devices/{main}/iommu_group"), "not there")
            .fix(Fix::by_hand("put the card into another slot"));
    };
    let bus = subject.machine().pci.value().expect("a placed GPU was found on the bus");
    let others = taken_along(&placed.device, bus, iommu);
    let source = format!("/sys/kernel/iommu_groups/{number}/devices");
    let worst = others.iter().map(|(_, _, loss)| *loss).max();
    let list = |least: Loss| {
        let named = others.iter().filter(|(_, _, loss)| *loss >= least);
        named.map(|(at, function, _)| described(at, function)).collect::<Vec<_>>().join(", ")
    };
    let apart = |finding: Finding| {
        finding
            .fix(Fix::by_hand("put the card into a slot whose group is its own"))
            .fix(Fix::by_hand("switch ACS on in the firmware"))
    };
    let mut finding = match worst {
        None => return Finding::pass(format!("group {number} is its own")).seen(source, own(placed)),
        Some(Loss::Nothing) => {
            let summary = format!("group {number} holds nothing that the host uses");
            return Finding::pass(summary).seen(source, list(Loss::Nothing));
        }
        Some(Loss::Convenience) => apart(Finding::warn(format!(
            "group {number} is shared: with the VM's start the host loses {}",
            list(Loss::Convenience)
        ))),
        Some(Loss::Vital) => apart(Finding::fail(format!(
            "group {number} is shared: the VM's start would tear {} from the host",
            list(Loss::Vital)
        ))),
    };
    for (at, function, _) in &others {
        finding = finding.seen(&source, described(at, function));
    }
    finding
}

fn own(placed: &PlacedGpu<'_>) -> String {
    placed.functions.iter().map(|(at, _)| at.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn bridges_and_its_own_functions_are_not_in_the_way() {
        let finding = Scene::sound().only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
        assert_eq!(finding.object.as_deref(), Some("gpu rtx4090 at 0000:01:00"));
    }

    #[test]
    fn a_disk_in_the_group_is_a_hard_failure_that_names_it() {
        let mut scene = Scene::sound();
        scene.share_group("0000:02:00.0");
        let finding = scene.only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.summary.contains("NVMe controller 0000:02:00.0") && finding.summary.contains("nvme0"));
        scene.function("0000:02:00.0").driver = Some("vfio-pci".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "nobody on the host has it");
    }

    #[test]
    fn a_dummy_host_bridge_without_driver_is_harmless_and_a_sound_card_is_a_pity() {
        let mut scene = Scene::sound();
        scene.share_group("0000:00:00.0");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.share_group("0000:00:1f.3");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn groups_are_unknown_without_an_iommu() {
        let mut scene = Scene::sound();
        scene.machine().iommu = Fact::complete(Default::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
