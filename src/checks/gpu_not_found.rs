//! Every GPU that is passed to a VM is on the bus.

use super::check::all;
use super::gpus::{NONE, devices};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::resources::gpu_device::{Sought, seek};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-not-found",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "every GPU of the inventory is on the bus",
    needs: &["/sys/bus/pci/devices"],
    why: "A GPU is known by its ids, and by its address where one is written. Nothing on the bus has them: the card \
          is another one, sits in another slot than was written, or is not seen at all, as after a failed reset, \
          without its power plugs, or with a firmware that ran out of address space.",
    fix: "Write the id that the device has (`infra preflight` lists what is there), or correct its `address`. \
          A card that is not listed at all: cut the power of the whole machine once, then look at slot and plugs.",
    mend: None,
    sources: &["qemu-server QemuServer/PCI.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let passed: Vec<_> = subject.passed_gpus().collect();
    if passed.is_empty() {
        return Err(NotRun::skipped(NONE));
    }
    let bus = all(&subject.machine().pci)?;
    let devices = devices(bus, subject);
    let find = |(name, gpu, users): (_, &crate::blueprint::Gpu, Vec<_>)| {
        let finding = match seek(gpu, &devices) {
            Sought::Found(device) => {
                let object = format!("gpu {name} at {}", device.address.device());
                return Finding::pass("on the bus").about(object).seen("/sys/bus/pci/devices", device.id.to_string());
            }
            Sought::Ambiguous(all) => Finding::pass(format!("{} devices fit", all.len())),
            Sought::Missing(same_id) if !same_id.is_empty() => {
                let mut finding =
                    Finding::fail("a device of its id is there, but on another board or at another place");
                let path = format!("hosts.{}.gpus.{name}", subject.host.name);
                for device in &same_id {
                    let board = device.subsystem.map(|s| format!(", subsystem {s}")).unwrap_or_default();
                    finding =
                        finding.seen("/sys/bus/pci/devices", format!("{} at {}{board}", device.id, device.address));
                }
                if let [device] = same_id[..] {
                    if gpu.address.as_ref().is_some_and(|at| at.device() != device.address.device()) {
                        finding =
                            finding.fix(Fix::edit(format!("{path}.address"), device.address.device().to_string()));
                    }
                    if let Some(board) = device.subsystem.filter(|board| gpu.subsystem.is_some_and(|s| s != *board)) {
                        finding = finding.fix(Fix::edit(format!("{path}.subsystem"), board.to_string()));
                    }
                }
                finding.fix(Fix::by_hand("look whether the card that was meant is still in the machine"))
            }
            Sought::Missing(_) => {
                let gpus: Vec<String> = bus
                    .functions
                    .iter()
                    .filter(|(_, function)| function.is_gpu() && !function.virtual_function)
                    .map(|(address, function)| format!("{} at {address}", function.id))
                    .collect();
                let there = if gpus.is_empty() { "no display or compute device".into() } else { gpus.join(", ") };
                Finding::fail(format!("nothing on the bus has the id {}", gpu.id))
                    .seen("/sys/bus/pci/devices", there)
                    .fix(Fix::by_hand("write the id of the card that is there, or look at its slot and power plugs"))
            }
        };
        finding.about(format!("gpu {name}")).concerns(users)
    };
    Ok(passed.into_iter().map(find).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::super::{Fix, Verdict};
    use super::CHECK;
    use crate::model::observed::Fact;

    #[test]
    fn a_card_that_is_gone_fails_and_one_that_moved_says_where_it_is() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        let mut gone = Scene::sound();
        gone.bus().functions.retain(|at, _| !at.to_string().starts_with("0000:01"));
        let finding = gone.only(&CHECK);
        assert_eq!((finding.verdict, finding.concerns.len()), (Verdict::Fail, 1));
        let mut moved = Scene::over("hosts: { hq: { gpus: { rtx4090: { address: 0000:05:00 } } } }");
        let finding = moved.only(&CHECK);
        assert_eq!(finding.fixes[0], Fix::edit("hosts.hq.gpus.rtx4090.address", "0000:01:00"));
        moved.machine().pci = Fact::unavailable("`find` failed");
        assert_eq!(moved.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
