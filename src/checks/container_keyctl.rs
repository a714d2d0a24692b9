//! Containers that run Docker may use the kernel's keyring.

use super::standing::{Standing, containers, foreign, plan_sets, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-keyctl",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "containers that run Docker have `keyctl`",
    needs: &["GET /nodes/N/lxc/ID/pending", "inventory: keyctl"],
    why: "In an unprivileged container the system call `keyctl` does not exist unless the container has the feature, and \
          PVE's documentation names it as required for Docker. It is also what `systemd-networkd` may stumble over, see \
          `container-networkd`. PVE gives it to root@pam alone: no API token may set it, so that `infra` does it over SSH.",
    fix: "Write `keyctl: true` for the guest; `infra apply` sets it over SSH, active after the container's next start.",
    mend: None,
    sources: &["pve-container LXC/Config.pm", "pve-container LXC.pm", "pve-docs pct.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, container| {
        if !container.keyctl {
            // `nesting` alone says nothing: systemd wants it, too.
            return Finding::skipped(
                "the inventory does not ask for `keyctl`; whether Docker runs in it, it does not say",
            );
        }
        match standing(subject, guest) {
            Err(why) => Finding::blind(why),
            Ok(Standing::Absent) => Finding::pass("the plan sets `keyctl=1` over SSH"),
            Ok(Standing::Foreign(_)) => foreign(guest),
            Ok(Standing::Ours(_, config)) => {
                let source = format!("pct config {}", guest.vmid);
                let features = config.active("features").unwrap_or("none");
                let text = format!("features: {features}");
                if Options::parse(features).flag("keyctl") == Some(true) {
                    Finding::pass("it may use the keyring").seen(source, text)
                } else if plan_sets(subject, guest, "keyctl") {
                    Finding::pass("the plan sets `keyctl=1` over SSH").seen(source, text)
                } else {
                    let features = if container.nesting { "nesting=1,keyctl=1" } else { "keyctl=1" };
                    Finding::warn("it may not use the keyring, so that Docker fails in it")
                        .seen(source, text)
                        .fix(Fix::run(format!("pct set {} --features {features}", guest.vmid)))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container};
    use super::*;
    use crate::model::observed::GuestKind::Lxc;

    #[test]
    fn right_wrong_and_unknown() {
        let docker = |scene: Scene| container(scene, |ct| (ct.nesting, ct.keyctl) = (true, true));
        assert_eq!(
            container(Scene::bare(), |ct| (ct.nesting, ct.keyctl) = (false, false)).verdicts(&CHECK),
            [Verdict::Skipped]
        );
        assert_eq!(
            container(Scene::bare(), |ct| (ct.nesting, ct.keyctl) = (true, false)).verdicts(&CHECK),
            [Verdict::Skipped]
        );
        assert_eq!(docker(Scene::bare()).verdicts(&CHECK), [Verdict::Pass]);
        let there = |features| docker(Scene::bare().with_guest(104, Lxc, true, &[("features", features)]));
        assert_eq!(there("keyctl=1,nesting=1").verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(there("nesting=1").verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(docker(Scene::new()).verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
