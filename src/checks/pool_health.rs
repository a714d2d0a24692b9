//! ZFS pools are healthy.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "pool-health",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "ZFS pools are healthy",
    needs: &["zpool list", "zpool status"],
    why: "A degraded pool works without its redundancy: the next disk that fails takes the data with it. A suspended, faulted \
          or unavailable pool takes no writes; what touches it hangs. Counted errors of a device that is still online are the \
          first sign of a bad disk, cable or memory. Data errors name files whose content is lost.",
    fix: "`zpool status -v` names devices and files. Replace a disk with `zpool replace POOL OLD NEW`; after a cable was mended, \
          `zpool clear POOL` and `zpool scrub POOL`.",
    mend: None,
    sources: &["zpool-status(8)", "pve-docs local-zfs.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let pools = all(&subject.machine().pools)?;
    if pools.is_empty() {
        return Err(NotRun::skipped("the host has no ZFS pool"));
    }
    let finding = |(name, pool): (&String, &crate::model::machine::Pool)| {
        let mut finding = match pool.health.as_str() {
            "ONLINE" if pool.errors.is_some() => Finding::warn("data is damaged"),
            "ONLINE" if !pool.bad_devices.is_empty() => Finding::warn("a device has counted errors"),
            "ONLINE" => Finding::pass("online, no errors"),
            "DEGRADED" => Finding::warn("degraded: it works without its redundancy"),
            other => Finding::fail(format!("{}: it takes no writes", other.to_lowercase())),
        }
        .about(name)
        .seen(format!("zpool list {name}"), &pool.health);
        for text in pool.errors.iter().chain(&pool.bad_devices).chain(&pool.status).take(5) {
            finding = finding.seen(format!("zpool status {name}"), text);
        }
        match finding.verdict {
            super::Verdict::Pass => finding,
            _ => finding.fix(Fix::run(format!("zpool status -v {name}"))),
        }
    };
    Ok(pools.iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn a_pool_without_redundancy_warns_and_one_that_takes_no_writes_fails() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().pools).get_mut("rpool").unwrap().bad_devices = vec!["sda ONLINE 0 0 12".into()];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        for (health, verdict) in [("DEGRADED", Verdict::Warn), ("SUSPENDED", Verdict::Fail), ("FAULTED", Verdict::Fail)]
        {
            known(&mut scene.machine().pools).get_mut("rpool").unwrap().health = health.into();
            assert_eq!(scene.verdicts(&CHECK), [verdict]);
        }
        let mut scene = Scene::sound();
        known(&mut scene.machine().pools).get_mut("rpool").unwrap().errors = Some("3 data errors".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn no_pool_is_skipped_and_an_unknown_one_not_judged() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().pools).clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.machine().pools = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
