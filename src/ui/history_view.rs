//! Runs that were, from their journals.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::status_view::table;
use super::text::{duration, one_line, wrap};
use super::{Role, Terminal};
use crate::event::{Outcome, RunOutcome, RunState, StepState};

/// One line per run, in the order given.
#[must_use]
pub fn run_list(runs: &[RunState], zone: &TimeZone, terminal: &Terminal) -> String {
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let id = run.run.as_ref().map(ToString::to_string).unwrap_or_default();
            let cells = vec![
                id,
                run.verb.clone(),
                run.inventory.clone(),
                outcome_word(run.outcome).to_owned(),
                format!("{}/{} steps", run.done(), run.outline.len()),
                length(run.started, run.last),
                moment(run.started, zone),
                run.operator.clone(),
            ];
            (cells, String::new())
        })
        .collect();
    table(&rows, 3, terminal)
}

/// One run with its steps.
#[must_use]
pub fn run_steps(run: &RunState, zone: &TimeZone, terminal: &Terminal) -> String {
    let id = run.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let word = outcome_word(run.outcome);
    let head = format!(
        "{}  {} of {} by {}, {} {} {} after {}",
        terminal.paint(Role::Strong, id),
        run.verb,
        run.inventory,
        run.operator,
        moment(run.started, zone),
        terminal.dot(),
        word,
        length(run.started, run.last),
    );
    let mut out = wrap(&head, terminal.width, 2);
    out.push('\n');
    for outline in &run.outline {
        let (role, end) = match run.steps.get(&outline.id) {
            None => (Role::Faint, "not begun".to_owned()),
            Some(step) => step_end(step),
        };
        let line = format!(
            "{}  {}  {} {} {}",
            outline.host,
            outline.addr,
            outline.title,
            terminal.ellipsis(),
            terminal.paint(role, end)
        );
        out.push_str(&wrap(&line, terminal.width, 4));
        if let Some(Some(Outcome::Failed { why, hint })) = run.steps.get(&outline.id).map(|s| &s.outcome) {
            for line in why.lines() {
                out.push_str(&wrap(&format!("    {}", one_line(line)), terminal.width, 4));
            }
            if let Some(hint) = hint {
                let hint = format!("    {} {}", terminal.paint(Role::Hint, "hint:"), one_line(hint));
                out.push_str(&wrap(&hint, terminal.width, 4));
            }
        }
    }
    out
}

fn step_end(step: &StepState) -> (Role, String) {
    let time = length(Some(step.started), step.finished);
    let (role, end) = match &step.outcome {
        None => (Role::Caution, "begun, and its end is not known".to_owned()),
        Some(Outcome::Done) => (Role::Good, format!("done ({time})")),
        Some(Outcome::Warning { message }) => {
            (Role::Caution, format!("done ({time}), with a warning: {}", one_line(message)))
        }
        Some(Outcome::Skipped { why }) => (Role::Faint, format!("skipped: {}", one_line(why))),
        Some(Outcome::Failed { .. }) => (Role::Bad, format!("failed ({time})")),
    };
    match &step.undo {
        None => (role, end),
        Some(None) => (Role::Bad, format!("{end}, and its undo did not end")),
        Some(Some(Outcome::Failed { why, .. })) => {
            (Role::Bad, format!("{end}, and could not be taken back: {}", one_line(why)))
        }
        Some(Some(Outcome::Skipped { why })) => (role, format!("{end}, left as it is: {}", one_line(why))),
        Some(Some(_)) => (Role::Faint, format!("{end}, taken back")),
    }
}

/// The one word for how a run ended.
#[must_use]
pub(super) fn outcome_word(outcome: Option<RunOutcome>) -> &'static str {
    match outcome {
        Some(RunOutcome::Converged) => "converged",
        Some(RunOutcome::Unconverged) => "unconverged",
        Some(RunOutcome::Failed) => "failed",
        Some(RunOutcome::RolledBack) => "rolled-back",
        Some(RunOutcome::Stuck) => "stuck",
        Some(RunOutcome::Interrupted) => "interrupted",
        // It still runs, or was killed: only its lease can tell.
        None => "unfinished",
    }
}

fn length(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => duration(to.duration_since(from).try_into().unwrap_or_default()),
        _ => "?".to_owned(),
    }
}

/// A moment on the clock of the person.
#[must_use]
pub fn moment(at: Option<Timestamp>, zone: &TimeZone) -> String {
    at.map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;
    use crate::event::fold;

    #[test]
    fn each_run_is_one_line() {
        let killed = fold(&sample::events()[..5]);
        let runs = [fold(&sample::events()), killed];
        assert_snapshot!(run_list(&runs, &TimeZone::UTC, &Terminal::plain().with_width(120)), @r"
        20261121T114500Z-haaa  apply  vrooli  failed      1/3 steps  4.0 s  2026-11-21 11:45:00 UTC  ada@laptop
        20261121T114500Z-haaa  apply  vrooli  unfinished  0/3 steps  0.5 s  2026-11-21 11:45:00 UTC  ada@laptop
        ");
    }

    #[test]
    fn a_run_shows_each_step_and_why_it_failed() {
        assert_snapshot!(run_steps(&fold(&sample::events()), &TimeZone::UTC, &Terminal::plain()), @r"
        20261121T114500Z-haaa  apply of vrooli by ada@laptop, 2026-11-21 11:45:00 UTC ·
          failed after 4.0 s

        hq  ct.proj-x  create container 104 … done (3.2 s)
        hq  vm.plan-hq  set memory of VM 100 … failed (3.5 s)
            no such PCI device
            kvm: exit 1
            hint: see whether the GPU is still in its slot
        hq  guest_firewall.proj-y  write rules of proj-y … not begun
        ");
    }

    #[test]
    fn a_killed_run_says_what_is_not_known() {
        assert_snapshot!(run_steps(&fold(&sample::events()[..5]), &TimeZone::UTC, &Terminal::plain()), @r"
        20261121T114500Z-haaa  apply of vrooli by ada@laptop, 2026-11-21 11:45:00 UTC ·
          unfinished after 0.5 s

        hq  ct.proj-x  create container 104 … begun, and its end is not known
        hq  vm.plan-hq  set memory of VM 100 … begun, and its end is not known
        hq  guest_firewall.proj-y  write rules of proj-y … not begun
        ");
    }
}
