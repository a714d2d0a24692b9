//! The PCI mapping of a GPU fits what is on the bus.

use std::collections::BTreeMap;

use super::check::all;
use super::gpus::{self, PlacedGpu, devices};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::PciAddress;
use crate::model::observed::PciDevice;
use crate::resources::gpu_device::{entries, is_ours, mapping_entry, paths, refusal};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-mapping",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the GPU's mapping fits what is on the bus",
    needs: &["PCI mappings", "/sys/bus/pci/devices", "/sys/kernel/iommu_groups"],
    why: "Before it starts a VM, PVE holds the mapping against the bus: ids, board and IOMMU group must be as recorded, \
          else it ends with `PCI device mapping invalid (hardware probably changed)`. A new NVMe disk, another slot or a \
          firmware update renumbers the bus, and an IOMMU that was switched on gives groups where none were recorded. \
          This is the safe outcome: an entry by address alone would pass the wrong device without a word.",
    fix: "`infra apply` writes the mapping anew when it is one of ours. One of somebody else's has to be corrected under \
          Datacenter, Resource Mappings.",
    mend: None,
    sources: &["pve-guest-common Mapping/PCI.pm (assert_valid)"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![mapping(subject, placed)])
}

fn mapping(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let mappings = match all(&subject.site().mappings) {
        Ok(mappings) => mappings,
        Err(NotRun::Blind(why) | NotRun::Skipped(why)) => return Finding::blind(why),
    };
    let (node, name) = (&subject.host.node, placed.name.as_str());
    let Some(mapping) = name.parse().ok().and_then(|name| mappings.get(&name)) else {
        return Finding::skipped("it is not mapped yet: `infra apply` does it");
    };
    let bus = subject.machine().pci.value().expect("a placed GPU was found on the bus");
    let there: BTreeMap<PciAddress, PciDevice> =
        devices(bus, subject).into_iter().map(|device| (device.address.clone(), device)).collect();
    if subject.machine().iommu.value().is_none() {
        return Finding::blind(subject.machine().iommu.why().unwrap_or("IOMMU groups are not known"));
    }
    let source = "/etc/pve/mapping/pci.cfg";
    let mut seen = Vec::new();
    for entry in entries(mapping, node) {
        let problem = refusal(name, &entry, &there).or_else(|| {
            let whole = paths(&entry).iter().any(|path| path.device() == placed.device);
            (!whole).then(|| format!("it maps another device than the GPU, which is at {}", placed.device))
        });
        match problem {
            None => return Finding::pass("it fits").seen(source, entry.to_string()),
            Some(problem) => seen.push((entry.to_string(), problem)),
        }
    }
    let Some((_, first)) = seen.first() else {
        return Finding::skipped("it is not mapped on this node yet: `infra apply` does it");
    };
    let mut finding = Finding::warn(format!("PVE would start no VM with it: {first}"));
    for (entry, _) in &seen {
        finding = finding.seen(source, entry);
    }
    let Some((main, group)) = placed.main().and_then(|(at, _)| Some((there.get(at)?, there.get(at)?.iommu_group?)))
    else {
        return finding.fix(Fix::by_hand("have the IOMMU active first: `iommu-off` says more"));
    };
    let proposal = mapping_entry(node, main, group);
    if is_ours(subject.blueprint, mapping) {
        finding.fix(Fix::run("infra apply")).seen("the mapping that fits", proposal.to_string())
    } else {
        finding.fix(Fix::by_hand(format!("map it under Datacenter, Resource Mappings: {proposal}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::super::{Fix, Verdict};
    use super::CHECK;

    const FITS: &str = "node=hq,path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14";

    #[test]
    fn a_mapping_that_proxmox_would_take_passes() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped], "there is none yet");
        scene.map("rtx4090", FITS);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.map("rtx4090", &FITS.replace("node=hq", "node=other"));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped], "that is of another node");
    }

    #[test]
    fn a_renumbered_card_gets_a_proposal() {
        let mut scene = Scene::sound();
        scene.map("rtx4090", &FITS.replace("0000:01:00", "0000:03:00"));
        let finding = scene.only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.summary.contains("pci device '0000:03:00.0' not found"), "{finding:?}");
        assert_eq!(finding.fixes, [Fix::run("infra apply")]);
        assert!(finding.evidence.last().unwrap().text.contains("path=0000:01:00"));
        scene.map("rtx4090", &FITS.replace("iommugroup=14", "iommugroup=15"));
        assert!(scene.only(&CHECK).summary.contains("(14 != 15)"));
    }
}
