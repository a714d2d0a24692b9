//! No package is half installed.

use super::check::some;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "packages-unfinished",
    area: Area::System,
    severity: Severity::Warn,
    title: "no package of Proxmox VE is half installed",
    needs: &["dpkg-query"],
    why: "An upgrade that was interrupted, or that ran out of space, leaves packages unpacked and not configured: a kernel \
          without its initial RAM disk, a ZFS whose tools do not fit its module. Everything `apt` is to do afterwards fails \
          until that is mended.",
    fix: "`dpkg --configure -a`, then `apt -f install`.",
    mend: None,
    sources: &["dpkg(1)"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let packages = some(&subject.machine().packages)?;
    if packages.broken.is_empty() {
        let count = packages.installed.len();
        return Ok(vec![Finding::pass("none").seen("dpkg-query -W", format!("{count} packages were looked at"))]);
    }
    let list = packages.broken.iter().map(|(name, state)| format!("{name}: {state}"));
    let finding = Finding::warn(format!("{} packages are half installed", packages.broken.len()));
    Ok(vec![
        list.fold(finding, |finding, text| finding.seen("dpkg-query -W", text))
            .fix(Fix::run("dpkg --configure -a && apt -f install")),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn a_package_that_is_not_configured_is_named() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().packages).broken.insert("zfsutils-linux".into(), "half-configured".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("zfsutils-linux: half-configured"));
        scene.machine().packages = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
