//! Docker's runtime works inside containers of this host.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::blueprint::GuestShape;
use crate::model::machine::version_order;
use crate::model::{Addr, Kind};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-runc",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "`lxc-pve` lets new versions of `runc` work inside containers",
    needs: &["dpkg-query -W lxc-pve"],
    why: "Since `runc` 1.3.3 (`containerd.io` 1.7.28-2, the fix of CVE-2025-52881) every container that Docker starts inside \
          an LXC container fails with `open sysctl net.ipv4.ip_unprivileged_port_start … permission denied`: AppArmor's \
          rules of the host do not fit the way in which the file is opened now. `lxc-pve` 6.0.5-2 lifts these rules for \
          containers with nesting. That is told by the change log for Proxmox VE 9; whether version 8 got the fix was not \
          verified.",
    fix: "`apt update && apt install lxc-pve`, then restart the container. Switching AppArmor off for the container works as \
          well and is unsafe.",
    mend: Some(Mend::Packages),
    sources: &["opencontainers/runc#4968", "lxc/lxc#4630", "proxmox/lxc debian/changelog"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let nested: Vec<Addr> = subject
        .guests()
        .filter(|guest| matches!(&guest.shape, GuestShape::Container(container) if container.nesting))
        .map(|guest| Addr::new(Kind::Container, guest.name.as_str()))
        .collect();
    if nested.is_empty() {
        return Err(NotRun::skipped("no container of this host runs containers itself"));
    }
    let packages = all(&subject.machine().packages)?;
    let Some(version) = packages.installed.get("lxc-pve") else {
        return Err(NotRun::blind("`lxc-pve` is not installed, or not configured"));
    };
    let source = "dpkg-query -W lxc-pve";
    Ok(vec![match version_order(version, "6.0.5-2") {
        std::cmp::Ordering::Less => {
            Finding::warn(format!("{version} is older than 6.0.5-2: Docker with `runc` 1.3.3 or newer fails"))
                .seen(source, version)
                .fix(Fix::run("apt update && apt install lxc-pve"))
                .concerns(nested)
        }
        _ => Finding::pass(format!("{version} has the fix")).seen(source, version),
    }])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn an_old_package_matters_only_to_containers_with_nesting() {
        let mut scene = Scene::sound();
        scene.container().nesting = true;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        for old in ["6.0.5-1", "6.0.0-1", "5.0.2-4"] {
            known(&mut scene.machine().packages).installed.insert("lxc-pve".into(), old.into());
            assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn], "{old}");
        }
        scene.container().nesting = false;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.container().nesting = true;
        known(&mut scene.machine().packages).installed.remove("lxc-pve");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
