//! The host's SSH key is written down.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "host-key",
    area: Area::Access,
    severity: Severity::Warn,
    title: "the host's SSH key stands in the inventory and is the one that it presents",
    needs: &["ssh", "/etc/ssh/ssh_host_*_key.pub"],
    why: "A host whose key is not known is not talked to; there is no switch against that. Without `host_key` in the inventory \
          the `known_hosts` of this machine decides, which CI and colleagues do not have. A connection that was refused \
          is no verdict about the host but none at all: the reason says which key was presented and which was \
          expected.",
    fix: "Write the line as `host_key`. Take it from the host's own console: `cat /etc/ssh/ssh_host_ed25519_key.pub`.",
    mend: None,
    sources: &["ssh(1)", "sshd(8)"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let Some(ssh) = &subject.host.access.ssh else {
        return Err(NotRun::skipped("the inventory declares no SSH access to this host"));
    };
    let login = all(&subject.machine().login)?;
    let source = "/etc/ssh/ssh_host_*_key.pub";
    let best = login.host_keys.iter().find(|key| key.starts_with("ssh-ed25519 ")).or_else(|| login.host_keys.first());
    let finding = match (&ssh.host_key, best) {
        (Some(_), _) => Finding::pass("it presents the key of the inventory").seen("ssh", "connected"),
        (None, Some(key)) => Finding::warn("its key is known to this machine alone")
            .seen(source, key.clone())
            .fix(Fix::edit(format!("hosts.{}.ssh.host_key", subject.host.name), key.clone())),
        (None, None) => Finding::warn("its key is known to this machine alone")
            .seen(source, "not readable")
            .fix(Fix::run("cat /etc/ssh/ssh_host_ed25519_key.pub")),
    };
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::machine::Login;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let mut scene = Scene::new();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        let keys = ["ecdsa-sha2-nistp256 AAAAE", "ssh-ed25519 AAAAC"].map(str::to_owned);
        scene.machine().login = Fact::complete(Login { host_keys: BTreeSet::from(keys), ..Login::default() });
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("value: \"ssh-ed25519 AAAAC\""));
        scene.blueprint.hosts.values_mut().next().unwrap().access.ssh.as_mut().unwrap().host_key =
            Some("ssh-ed25519 AAAAC".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.blueprint.hosts.values_mut().next().unwrap().access.ssh = None;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
    }
}
