//! VMs that should compute on a GPU run with it.

use super::standing::{gpu_vms, plan_sets};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::observed::Power;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-silent-fallback",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "VMs that should compute on a GPU run with it",
    needs: &["GET /nodes/N/qemu/ID/pending"],
    why: "Software that finds no GPU computes on the processor, ten to a hundred times slower, and mostly says nothing. What \
          the host sees of it: a VM that runs while its device waits for the next start (`qm pending ID`) has no GPU. \
          What happens inside (a driver that does not match, a refused device) only a real computation with \
          growing GPU memory proves: nothing here does that yet, and this check says nothing about it.",
    fix: "Shut the VM down and start it again: a reboot from inside does not bring the device. `infra apply` does it where it \
          made the change.",
    mend: None,
    sources: &["ProxmoxVE#5740", "ollama#9051", "qemu-server QemuServer.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let verify = "that it computes on its GPU only a computation inside proves, which nothing here does yet";
    gpu_vms(subject, &Finding::skipped(verify), |guest, vm, listing, config| {
        if listing.status != Power::Running {
            return Finding::skipped("it does not run");
        }
        let mut keys = (0..vm.gpus.len()).map(|index| format!("hostpci{index}"));
        let Some(key) = keys.find(|key| config.active(key).is_none()) else { return Finding::skipped(verify) };
        let source = format!("qm pending {}", guest.vmid);
        let text = match config.coming(&key) {
            Some(value) => format!("new {key}: {value}"),
            None => format!("no {key}"),
        };
        if plan_sets(subject, guest, &key) {
            return Finding::pass("it runs without its GPU; the plan passes it and starts it anew").seen(source, text);
        }
        Finding::warn("it runs without its GPU: what should compute on it computes on the processor")
            .seen(source, text)
            .fix(Fix::run(format!("qm shutdown {id} && qm start {id}", id = guest.vmid)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::GuestKind::Qemu;
    use crate::model::observed::{Fact, GuestConfig};

    #[test]
    fn right_wrong_and_unknown() {
        let with = Scene::bare().with_guest(100, Qemu, true, &[("hostpci0", "mapping=rtx4090,pcie=1")]);
        assert_eq!(with.verdicts(&CHECK), [Verdict::Skipped]);
        let mut waits = Scene::bare().with_guest(100, Qemu, true, &[]);
        let pending = [("hostpci0".to_owned(), Some("mapping=rtx4090,pcie=1".to_owned()))].into();
        let config = GuestConfig { pending, ..GuestConfig::default() };
        waits.site().configs.insert(100.try_into().unwrap(), Fact::complete(config));
        assert_eq!(waits.verdicts(&CHECK), [Verdict::Warn]);
        assert!(waits.said(&CHECK).contains("new hostpci0: mapping=rtx4090"));
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Skipped]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
