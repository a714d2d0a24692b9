//! Every GPU that is passed to a VM is one device and no other.

use super::check::all;
use super::gpus::{NONE, devices};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::resources::gpu_device::{Sought, seek};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-ambiguous",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "every GPU of the inventory is one device",
    needs: &["/sys/bus/pci/devices"],
    why: "Several devices have the ids that the inventory gives for a GPU. Which one is meant cannot be guessed: the \
          other may be the host's own display, or another VM's.",
    fix: "Write `address` (or `subsystem`, where the boards differ) to tell them apart.",
    mend: None,
    sources: &["gist scyto/305224b5", "pve-guest-common Mapping/PCI.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let passed: Vec<_> = subject.passed_gpus().collect();
    if passed.is_empty() {
        return Err(NotRun::skipped(NONE));
    }
    let devices = devices(all(&subject.machine().pci)?, subject);
    let find = |(name, gpu, users): (_, &crate::blueprint::Gpu, Vec<_>)| {
        let object = format!("gpu {name}");
        let Sought::Ambiguous(fitting) = seek(gpu, &devices) else {
            return Finding::pass("no other device fits").about(object).concerns(users);
        };
        let mut finding = Finding::fail(format!("{} devices fit", fitting.len()));
        let path = format!("hosts.{}.gpus.{name}.address", subject.host.name);
        for device in &fitting {
            let board = device.subsystem.map(|s| format!(", subsystem {s}")).unwrap_or_default();
            finding = finding
                .seen("/sys/bus/pci/devices", format!("{} at {}{board}", device.id, device.address))
                .fix(Fix::edit(&path, device.address.device().to_string()));
        }
        finding.about(object).concerns(users)
    };
    Ok(passed.into_iter().map(find).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::super::{Fix, Verdict};
    use super::CHECK;

    #[test]
    fn twins_need_an_address() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        let mut twins = Scene::sound();
        twins.add_twin();
        let finding = twins.only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(finding.fixes[1], Fix::edit("hosts.hq.gpus.rtx4090.address", "0000:04:00"));
        let mut told = Scene::over("hosts: { hq: { gpus: { rtx4090: { address: 0000:01:00 } } } }");
        told.add_twin();
        assert_eq!(told.verdicts(&CHECK), [Verdict::Pass]);
    }
}
