//! The host's clock and ours agree.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "clock-skew",
    area: Area::Access,
    severity: Severity::Warn,
    title: "the host's clock and ours agree within 5 seconds",
    needs: &["date -u +%s.%N"],
    why: "Certificates and second factors hold for a time, and logs are read side by side. Between nodes of a cluster PVE \
          takes tickets from at most 5 minutes ahead, those of consoles from 20 seconds ahead and 40 seconds back: beyond \
          that logging in to one node and working on another ends with 401. An API token, which `infra` uses, is not bound to \
          the time. The check knows how long the question was on its way, and speaks only of what that cannot \
          explain; whose clock is wrong it cannot know.",
    fix: "Look at `chronyc tracking` on the host and at the clock of this machine. `chronyc makestep` sets the host's clock at once.",
    mend: None,
    sources: &["pve-access-control PVE/AccessControl.pm"],
    judge,
};

/// Milliseconds that nobody minds.
const TOLERANCE_MS: i64 = 5_000;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let off = all(&subject.machine().clock)?.surely_off_ms();
    if off.abs() <= TOLERANCE_MS {
        return Ok(vec![Finding::pass("both clocks agree").seen("date -u", "within 5 s of ours")]);
    }
    let (seconds, way) = (off.unsigned_abs() / 1000, if off > 0 { "ahead of" } else { "behind" });
    Ok(vec![
        Finding::warn(format!("the host's clock is at least {seconds} s {way} ours"))
            .seen("date -u", format!("{seconds} s {way} ours, the way there and back taken off"))
            .fix(Fix::run("chronyc tracking"))
            .fix(Fix::by_hand("see that the clock of this machine is right")),
    ])
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
        let of = |least, most| {
            let mut scene = Scene::new();
            let clock = HostClock { ahead_at_least_ms: least, ahead_at_most_ms: most, kept: None, synchronized: None };
            scene.machine().clock = Fact::complete(clock);
            scene.verdicts(&CHECK)
        };
        assert_eq!(of(-9_000, 20), [Verdict::Pass]);
        assert_eq!(of(4_000, 7_000), [Verdict::Pass]);
        assert_eq!(of(6_000, 7_000), [Verdict::Warn]);
        assert_eq!(of(-9_000, -6_000), [Verdict::Warn]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
