//! No other VM has a GPU, or is configured to get it.

use std::collections::BTreeSet;

use super::gpus::{self, PlacedGpu, Source, configured, known, mapped};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::Vmid;
use crate::model::machine::ReservationHolds;
use crate::model::observed::Power;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-in-use",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "no other VM has the GPU",
    needs: &["/run/qemu-server/pci-id-reservations", "guests' files in /etc/pve", "the list of guests"],
    why: "A device is in one VM at a time. PVE notes in `/run/qemu-server/pci-id-reservations` which VM has which, and ends \
          the start of another one with `PCI device '…' already in use by VMID '…'`. A note of a VM that no longer \
          runs is taken over. Two VMs may be configured for one device as long as only one of them runs.",
    fix: "Stop the other VM, or take the device out of its configuration. Where several equal cards are there, a mapping \
          can list them all: the first that is free is taken.",
    mend: None,
    sources: &["qemu-server QemuServer/PCI.pm (reserve_pci_usage)", "pve-guest-common Mapping/PCI.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![in_use(subject, placed)])
}

fn in_use(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let machine = subject.machine();
    let own: BTreeSet<Vmid> =
        subject.vms().filter(|(_, vm)| vm.gpus.contains(placed.name)).map(|(guest, _)| guest.vmid).collect();
    let reservations = match known(&machine.pci_reservations) {
        Ok(reservations) => reservations,
        Err(blind) => return blind,
    };
    let file = "/run/qemu-server/pci-id-reservations";
    for note in reservations.iter().filter(|note| note.address.device() == placed.device && !own.contains(&note.vmid)) {
        let guest = subject.site().guests.value().and_then(|guests| guests.get(&note.vmid));
        let (line, starting) = match note.holds {
            ReservationHolds::Process(pid) => (format!("{} {} pid:{pid}", note.address, note.vmid), false),
            ReservationHolds::Until(time) => {
                let now = u64::try_from(subject.now.as_second()).unwrap_or_default();
                (format!("{} {} time:{time}", note.address, note.vmid), time > now)
            }
        };
        match guest.map(|guest| guest.status) {
            Some(Power::Running) => {
                return Finding::fail(format!("VM {} has it and runs", note.vmid))
                    .seen(file, line)
                    .fix(Fix::run(format!("qm shutdown {}", note.vmid)))
                    .fix(Fix::by_hand(format!("take the device out of the configuration of VM {}", note.vmid)));
            }
            _ if starting => {
                return Finding::fail(format!("VM {} is being started with it", note.vmid))
                    .seen(file, line)
                    .fix(Fix::by_hand(format!("take the device out of the configuration of VM {}", note.vmid)));
            }
            Some(Power::Stopped) => {}
            // Our token may not see every guest, so that one that is not listed may run.
            Some(Power::Unknown) | None => {
                let known = subject.site().guests.is_complete() && guest.is_none();
                if !known {
                    return Finding::blind(format!("VM {} may have it: whether it runs is not known", note.vmid))
                        .seen(file, line);
                }
            }
        }
    }
    let files = match known(&machine.guest_files) {
        Ok(files) => files,
        Err(blind) => return blind,
    };
    let mut others = configured(files, &subject.host.node);
    others.retain(|(vmid, _, _, source)| {
        let addresses = match source {
            Source::Addresses(addresses) => addresses.clone(),
            Source::Mapping(name) => mapped(subject, name),
        };
        !own.contains(vmid) && addresses.iter().any(|address| address.device() == placed.device)
    });
    let Some((vmid, ..)) = others.first() else {
        return Finding::pass("no other VM has it or wants it").seen(file, "no note of another VM");
    };
    let mut finding = Finding::warn(format!("VM {vmid} is configured to get it as well: only one of them can run"));
    for (vmid, key, value, _) in &others {
        finding = finding
            .seen(format!("/etc/pve/nodes/{}/qemu-server/{vmid}.conf", subject.host.node), format!("{key}: {value}"));
    }
    finding.fix(Fix::run(format!("qm set {vmid} --delete {}", others[0].1))).fix(Fix::by_hand("start only one of them"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::machine::{PciReservation, ReservationHolds};
    use crate::model::observed::{Fact, Power};

    fn noted(vmid: &str, status: Option<Power>, holds: ReservationHolds) -> Scene {
        let mut scene = Scene::sound();
        let (address, vmid) = ("0000:01:00.0".parse().unwrap(), vmid.parse().unwrap());
        scene.machine().pci_reservations = Fact::complete(vec![PciReservation { address, vmid, holds }]);
        if let Some(status) = status {
            scene.guest(&vmid.to_string(), status);
        }
        scene
    }

    #[test]
    fn a_running_vm_has_it_and_a_stopped_one_has_not() {
        let process = ReservationHolds::Process(4242);
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(noted("900", Some(Power::Running), process).verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(noted("900", Some(Power::Stopped), process).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(noted("900", None, process).verdicts(&CHECK), [Verdict::Pass], "that VM is gone");
        assert_eq!(noted("900", Some(Power::Unknown), process).verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(noted("100", Some(Power::Running), process).verdicts(&CHECK), [Verdict::Pass], "it is its own");
        let starting = ReservationHolds::Until(u64::MAX);
        assert_eq!(noted("900", Some(Power::Stopped), starting).verdicts(&CHECK), [Verdict::Fail]);
    }

    #[test]
    fn another_vm_may_be_configured_for_it() {
        let mut scene = Scene::sound();
        scene.file("900", &[("hostpci0", "0000:01:00.0,pcie=1")]);
        let finding = scene.only(&CHECK);
        assert!(finding.verdict == Verdict::Warn && finding.summary.contains("900"), "{finding:?}");
        scene.file("900", &[("hostpci0", "0000:03:00.0,pcie=1")]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().guest_files = Fact::unavailable("no cluster file system");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
