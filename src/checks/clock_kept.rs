//! Something keeps the host's clock right.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "clock-kept",
    area: Area::Access,
    severity: Severity::Warn,
    title: "something keeps the host's clock right",
    needs: &["timedatectl show"],
    why: "Proxmox VE installs `chrony`; where it was removed, or reaches no server, the clock drifts by seconds a day until \
          certificates, tickets between nodes and second factors fail. `NTP=no` means that no time service is switched on, \
          `NTPSynchronized=no` that the kernel has not been told that its time is right, as in the first minutes \
          after a boot.",
    fix: "`apt install chrony`, or `systemctl enable --now chrony`; `chronyc sources` shows which servers answer.",
    mend: None,
    sources: &["pve-docs system-timesync.adoc", "timedatectl(1)"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let clock = all(&subject.machine().clock)?;
    let word = |flag| if flag { "yes" } else { "no" };
    let finding = match (clock.kept, clock.synchronized) {
        (_, Some(true)) => {
            Finding::pass("the kernel takes its time for right").seen("timedatectl show", "NTPSynchronized=yes")
        }
        (Some(kept), Some(false)) => {
            let summary =
                if kept { "a time service runs and has not set the clock" } else { "no time service is switched on" };
            Finding::warn(summary)
                .seen("timedatectl show", format!("NTP={} NTPSynchronized=no", word(kept)))
                .fix(if kept { Fix::run("chronyc sources") } else { Fix::run("systemctl enable --now chrony") })
        }
        _ => return Err(NotRun::blind("`timedatectl` does not say whether the clock is right")),
    };
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::machine::HostClock;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |kept, synchronized| {
            let mut scene = Scene::new();
            scene.machine().clock = Fact::complete(HostClock { kept, synchronized, ..HostClock::default() });
            scene.verdicts(&CHECK)
        };
        assert_eq!(of(Some(true), Some(true)), [Verdict::Pass]);
        assert_eq!(of(Some(true), Some(false)), [Verdict::Warn]);
        assert_eq!(of(Some(false), Some(false)), [Verdict::Warn]);
        assert_eq!(of(None, None), [Verdict::CouldNotRun]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
