//! What Proxmox gives to root alone can be set.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::GuestShape;

/// See its texts.
pub const CHECK: Check = Check {
    id: "root-only-settings",
    area: Area::Containers,
    severity: Severity::Fail,
    title: "what Proxmox gives to root alone can be set over SSH",
    needs: &["id -u", "inventory: datasets, devices, keyctl"],
    why: "Bind mounts, device nodes and every feature but `nesting` PVE gives to the session of root@pam alone: any API \
          token, one of root@pam included, gets 403 `mount point type bind is only allowed for root@pam` and the like. `infra` \
          sets them over SSH with `pct set`, which has to be root's.",
    fix: "Log in as root: `ssh: { user: root }` of the host, with a key in `/root/.ssh/authorized_keys` \
          (on Proxmox VE: a link to `/etc/pve/priv/authorized_keys`).",
    mend: None,
    sources: &["pve-container LXC.pm", "pve-container API2/LXC.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let asks = |guest: &&crate::blueprint::Guest| match &guest.shape {
        GuestShape::Container(ct) => ct.keyctl || !ct.datasets.is_empty() || !ct.devices.is_empty(),
        GuestShape::Vm(_) => false,
    };
    let guests: Vec<_> = subject.guests().filter(asks).collect();
    if guests.is_empty() {
        return Err(NotRun::skipped("no container of this host has bind mounts, device nodes or `keyctl`"));
    }
    let login = all(&subject.machine().login)?;
    let finding = if login.uid == 0 {
        Finding::pass("SSH is root's").seen("id -u", "0")
    } else {
        Finding::fail("SSH is not root's, so that bind mounts, device nodes and `keyctl` cannot be set")
            .seen("id -u", login.uid.to_string())
            .fix(Fix::edit(format!("hosts.{}.ssh.user", subject.host.name), "root"))
    };
    Ok(vec![finding.concerns(guests.into_iter().map(addr))])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container};
    use super::*;
    use crate::model::machine::Login;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let mut scene = Scene::new();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        scene.machine().login = Fact::complete(Login { uid: 0, ..Login::default() });
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().login = Fact::complete(Login { uid: 1000, ..Login::default() });
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        let none = container(scene, |ct| {
            ct.datasets.clear();
            ct.keyctl = false;
        });
        assert_eq!(none.verdicts(&CHECK), [Verdict::Skipped]);
    }
}
