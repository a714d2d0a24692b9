//! VMs with GPUs do not balloon.

use super::standing::{gpu_vms, plan_sets};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-ballooning",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "VMs with GPUs do not give memory back",
    needs: &["GET /nodes/N/qemu/ID/pending"],
    why: "A passed-through device may reach all memory of its VM, so that all of it is pinned from the start and QEMU \
          inhibits ballooning. A `balloon` below `memory` promises the host memory that it never gets back, and PVE \
          counts with it.",
    fix: "`infra apply` sets `balloon: 0`. Outside of `infra`: `qm set ID --balloon 0`, active after the next start.",
    mend: None,
    sources: &["QEMU commit 238e917285", "qemu-server QemuServer.pm", "pve-docs qm.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpu_vms(subject, &Finding::pass("the plan makes it with `balloon: 0`"), |guest, _, _, config| {
        let (source, balloon) = (format!("qm config {}", guest.vmid), config.active("balloon"));
        let text = balloon.map_or("no balloon: as much as memory".to_owned(), |balloon| format!("balloon: {balloon}"));
        if balloon == Some("0") && config.coming("balloon") == Some("0") {
            return Finding::pass("it does not balloon").seen(source, text);
        }
        if plan_sets(subject, guest, "balloon") {
            return Finding::pass("the plan sets `balloon: 0`").seen(source, text);
        }
        Finding::warn("it has a balloon that can never take memory back")
            .seen(source, text)
            .fix(Fix::run(format!("qm set {} --balloon 0", guest.vmid)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::GuestKind::Qemu;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |lines| Scene::bare().with_guest(100, Qemu, true, lines).verdicts(&CHECK);
        assert_eq!(of(&[("balloon", "0")]), [Verdict::Pass]);
        assert_eq!(of(&[("balloon", "2048")]), [Verdict::Warn]);
        assert_eq!(of(&[]), [Verdict::Warn]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
