//! Containers that run containers may nest.

use super::standing::{Standing, containers, foreign, plan_sets, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-nesting",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "containers that run containers have `nesting`",
    needs: &["GET /nodes/N/lxc/ID/pending", "inventory: nesting, keyctl"],
    why: "Docker, Podman and newer systemd mount their own `/proc` and `/sys`. Without `nesting=1` AppArmor forbids it: \
          Docker does not start, and services of systemd 250 and later fail with `226/NAMESPACE`.",
    fix: "Write `nesting: true` for the guest; `infra apply` sets it, active after the container's next start. It takes \
          VM.Allocate and no root on an unprivileged container.",
    mend: None,
    sources: &["pve-container LXC.pm", "pve-docs pct.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, container| {
        if !container.nesting {
            return if container.keyctl {
                Finding::warn("it has `keyctl` for Docker, and no `nesting`, without which Docker does not start")
                    .seen("inventory", "keyctl: true, nesting: false")
                    .fix(Fix::edit(format!("guests.{}.nesting", guest.name), "true"))
            } else {
                Finding::skipped("the inventory does not let it run containers")
            };
        }
        match standing(subject, guest) {
            Err(why) => Finding::blind(why),
            Ok(Standing::Absent) => Finding::pass("the plan makes it with `nesting=1`"),
            Ok(Standing::Foreign(_)) => foreign(guest),
            Ok(Standing::Ours(_, config)) => {
                let source = format!("pct config {}", guest.vmid);
                let features = config.active("features").unwrap_or("none");
                let text = format!("features: {features}");
                if Options::parse(features).flag("nesting") == Some(true) {
                    Finding::pass("it may nest").seen(source, text)
                } else if plan_sets(subject, guest, "nesting") {
                    Finding::pass("the plan sets `nesting=1`").seen(source, text)
                } else {
                    Finding::warn("it may not nest, so that Docker does not start in it")
                        .seen(source, text)
                        .fix(Fix::run(format!("pct set {} --features {}", guest.vmid, wanted(container.keyctl))))
                }
            }
        }
    })
}

/// Both features of a container that Docker runs in.
fn wanted(keyctl: bool) -> &'static str {
    if keyctl { "nesting=1,keyctl=1" } else { "nesting=1" }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container};
    use super::*;
    use crate::model::observed::GuestKind::Lxc;

    #[test]
    fn right_wrong_and_unknown() {
        let nesting = |scene: Scene| container(scene, |ct| (ct.nesting, ct.keyctl) = (true, true));
        assert_eq!(
            container(Scene::bare(), |ct| (ct.nesting, ct.keyctl) = (false, false)).verdicts(&CHECK),
            [Verdict::Skipped]
        );
        assert_eq!(
            container(Scene::bare(), |ct| (ct.nesting, ct.keyctl) = (false, true)).verdicts(&CHECK),
            [Verdict::Warn]
        );
        assert_eq!(nesting(Scene::bare()).verdicts(&CHECK), [Verdict::Pass]);
        let there = |features| nesting(Scene::bare().with_guest(104, Lxc, true, &[("features", features)]));
        assert_eq!(there("keyctl=1,nesting=1").verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(there("keyctl=1").verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(nesting(Scene::new()).verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
