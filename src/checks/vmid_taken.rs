//! Numbers of the inventory's guests are theirs or free.

use super::standing::{Standing, addr, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::observed::GuestKind;
use crate::resources::owner_tag;

/// See its texts.
pub const CHECK: Check = Check {
    id: "vmid-taken",
    area: Area::Access,
    severity: Severity::Fail,
    title: "numbers of the inventory's guests are theirs, or free",
    needs: &["GET /cluster/resources", "/etc/pve/.vmlist"],
    why: "A number is one in the whole cluster, over VMs and containers. What carries another guest's mark, or none, is never \
          touched. A guest that the token may not see is there all the same: its number is looked up in `/etc/pve/.vmlist`, \
          which knows all of them.",
    fix: "Use another `vmid`, or adopt the guest: give it the tag of the inventory, and the next plan shows what would change.",
    mend: None,
    sources: &["pve-cluster PVE/Cluster.pm", "pve-manager PVE/API2/Cluster.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let files = &subject.machine().guest_files;
    let finding = |guest: &crate::blueprint::Guest| {
        let file = files.value().and_then(|files| files.guests.get(&guest.vmid));
        let seen = |finding: Finding| match file {
            Some(file) => finding.seen("/etc/pve/.vmlist", format!("{} on {}", file.path(guest.vmid), file.node)),
            None => finding.seen("/etc/pve/.vmlist", format!("no {}", guest.vmid)),
        };
        let other = || Fix::edit(format!("guests.{}.vmid", guest.name), "a number that is free");
        let finding = match standing(subject, guest) {
            Ok(Standing::Ours(listing, _)) => Finding::pass(format!("{} is ours", guest.vmid))
                .seen("GET /cluster/resources", format!("on {}", listing.node)),
            // What is left of an interrupted create carries no mark yet; the planner knows that it is ours by our journal.
            Ok(Standing::Foreign(_)) if planned(subject, guest) => {
                Finding::pass(format!("{} is what is left of an interrupted run of ours", guest.vmid))
                    .seen("the plan", "makes it anew")
            }
            Ok(Standing::Foreign(listing)) => {
                let kind = if listing.kind == GuestKind::Qemu { "a VM" } else { "a container" };
                let name = listing.name.as_deref().unwrap_or("without a name");
                Finding::fail(format!("{} is taken: {kind}, `{name}`, on {}", guest.vmid, listing.node))
                    .seen("GET /cluster/resources", format!("tags: {}", listing.tags.join(";")))
                    .fix(other())
                    .fix(Fix::by_hand(format!("or adopt it: give it the tag `{}`", owner_tag(&subject.blueprint.name))))
            }
            Ok(Standing::Absent) if file.is_some() => {
                seen(Finding::blind("the API does not know it and the host does: look again"))
            }
            Ok(Standing::Absent) => {
                Finding::pass(format!("{} is free", guest.vmid)).seen("GET /cluster/resources", "not there")
            }
            Err(_) if file.is_some() => seen(
                Finding::fail(format!("{} is taken by a guest that our token may not see", guest.vmid)).fix(other()),
            ),
            Err(_) if files.is_complete() => seen(Finding::pass(format!("{} is free", guest.vmid))),
            Err(why) => Finding::blind(why),
        };
        finding.about(addr(guest).to_string()).concerns([addr(guest)])
    };
    let findings: Vec<Finding> = subject.guests().map(finding).collect();
    if findings.is_empty() { Err(NotRun::skipped("the inventory places no guest on this host")) } else { Ok(findings) }
}

/// Whether there is a plan that changes a guest: the planner changes nothing that is not ours.
fn planned(subject: &Subject<'_>, guest: &crate::blueprint::Guest) -> bool {
    subject.plan.is_ok_and(|plan| plan.changes.iter().any(|change| change.addr == addr(guest)))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{CouldNotRun, Fail, Pass};
    use super::super::guest_scene::{Scene, guest_file};
    use super::*;
    use crate::model::observed::GuestKind::{Lxc, Qemu};

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(Scene::bare().verdicts(&CHECK), [Pass, Pass]);
        assert_eq!(Scene::bare().with_guest(104, Lxc, true, &[]).verdicts(&CHECK), [Pass, Pass]);
        assert_eq!(Scene::bare().with_guest(104, Lxc, false, &[]).verdicts(&CHECK), [Pass, Fail]);
        assert_eq!(
            Scene::bare().with_guest(104, Qemu, true, &[]).verdicts(&CHECK),
            [Pass, Fail],
            "a VM is no container"
        );
        assert_eq!(Scene::new().verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
        let mut unseen = Scene::new();
        unseen.with_file(104, guest_file(Lxc, &[]));
        assert_eq!(unseen.verdicts(&CHECK), [Pass, Fail]);
        assert!(unseen.said(&CHECK).contains("may not see"));
    }
}
