//! No change of an earlier run waits to be taken back.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::guard::{Guard, GuardState};

/// See its texts.
pub const CHECK: Check = Check {
    id: "revert-pending",
    area: Area::Access,
    severity: Severity::Fail,
    title: "no change of an earlier run waits to be taken back",
    needs: &["/var/lib/infra/guard"],
    why: "What can cut our own path is made under a revert that the host keeps itself, and confirmed only after \
          connecting anew. Whoever made it and could not confirm it (the connection was lost, the process died) leaves \
          it to the host. What is seen until then is not what will be.",
    fix: "Wait: the host takes it back five minutes after it was made, or after a boot, and `infra apply` waits for \
          that. Without quorum nothing below `/etc/pve` can be written, and the host tries until it can. On the \
          console, `sh /var/lib/infra/guard/NAME/revert` does it now.",
    mend: None,
    sources: &["docs/safety.md"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let guards = all(&subject.here().entrance.guards)?;
    let said = |name: &str, state: GuardState| {
        let finding = match state {
            GuardState::Armed => Finding::fail(format!("a change ({name}) is not confirmed, and will be taken back")),
            GuardState::Reverting => Finding::fail(format!("a change ({name}) is being taken back")),
            GuardState::Reverted => Finding::warn(format!("a change ({name}) was not confirmed, and was taken back")),
            GuardState::Confirmed | GuardState::Unfinished => return None,
        };
        let directory = format!("{}/{name}", Guard::HOME);
        let fix = match state {
            GuardState::Reverted => Fix::by_hand("see why with `infra history`, and do it anew"),
            _ => Fix::run(format!("sh {directory}/revert")),
        };
        Some(finding.about(name).seen(format!("ls {directory}"), format!("{state:?}").to_lowercase()).fix(fix))
    };
    let found: Vec<Finding> = guards.iter().filter_map(|(name, state)| said(name, *state)).collect();
    Ok(if found.is_empty() { vec![Finding::pass("none")] } else { found })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::blueprint::testing::good;
    use crate::checks::Verdict;
    use crate::model::entrance::Entrance;
    use crate::model::observed::{Fact, Host, Observed};

    #[test]
    fn revert_pending() {
        let blueprint = good();
        let host = blueprint.hosts.values().next().unwrap();
        let judged = |guards: Fact<BTreeMap<String, GuardState>>| {
            let entrance = Entrance { guards, ..Entrance::default() };
            let there = Host { entrance, ..Host::default() };
            let observed = Observed { hosts: [(host.name.clone(), there)].into(), ..Observed::default() };
            let subject = Subject::new(&blueprint, &observed, host, jiff::Timestamp::UNIX_EPOCH);
            judge(&subject).map(|found| found[0].verdict)
        };
        let one = |state| judged(Fact::complete([("firewall".to_owned(), state)].into()));
        assert_eq!(judged(Fact::complete(BTreeMap::new())), Ok(Verdict::Pass));
        assert_eq!(one(GuardState::Armed), Ok(Verdict::Fail));
        assert_eq!(one(GuardState::Reverting), Ok(Verdict::Fail));
        assert_eq!(one(GuardState::Reverted), Ok(Verdict::Warn));
        assert_eq!(one(GuardState::Confirmed), Ok(Verdict::Pass));
        assert!(matches!(judged(Fact::unavailable("no SSH")), Err(NotRun::Blind(_))));
    }
}
