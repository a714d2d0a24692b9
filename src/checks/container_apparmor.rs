//! No AppArmor profile is set by hand.

use super::check::all;
use super::standing::{Standing, containers, foreign, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-apparmor",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "no AppArmor profile is set by hand in a container's file",
    needs: &["/etc/pve/nodes/*/lxc/*.conf"],
    why: "`lxc.apparmor.profile: unconfined` was the stop-gap when runc 1.3.3 met an lxc-pve before 6.0.5-2 (`open sysctl \
          net.ipv4.ip_unprivileged_port_start … permission denied`). It takes AppArmor off the container, and it \
          cancels what `features` would set up: PVE warns `explicitly configured lxc.apparmor.profile overrides the following \
          settings: features:nesting` at each start. The API does not show the line.",
    fix: "Update lxc-pve on the host, remove the line from `/etc/pve/lxc/ID.conf` and start the container anew.",
    mend: None,
    sources: &["pve-container LXC.pm", "runc#4968", "lxc#4630", "proxmox/lxc debian/changelog"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, _| {
        match standing(subject, guest) {
            Err(why) => return Finding::blind(why),
            Ok(Standing::Absent) => return Finding::pass("the plan makes it with the profile that PVE generates"),
            Ok(Standing::Foreign(_)) => return foreign(guest),
            Ok(Standing::Ours(..)) => {}
        }
        let files = match all(&subject.machine().guest_files) {
            Ok(files) => files,
            Err(NotRun::Skipped(why) | NotRun::Blind(why)) => return Finding::blind(why),
        };
        let Some(file) = files.guests.get(&guest.vmid) else {
            return Finding::blind(format!("/etc/pve/.vmlist does not know {}, and the API does", guest.vmid));
        };
        let path = file.path(guest.vmid);
        let Some(profile) = file.get("lxc.apparmor.profile").filter(|profile| *profile != "generated") else {
            return Finding::pass("PVE generates its profile").seen(path, "no lxc.apparmor.profile");
        };
        let summary = match profile {
            "unconfined" => "AppArmor is off for it, by hand",
            _ => "its AppArmor profile is set by hand, and what `features` would set up is not",
        };
        Finding::warn(summary).seen(path.clone(), format!("lxc.apparmor.profile: {profile}")).fix(Fix::by_hand(
            format!("update lxc-pve, remove the line `lxc.apparmor.profile` from {path}, start it anew"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, guest_file};
    use super::*;
    use crate::model::observed::GuestKind::Lxc;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |lines: &[(&str, &str)]| {
            let mut scene = Scene::bare().with_guest(104, Lxc, true, &[]);
            scene.with_file(104, guest_file(Lxc, lines));
            scene.verdicts(&CHECK)
        };
        assert_eq!(of(&[("features", "nesting=1")]), [Verdict::Pass]);
        assert_eq!(of(&[("lxc.apparmor.profile", "unconfined")]), [Verdict::Warn]);
        assert_eq!(Scene::bare().with_guest(104, Lxc, true, &[]).verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
    }
}
