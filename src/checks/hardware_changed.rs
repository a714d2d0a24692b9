//! The GPUs are as they were recorded.

use super::gpus::NONE;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::hardware_lock::{HardwareChange, LockedGpu, LockedHost};
use crate::model::{Addr, GpuName, Kind};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "hardware-changed",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "the GPUs are as they were recorded",
    needs: &["hardware.lock.json", "/sys/bus/pci/devices", "/sys/kernel/iommu_groups"],
    why: "A new disk, another slot or a firmware update renumbers the bus; a card is exchanged; a slot comes into \
          another IOMMU group. What `infra` passes is found by its ids and mapped anew, but entries by address, of other \
          VMs or of your own scripts, now mean another device, and nobody says so. The host's network interfaces \
          may have changed their names for the same reason.",
    fix: "Look whether the change was meant. `infra apply` writes the mapping anew; `infra preflight --write` records \
          what is there now. Interfaces: `pve-network-interface-pinning generate`.",
    mend: None,
    sources: &[
        "pve-guest-common Mapping/PCI.pm (assert_valid)",
        "pve-docs pve-network.adoc",
        "hexie.dev/bridge-with-no-slave",
    ],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    if subject.host.gpus.is_empty() {
        return Err(NotRun::skipped(NONE));
    }
    let recorded = subject.hardware.and_then(|lock| lock.hosts.get(&subject.host.name));
    let Some(recorded) = recorded else {
        return Err(NotRun::skipped("no hardware was recorded: `infra preflight --write` does it"));
    };
    let now = LockedHost::of(subject)?;
    let changes = recorded.changes(&now);
    if changes.is_empty() {
        let place = |(name, gpu): (&GpuName, &LockedGpu)| format!("{name} at {}", gpu.address);
        let places: Vec<String> = now.gpus.iter().map(place).collect();
        return Ok(vec![Finding::pass("as recorded").seen("hardware.lock.json", places.join(", "))]);
    }
    Ok(changes.iter().map(|(name, change)| told(subject, name, change)).collect())
}

fn told(subject: &Subject<'_>, name: &GpuName, change: &HardwareChange) -> Finding {
    let users: Vec<Addr> = subject
        .vms()
        .filter(|(_, vm)| vm.gpus.contains(name))
        .map(|(guest, _)| Addr::new(Kind::Vm, guest.name.as_str()))
        .collect();
    let (summary, was, now) = match change {
        HardwareChange::New { now } => ("it was not recorded before".to_owned(), None, Some(now)),
        HardwareChange::Gone { was } => ("it is not where it was, nor anywhere else".to_owned(), Some(was), None),
        HardwareChange::OtherCard { was, now } => ("another card is there".to_owned(), Some(was), Some(now)),
        HardwareChange::Moved { was, now } => {
            (format!("it moved from {} to {}", was.address, now.address), Some(was), Some(now))
        }
        HardwareChange::OtherGroup { was, now } => ("it is in another IOMMU group".to_owned(), Some(was), Some(now)),
    };
    let finding = match change {
        // Recording a card that is new is all that there is to do.
        HardwareChange::New { .. } => Finding::pass(summary),
        _ => Finding::warn(summary),
    };
    let mut finding = finding.about(format!("gpu {name}")).concerns(users);
    if let Some(was) = was {
        finding = finding.seen("hardware.lock.json", line(was));
    }
    if let Some(now) = now {
        finding = finding.seen("/sys/bus/pci/devices", line(now));
    }
    let path = format!("hosts.{}.gpus.{name}", subject.host.name);
    match (change, now) {
        (HardwareChange::New { .. }, _) => finding.fix(Fix::run("infra preflight --write")),
        (_, Some(now)) => {
            let written = subject.host.gpus.get(name).and_then(|gpu| gpu.address.as_ref());
            if written.is_some_and(|at| at.device() != now.address) {
                finding = finding.fix(Fix::edit(format!("{path}.address"), now.address.to_string()));
            }
            finding
                .seen("the mapping that fits", proposal(subject, now).to_string())
                .fix(Fix::run("infra apply"))
                .fix(Fix::run("infra preflight --write"))
        }
        (_, None) => finding.fix(Fix::by_hand("look whether the card is still in the machine, and has its power")),
    }
}

fn proposal(subject: &Subject<'_>, gpu: &LockedGpu) -> Options {
    let device = crate::model::observed::PciDevice {
        address: gpu.address.clone(),
        id: gpu.id,
        subsystem: gpu.subsystem,
        iommu_group: gpu.group,
        name: None,
    };
    crate::resources::gpu_device::mapping_entry(&subject.host.node, &device, gpu.group.unwrap_or_default())
}

fn line(gpu: &LockedGpu) -> String {
    let mut line = format!("{} at {}", gpu.id, gpu.address);
    if let Some(board) = gpu.subsystem {
        line.push_str(&format!(", subsystem {board}"));
    }
    if let Some(group) = gpu.group {
        line.push_str(&format!(", group {group}"));
    }
    if let Some(serial) = &gpu.serial {
        line.push_str(&format!(", serial {serial}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn what_was_recorded_is_held_against_what_is_there() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped], "nothing was recorded");
        scene.record();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.renumber("0000:01:00", "0000:03:00");
        let finding = scene.only(&CHECK);
        assert_eq!(
            (finding.verdict, finding.summary.as_str()),
            (Verdict::Warn, "it moved from 0000:01:00 to 0000:03:00")
        );
        assert!(finding.evidence.iter().any(|evidence| evidence.text.contains("path=0000:03:00")), "{finding:?}");
        scene.bus().functions.retain(|at, _| !at.to_string().starts_with("0000:03"));
        assert!(scene.only(&CHECK).summary.contains("nor anywhere else"));
    }

    #[test]
    fn an_unknown_bus_is_no_change() {
        let mut scene = Scene::sound();
        scene.record();
        scene.machine().pci = Fact::unavailable("`find` failed");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
