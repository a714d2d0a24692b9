//! ZFS pools are scrubbed.

use super::amounts::days;
use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::Scan;

/// See its texts.
pub const CHECK: Check = Check {
    id: "pool-scrub",
    area: Area::Storage,
    severity: Severity::Warn,
    title: "ZFS pools were scrubbed within 45 days",
    needs: &["zpool status", "date"],
    why: "A scrub reads everything and mends what does not fit its checksum, as long as a good copy is left. Debian's \
          `zfsutils-linux` scrubs on the second Sunday of a month (`/etc/cron.d/zfsutils-linux`), unless the host is off then. \
          ZFS tells only of the last scan: after a resilver, the last scrub is not told any more.",
    fix: "`zpool scrub POOL`; it runs beside everything else and may be stopped with `zpool scrub -s POOL`.",
    mend: None,
    sources: &["zpool-scrub(8)", "zfsutils-linux cron.d"],
    judge,
};

const LIMIT_DAYS: i64 = 45;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let pools = all(&subject.machine().pools)?;
    if pools.is_empty() {
        return Err(NotRun::skipped("the host has no ZFS pool"));
    }
    // ZFS prints the host's time: it is held against the host's clock
    let now = all(&subject.machine().boot)?.read_at;
    let mut findings = Vec::new();
    for (name, pool) in pools {
        let age = |at: i64| days(now.saturating_sub(at)).max(0);
        let (finding, text) = match &pool.scan {
            Scan::Running => (Finding::pass("a scan runs now"), "in progress".to_owned()),
            Scan::Never => {
                (Finding::warn("it was never scrubbed; on a new pool that is to be expected"), "no scan".to_owned())
            }
            Scan::Other { text } => (Finding::warn("its last scan did not end as a scrub does"), text.clone()),
            Scan::Scrubbed { at, errors: 0 } | Scan::Resilvered { at } if age(*at) <= LIMIT_DAYS => {
                (Finding::pass(format!("checked {} days ago", age(*at))), format!("{} days ago, no errors", age(*at)))
            }
            Scan::Scrubbed { at, errors: 0 } | Scan::Resilvered { at } => {
                (Finding::warn(format!("last checked {} days ago", age(*at))), format!("{} days ago", age(*at)))
            }
            Scan::Scrubbed { errors, .. } => (
                Finding::warn(format!("its last scrub left {errors} errors that it could not repair")),
                format!("with {errors} errors"),
            ),
        };
        let finding = finding.about(name).seen(format!("zpool status {name}"), text);
        findings.push(match finding.verdict {
            super::Verdict::Pass => finding,
            _ => finding.fix(Fix::run(format!("zpool scrub {name}"))),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{NOW, Scene, known};
    use super::*;

    #[test]
    fn old_missing_and_failed_scrubs_warn() {
        let day = 86_400;
        for (scan, verdict) in [
            (Scan::Scrubbed { at: NOW - 45 * day, errors: 0 }, Verdict::Pass),
            (Scan::Scrubbed { at: NOW - 46 * day, errors: 0 }, Verdict::Warn),
            (Scan::Scrubbed { at: NOW, errors: 2 }, Verdict::Warn),
            (Scan::Scrubbed { at: NOW + 9 * day, errors: 0 }, Verdict::Pass),
            (Scan::Resilvered { at: NOW - day }, Verdict::Pass),
            (Scan::Running, Verdict::Pass),
            (Scan::Never, Verdict::Warn),
            (Scan::Other { text: "scrub canceled".into() }, Verdict::Warn),
        ] {
            let mut scene = Scene::sound();
            known(&mut scene.machine().pools).get_mut("rpool").unwrap().scan = scan.clone();
            assert_eq!(scene.verdicts(&CHECK), [verdict], "{scan:?}");
        }
        let mut scene = Scene::sound();
        scene.machine().boot = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
