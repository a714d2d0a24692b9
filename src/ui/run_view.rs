//! How a run ended, in a sentence.

use super::plan_view::{Detail, plan_text};
use super::text::{duration, plural, wrap};
use super::{Role, Terminal};
use crate::event::{RunOutcome, RunState};
use crate::plan::Plan;

/// Says how a run ended and what to do next.
///
/// `left` is what a last look still found to be done or could not see, and how many hosts it looked at.
#[must_use]
pub fn run_end(state: &RunState, left: Option<(&Plan, usize)>, terminal: &Terminal) -> String {
    let done = format!("{} of {} done", state.done(), plural(state.outline.len(), "step", "steps"));
    let time = match (state.started, state.last) {
        (Some(from), Some(to)) => duration(to.duration_since(from).try_into().unwrap_or_default()),
        _ => "no time".to_owned(),
    };
    let destroy = state.verb == "destroy";
    let (role, word, rest) = match state.outcome {
        Some(RunOutcome::Converged) if destroy => (Role::Good, "Removed:", "nothing of it is left."),
        Some(RunOutcome::Converged) if state.verb == "rollback" => {
            (Role::Good, "Taken back:", "a last look found every file as it was before that run.")
        }
        Some(RunOutcome::Converged) => (Role::Good, "Applied:", "a last look found everything as the inventory says."),
        Some(RunOutcome::Unconverged) => match left {
            Some((left, _)) if !left.is_empty() => {
                (Role::Bad, "Not as it should be:", "a last look still found something to do.")
            }
            Some(_) => (Role::Bad, "Not proven:", "a last look could not see all of it again."),
            None => (Role::Bad, "Not proven:", "everything was done, but a last look was not possible."),
        },
        Some(RunOutcome::Failed) => (Role::Bad, "Failed:", "what was done stands. Mend the cause and run it again."),
        Some(RunOutcome::RolledBack) => (Role::Bad, "Failed and rolled back:", "what was done was taken back."),
        Some(RunOutcome::Stuck) => {
            (Role::Bad, "Failed, and not all could be taken back:", "what is left to do by hand is below.")
        }
        Some(RunOutcome::Interrupted) if state.done() == state.outline.len() => {
            (Role::Caution, "Interrupted:", "everything was done, not proven. `infra plan` looks again.")
        }
        Some(RunOutcome::Interrupted) => {
            (Role::Caution, "Interrupted:", "what was done stands. Run it again to go on.")
        }
        None => (Role::Caution, "Unfinished:", "how it ended is not known."),
    };
    let line = format!("{} {done} in {time}; {rest}", terminal.paint(role, word));
    let mut out = wrap(&line, terminal.width, 2);
    if let Some((left, hosts)) = left {
        out.push('\n');
        out.push_str(&plan_text(left, hosts, Detail::Usual, terminal));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::event::{Event, What, fold};

    fn end(outcome: RunOutcome) -> String {
        let mut events = sample::events();
        events.pop();
        events.push(Event { at: sample::at(4.0), what: What::RunFinished { outcome } });
        run_end(&fold(&events), None, &Terminal::plain().with_width(120))
    }

    #[test]
    fn each_end_says_what_stands() {
        assert_eq!(
            end(RunOutcome::Converged),
            "Applied: 1 of 3 steps done in 4.0 s; a last look found everything as the inventory says.\n"
        );
        assert_eq!(
            end(RunOutcome::Failed),
            "Failed: 1 of 3 steps done in 4.0 s; what was done stands. Mend the cause and run it again.\n"
        );
        assert!(end(RunOutcome::RolledBack).contains("was taken back"));
        assert!(end(RunOutcome::Interrupted).contains("Run it again to go on"));
    }

    /// A run whose every step is done, with this end.
    fn all_done(outcome: RunOutcome, left: Option<&Plan>) -> String {
        let mut state = fold(&sample::events());
        state.outline.retain(|outline| outline.addr.to_string() == "ct.proj-x");
        state.outcome = Some(outcome);
        run_end(&state, left.map(|left| (left, 1)), &Terminal::plain().with_width(120))
    }

    #[test]
    fn a_last_look_that_did_not_happen_proves_nothing() {
        let interrupted = all_done(RunOutcome::Interrupted, None);
        assert_eq!(
            interrupted,
            "Interrupted: 1 of 1 step done in 4.0 s; everything was done, not proven. `infra plan` looks again.\n"
        );
        assert!(all_done(RunOutcome::Unconverged, None).contains("but a last look was not possible"));
        let mut unseen = sample::plan();
        unseen.changes.clear();
        let unseen = all_done(RunOutcome::Unconverged, Some(&unseen));
        assert!(unseen.starts_with("Not proven: 1 of 1 step done in 4.0 s; a last look could not see all"), "{unseen}");
        assert!(unseen.contains("node pve2 does not answer"), "{unseen}");
    }
}
