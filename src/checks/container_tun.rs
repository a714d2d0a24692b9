//! Tunnels in containers are declared, not written into their files.

use super::check::all;
use super::standing::{Standing, containers, foreign, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-tun",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "a container's tunnel device comes from the inventory, not from lines by hand",
    needs: &["/etc/pve/nodes/*/lxc/*.conf", "inventory: devices"],
    why: "Tailscale, WireGuard in user space and OpenVPN open `/dev/net/tun`, which an unprivileged container does not have. \
          Scripts write `lxc.cgroup2.devices.allow: c 10:200 rwm` and an `lxc.mount.entry` into the container's file. That works, but \
          the API does not show it and no plan knows it; a container that is made anew is without.",
    fix: "Declare it: `devices: [{ path: /dev/net/tun, mode: 0o666 }]`, apply, and remove the lines from \
          `/etc/pve/lxc/ID.conf`.",
    mend: None,
    sources: &["pve-container LXC.pm", "ProxmoxVE tools/addon/add-tailscale-lxc.sh"],
    judge,
};

const TUN: &str = "/dev/net/tun";

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, container| {
        let declared = container.devices.iter().any(|node| node.path == TUN);
        match standing(subject, guest) {
            Err(why) => return Finding::blind(why),
            Ok(Standing::Absent) if declared => return Finding::pass("the plan gives it the device"),
            Ok(Standing::Absent) => {
                return Finding::skipped("it is not there yet, and the inventory gives it no tunnel device");
            }
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
        let by_hand: Vec<String> = file
            .lines
            .iter()
            .filter(|(key, value)| {
                key.starts_with("lxc.") && (value.contains("10:200") || value.contains("dev/net/tun"))
            })
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        if by_hand.is_empty() {
            return if declared {
                Finding::pass("the inventory gives it the device").seen(path, "no lxc line about it")
            } else {
                Finding::skipped("it has no tunnel device")
            };
        }
        let finding = by_hand
            .into_iter()
            .fold(Finding::warn("its tunnel device is given to it by lines that no plan knows"), |finding, line| {
                finding.seen(path.clone(), line)
            });
        let remove = format!("remove those lines from {path}");
        if declared {
            finding.fix(Fix::by_hand(remove))
        } else {
            finding
                .fix(Fix::edit(format!("guests.{}.devices", guest.name), format!("[{{ path: {TUN} }}]")))
                .fix(Fix::by_hand(remove))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container, guest_file};
    use super::*;
    use crate::blueprint::DeviceNode;
    use crate::model::observed::GuestKind::Lxc;

    #[test]
    fn right_wrong_and_unknown() {
        let there = |lines| {
            let mut scene = Scene::bare().with_guest(104, Lxc, true, &[]);
            scene.with_file(104, guest_file(Lxc, lines));
            scene
        };
        let tun = DeviceNode { path: TUN.into(), uid: 0, gid: 0, mode: 0o666 };
        let raw = [("lxc.cgroup2.devices.allow", "c 10:200 rwm")];
        assert_eq!(there(&[]).verdicts(&CHECK), [Verdict::Skipped]);
        assert_eq!(there(&raw).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(container(there(&[]), |ct| ct.devices = vec![tun.clone()]).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(container(there(&raw), |ct| ct.devices = vec![tun.clone()]).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
