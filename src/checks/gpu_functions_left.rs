//! A GPU is passed through with all its functions.

use super::check::all;
use super::gpus::{self, PlacedGpu, Source, described, mapped, source};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::PciAddress;
use crate::model::observed::GuestConfig;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-functions-left",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the GPU is passed through with all its functions",
    needs: &["/sys/bus/pci/devices", "the VM's configuration", "PCI mappings"],
    why: "A card is several functions: graphics, sound of its HDMI sockets, often USB. All of them are in one IOMMU group \
          and are taken from the host together; one that the VM does not get is in nobody's hands, and the driver in the \
          guest can miss it. `01:00.0` means one function, `01:00` the whole card.",
    fix: "Write the address without its function, in the VM's `hostpci` entry as in the mapping's `path`. Mappings that \
          `infra` writes are of whole cards: `infra apply` mends one that is ours.",
    mend: None,
    sources: &["pve-docs qm-pci-passthrough.adoc", "claytono/infra#984", "harvester/pcidevices#30"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| {
        let users = subject.vms().filter(|(_, vm)| vm.gpus.contains(placed.name));
        let mut findings: Vec<Finding> = Vec::new();
        let mut unmade = 0;
        for (guest, _) in users {
            match subject.site().configs.get(&guest.vmid).map(all) {
                None => unmade += 1,
                Some(Err(NotRun::Blind(why) | NotRun::Skipped(why))) => findings.push(Finding::blind(why)),
                Some(Ok(config)) => findings.push(left(subject, placed, config, &guest.vmid.to_string())),
            }
        }
        if findings.is_empty() && unmade > 0 {
            findings.push(Finding::skipped("its VM is not there yet: it will get the whole card"));
        }
        findings
    })
}

fn left(subject: &Subject<'_>, placed: &PlacedGpu<'_>, config: &GuestConfig, vmid: &str) -> Finding {
    let mut passed: Vec<PciAddress> = Vec::new();
    let mut entry = None;
    for (key, value) in config.current.iter().filter(|(key, _)| key.starts_with("hostpci")) {
        let addresses = match source(value) {
            Some(Source::Addresses(addresses)) => addresses,
            Some(Source::Mapping(name)) => mapped(subject, &name),
            None => continue,
        };
        if addresses.iter().any(|address| address.device() == placed.device) {
            entry.get_or_insert((key.clone(), value.clone()));
            passed.extend(addresses);
        }
    }
    let Some((key, value)) = entry else {
        return Finding::skipped(format!("VM {vmid} does not have it yet"));
    };
    let has = |at: &PciAddress| passed.iter().any(|address| address == at || *address == placed.device);
    let missing: Vec<String> =
        placed.functions.iter().filter(|(at, _)| !has(at)).map(|(at, function)| described(at, function)).collect();
    let seen = format!("{key}: {value}");
    if missing.is_empty() {
        return Finding::pass("passed through whole").seen(format!("qm config {vmid}"), seen);
    }
    Finding::warn(format!("VM {vmid} does not get {}", missing.join(", ")))
        .seen(format!("qm config {vmid}"), seen)
        .fix(Fix::by_hand(format!("write {} without a function; `infra apply` does so in what is ours", placed.device)))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    #[test]
    fn a_function_that_stays_behind_is_named() {
        let mut scene = Scene::sound();
        scene.hostpci("100", "0000:01:00,pcie=1");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.hostpci("100", "0000:01:00.0,pcie=1");
        let finding = scene.only(&CHECK);
        assert!(finding.verdict == Verdict::Warn && finding.summary.contains("0000:01:00.1"), "{finding:?}");
        scene.hostpci("100", "0000:01:00.0;0000:01:00.1");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn a_mapping_is_looked_into() {
        let mut scene = Scene::sound();
        scene.hostpci("100", "mapping=rtx4090,pcie=1");
        scene.map("rtx4090", "node=hq,path=0000:01:00.0,id=10de:2684,iommugroup=14");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.map("rtx4090", "node=hq,path=0000:01:00,id=10de:2684,iommugroup=14");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn a_vm_that_is_not_there_yet_is_nothing_to_judge() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Skipped]);
    }
}
