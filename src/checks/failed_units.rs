//! No unit of the host failed.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "failed-units",
    area: Area::System,
    severity: Severity::Warn,
    title: "no unit of systemd failed",
    needs: &["systemctl --failed"],
    why: "What failed at boot stays failed: `systemd-modules-load` when a module could not be inserted, `zfs-import-scan` \
          when a pool is missing, `pve-firewall` when its rules do not load, `networking` when an interface got another name. \
          A unit that is not listed did not fail; that does not say that it did what was wanted: a module's name that does \
          not exist fails nothing.",
    fix: "`systemctl status UNIT` and `journalctl -b -u UNIT` tell why; `systemctl reset-failed UNIT` once it is mended.",
    mend: None,
    sources: &["systemctl(1)", "observed on Debian 13"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let failed = all(&subject.machine().failed_units)?;
    if failed.units.is_empty() {
        return Ok(vec![Finding::pass("none failed").seen("systemctl --failed", "(empty)")]);
    }
    let finding = |(unit, description): (&String, &String)| {
        Finding::warn(if description.is_empty() { "it failed".to_owned() } else { format!("it failed: {description}") })
            .about(unit)
            .seen("systemctl --failed", unit)
            .fix(Fix::run(format!("journalctl -b -u {unit}")))
    };
    Ok(failed.units.iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn each_unit_that_failed_is_named() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let units = &mut known(&mut scene.machine().failed_units).units;
        units.insert("systemd-modules-load.service".into(), "Load Kernel Modules".into());
        units.insert("a.mount".into(), String::new());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        scene.machine().failed_units = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
