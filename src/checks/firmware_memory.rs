//! The firmware keeps no memory of a GPU's group for itself.

use super::gpus::{self, PlacedGpu, known};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::Iommu;

/// See its texts.
pub const CHECK: Check = Check {
    id: "firmware-memory",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the firmware keeps no memory of the GPU's group for itself",
    needs: &["/sys/kernel/iommu_groups", "dmesg"],
    why: "Some servers (HP and HPE above all) have their management controller write into memory through every slot, \
          with or without a card that wants it (RMRR). The kernel gives no device of such a group to a VM: \
          `Device is ineligible for IOMMU domain attach due to platform RMRR requirement`, since kernel 6.6 \
          `Firmware has requested this device have a 1:1 IOMMU mapping`. It shows before any VM is started: a range of \
          the group is `direct` in its `reserved_regions`. `direct-relaxable`, which displays and USB controllers \
          have, does no harm.",
    fix: "HP: switch \"HP shared memory features\" off for the slot (HPE advisory c04781229, with `conrep`), or update the \
          firmware. Else another slot, or a kernel patched to ignore it, which lets the controller write into the \
          guest's memory.",
    mend: None,
    sources: &["OrpheeGT/relax-intel-rmrr", "linux drivers/iommu/intel/iommu.c, drivers/iommu/iommu.c"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![memory(subject, placed)])
}

fn memory(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let iommu = known(&subject.machine().iommu);
    let refused = subject.machine().kernel_log.value().and_then(|log| {
        let refusal = |line: &&str| {
            line.contains("platform RMRR requirement")
                || line.contains("requested this device have a 1:1 IOMMU mapping")
        };
        log.of(&placed.device).filter(refusal).last()
    });
    let ranges = iommu.as_ref().map(|iommu| ranges(iommu, placed)).unwrap_or_default();
    if refused.is_none() && ranges.is_empty() {
        return match iommu {
            Err(blind) => blind,
            Ok(iommu) if !iommu.is_active() => Finding::skipped("no IOMMU is active: `iommu-off` says more"),
            Ok(_) => Finding::pass("no range is kept")
                .seen("/sys/kernel/iommu_groups/*/reserved_regions", "no range is `direct`"),
        };
    }
    let mut finding = Finding::fail("the firmware uses memory through its slot: the kernel gives it to no VM");
    for (source, range) in ranges {
        finding = finding.seen(source, format!("{range} direct"));
    }
    if let Some(line) = refused {
        finding = finding.seen("dmesg", line);
    }
    finding
        .fix(Fix::by_hand("switch the shared memory of this slot off in the firmware (HPE advisory c04781229)"))
        .fix(Fix::by_hand("put the card into another slot"))
}

fn ranges(iommu: &Iommu, placed: &PlacedGpu<'_>) -> Vec<(String, String)> {
    let mut numbers: Vec<u32> = placed.functions.iter().filter_map(|(at, _)| iommu.group_of(at)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let ranges = |number: u32| {
        let ranges = iommu.groups.get(&number).map(|group| group.firmware_memory.clone()).unwrap_or_default();
        ranges.into_iter().map(move |range| (format!("/sys/kernel/iommu_groups/{number}/reserved_regions"), range))
    };
    numbers.into_iter().flat_map(ranges).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn a_range_is_seen_before_any_vm_is_started() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        if let Fact::Complete { value } = &mut scene.machine().iommu {
            value.groups.get_mut(&14).unwrap().firmware_memory.push("0x00000000791fb000-0x00000000791fcfff".into());
        }
        let finding = scene.only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.evidence[0].source.ends_with("/14/reserved_regions"));
    }

    #[test]
    fn a_refusal_in_the_log_is_enough() {
        let mut scene = Scene::sound();
        scene.log(&[
            "[ 99.0] vfio-pci 0000:01:00.0: DMAR: Device is ineligible for IOMMU domain attach due to platform \
                     RMRR requirement.  Contact your platform vendor.",
        ]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        scene.log(&["[ 99.0] vfio-pci 0000:01:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, \
                     rejecting configuring the device without a 1:1 mapping. Contact your platform vendor."]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
    }
}
