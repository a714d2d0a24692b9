//! Nothing waits for a restart unseen.

use super::standing::{Standing, addr, foreign, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::change::Action;
use crate::model::observed::GuestKind;

/// See its texts.
pub const CHECK: Check = Check {
    id: "pending-configuration",
    area: Area::Access,
    severity: Severity::Warn,
    title: "no change of a guest waits for its restart",
    needs: &["GET /nodes/N/qemu/ID/pending", "GET /nodes/N/lxc/ID/pending"],
    why: "What a running guest cannot take on, PVE keeps as pending: the configuration says one thing and the guest does another, until \
          it is stopped and started. A reboot from inside a VM is not enough. A power failure then starts a guest that nobody has tried.",
    fix: "`qm reboot ID` or `pct reboot ID` (which stop and start it), or `qm set ID --revert KEY`.",
    mend: None,
    sources: &["pve-guest-common PVE/AbstractConfig.pm", "pve-docs qm.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let findings: Vec<Finding> = subject
        .guests()
        .map(|guest| {
            let address = addr(guest);
            let finding = match standing(subject, guest) {
                Err(why) => Finding::blind(why),
                Ok(Standing::Absent) => Finding::skipped("it is not there yet"),
                Ok(Standing::Foreign(_)) => foreign(guest),
                Ok(Standing::Ours(listing, config)) => {
                    let tool = if listing.kind == GuestKind::Qemu { "qm" } else { "pct" };
                    let source = format!("{tool} pending {}", guest.vmid);
                    // Names alone: a value may be a password.
                    let keys: Vec<&str> = config.pending.keys().map(String::as_str).collect();
                    let change =
                        subject.plan.ok().and_then(|plan| plan.changes.iter().find(|change| change.addr == address));
                    if keys.is_empty() {
                        Finding::pass("nothing waits").seen(source, "no pending change")
                    } else if change.is_some_and(|change| change.action >= Action::Restart) {
                        Finding::pass("the plan restarts it").seen(source, keys.join(", "))
                    } else {
                        Finding::warn("changes wait for its restart")
                            .seen(source, keys.join(", "))
                            .fix(Fix::run(format!("{tool} reboot {}", guest.vmid)))
                    }
                }
            };
            finding.about(address.to_string()).concerns([address])
        })
        .collect();
    if findings.is_empty() { Err(NotRun::skipped("the inventory places no guest on this host")) } else { Ok(findings) }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{CouldNotRun, Pass, Skipped, Warn};
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::GuestKind::Lxc;
    use crate::model::observed::{Fact, GuestConfig};

    #[test]
    fn right_wrong_and_unknown() {
        let mut scene = Scene::bare().with_guest(104, Lxc, true, &[]);
        assert_eq!(scene.verdicts(&CHECK), [Skipped, Pass]);
        let pending = [("memory".to_owned(), Some("2048".to_owned()))].into();
        let config = GuestConfig { pending, ..GuestConfig::default() };
        scene.site().configs.insert(104.try_into().unwrap(), Fact::complete(config));
        assert_eq!(scene.verdicts(&CHECK), [Skipped, Warn]);
        assert!(!scene.said(&CHECK).contains("2048"), "values are not shown");
        assert_eq!(Scene::new().verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
    }
}
