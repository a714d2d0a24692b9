//! The last run came to an end.

use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::event::{Outcome, RunOutcome};

/// See its texts.
pub const CHECK: Check = Check {
    id: "unfinished-run",
    area: Area::Access,
    severity: Severity::Warn,
    title: "the last run of this inventory came to an end",
    needs: &["the journal of the last run"],
    why: "A run that was killed, failed or was stopped leaves what it had done. Nothing is lost: the next plan starts from what is \
          there, and what was begun is written down. But guests may be half-made, and a step that could not be taken back left \
          commands for hands. Only runs from this machine are known; one from another machine, or one that is going on now, shows in \
          its lease on the host.",
    fix: "`infra history` shows the run, step by step; `infra plan` what is left; `infra apply` goes on.",
    mend: None,
    sources: &["docs/safety.md rule 4"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let Some(run) = subject.last_run else {
        return Err(NotRun::skipped("there was no run of this inventory from this machine"));
    };
    let id = run.run.as_ref().map_or("without an id", |id| id.0.as_str());
    let mut open: Vec<String> = run.running().map(|(outline, _)| outline.id.to_string()).collect();
    open.extend(
        run.steps
            .iter()
            .filter(|(_, step)| matches!(step.outcome, Some(Outcome::Failed { .. })))
            .map(|(id, _)| id.to_string()),
    );
    let source = format!("run {id}");
    let steps =
        if open.is_empty() { format!("{} steps done", run.done()) } else { format!("not done: {}", open.join(", ")) };
    let warn = |summary: &str| Finding::warn(summary).seen(source.clone(), steps.clone());
    let finding = match run.outcome {
        Some(RunOutcome::Converged | RunOutcome::RolledBack) => Finding::pass("it came to its end").seen(source, steps),
        None => warn("it was cut off, or goes on right now")
            .fix(Fix::by_hand("`infra history` shows it; `infra apply` goes on")),
        Some(RunOutcome::Failed | RunOutcome::Interrupted) => warn("it did not come to its end")
            .fix(Fix::by_hand("`infra plan` shows what is left; `infra apply` goes on")),
        Some(RunOutcome::Unconverged) => {
            warn("it was carried out, and something differs all the same").fix(Fix::by_hand("`infra plan` shows what"))
        }
        Some(RunOutcome::Stuck) => warn("it failed, and not everything could be taken back")
            .fix(Fix::by_hand("`infra history` shows the commands that are left to do")),
    };
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::event::RunState;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |outcome| {
            let mut scene = Scene::new();
            scene.last_run = Some(RunState { outcome, ..RunState::default() });
            scene.verdicts(&CHECK)
        };
        assert_eq!(of(Some(RunOutcome::Converged)), [Verdict::Pass]);
        assert_eq!(of(Some(RunOutcome::RolledBack)), [Verdict::Pass]);
        for bad in [None, Some(RunOutcome::Failed), Some(RunOutcome::Interrupted), Some(RunOutcome::Stuck)] {
            assert_eq!(of(bad), [Verdict::Warn], "{bad:?}");
        }
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::Skipped]);
    }
}
