//! A run as it goes: a fold of its events, drawn over on a terminal, else as lines.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::text::{columns, cut, duration, one_line, plural};
use super::{Role, Terminal, Writer};
use crate::event::{Event, Outcome, RunState, StepOutline, StepState, What};
use crate::model::step::StepId;

/// How long a step may be silent before a stream of lines says that it still runs.
const SILENCE: Duration = Duration::from_secs(15);

/// Shows a run while it goes. Driven by events alone: it has no clock of its own but the spinner's.
#[derive(Debug)]
pub struct Progress {
    state: RunState,
    terminal: Terminal,
    live: Option<Live>,
    /// When something was last said about a step.
    said: BTreeMap<StepId, Timestamp>,
}

/// What is drawn over.
#[derive(Debug)]
struct Live {
    all: MultiProgress,
    total: ProgressBar,
    steps: BTreeMap<StepId, ProgressBar>,
}

impl Progress {
    /// On stderr: drawn over where a person watches, lines elsewhere or when `lines` asks for them.
    #[must_use]
    pub fn new(terminal: Terminal, lines: bool) -> Self {
        let live = (terminal.live && !lines).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let total = all.add(ProgressBar::new(0));
            let bar = if terminal.unicode { "━╸─" } else { "=>-" };
            let style =
                ProgressStyle::with_template("{bar:24} {pos}/{len} steps  {elapsed}").map(|s| s.progress_chars(bar));
            total.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            total.enable_steady_tick(Duration::from_millis(200));
            Live { all, total, steps: BTreeMap::new() }
        });
        Self { state: RunState::default(), terminal, live, said: BTreeMap::new() }
    }

    /// Takes in what happened and shows it.
    pub fn on(&mut self, event: &Event, writer: &mut Writer) {
        self.state.apply(event);
        if let Some(text) = self.lines(event) {
            self.print(&text, writer);
        }
        self.draw();
    }

    /// Says something beside the run without tearing what is drawn.
    pub fn print(&self, text: &str, writer: &mut Writer) {
        match &self.live {
            Some(live) => live.all.suspend(|| writer.tell(text)),
            None => writer.tell(text),
        }
    }

    /// What is known of the run so far.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Takes away what was drawn.
    pub fn clear(&mut self) {
        if let Some(live) = self.live.take() {
            // Nothing can be done about a terminal that went away.
            let _ = live.all.clear();
        }
    }

    /// What an event adds to the stream of lines; each ends with a line break.
    fn lines(&mut self, event: &Event) -> Option<String> {
        match &event.what {
            What::RunStarted { run, steps, .. } => {
                Some(format!("run {run}: {}\n", plural(steps.len(), "step", "steps")))
            }
            What::StepStarted { step } | What::UndoStarted { step } => {
                self.said.insert(step.clone(), event.at);
                None
            }
            What::TaskLog { step, .. } | What::Waiting { step, .. } => {
                let said = self.said.get_mut(step)?;
                if self.live.is_some() || elapsed(*said, event.at) < SILENCE {
                    return None;
                }
                *said = event.at;
                let (outline, state) = found(&self.state, step)?;
                let note = state.note.as_deref().map(|note| format!(": {}", one_line(note))).unwrap_or_default();
                let time = duration(elapsed(state.started, event.at));
                Some(self.line(outline, Role::Faint, &format!("still running ({time}){note}")))
            }
            What::StepFinished { step, outcome } => {
                // Blocked steps end without having begun.
                let outline = self.state.outline.iter().find(|o| o.id == *step)?;
                let started = self.state.steps.get(step).map_or(event.at, |s| s.started);
                let time = duration(elapsed(started, event.at));
                Some(self.outcome(outline, outcome, "done", &format!(" ({time})")))
            }
            What::UndoFinished { step, outcome } => {
                let outline = self.state.outline.iter().find(|o| o.id == *step)?;
                Some(self.outcome(outline, outcome, "taken back", ""))
            }
            What::Note { message } => Some(format!("{}\n", one_line(message))),
            What::OpStarted { .. } | What::OpFinished { .. } | What::TaskStarted { .. } | What::RunFinished { .. } => {
                None
            }
        }
    }

    fn outcome(&self, outline: &StepOutline, outcome: &Outcome, done: &str, time: &str) -> String {
        match outcome {
            Outcome::Done => self.line(outline, Role::Good, &format!("{done}{time}")),
            Outcome::Warning { message } => {
                self.line(outline, Role::Caution, &format!("{done}{time}, with a warning: {}", one_line(message)))
            }
            Outcome::Skipped { why } => self.line(outline, Role::Faint, &format!("skipped: {}", one_line(why))),
            Outcome::Failed { why, hint } => {
                let mut out = self.line(outline, Role::Bad, &format!("failed{time}"));
                for line in why.lines() {
                    out.push_str(&format!("    {}\n", one_line(line)));
                }
                if let Some(hint) = hint {
                    out.push_str(&format!("    {} {}\n", self.terminal.paint(Role::Hint, "hint:"), one_line(hint)));
                }
                out
            }
        }
    }

    /// `hq  ct.proj-x  create container 104 … done (3.2 s)`.
    fn line(&self, outline: &StepOutline, role: Role, end: &str) -> String {
        format!(
            "{}  {}  {} {} {}\n",
            outline.host,
            outline.addr,
            outline.title,
            self.terminal.ellipsis(),
            self.terminal.paint(role, end)
        )
    }

    fn draw(&mut self) {
        let Some(live) = &mut self.live else { return };
        live.total.set_length(self.state.outline.len() as u64);
        live.total.set_position(self.state.done() as u64);
        let running: BTreeMap<&StepId, (&StepOutline, &StepState)> =
            self.state.running().map(|(outline, state)| (&outline.id, (outline, state))).collect();
        live.steps.retain(|id, bar| {
            let runs = running.contains_key(id);
            if !runs {
                bar.finish_and_clear();
                live.all.remove(bar);
            }
            runs
        });
        for (id, (outline, state)) in running {
            let bar = live.steps.entry(id.clone()).or_insert_with(|| {
                let bar = live.all.insert_before(&live.total, ProgressBar::new_spinner());
                let spinner = if self.terminal.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " };
                let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").map(|s| s.tick_chars(spinner));
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            });
            bar.set_message(running_text(outline, state, &self.terminal));
        }
    }
}

fn found<'a>(state: &'a RunState, step: &StepId) -> Option<(&'a StepOutline, &'a StepState)> {
    Some((state.outline.iter().find(|o| o.id == *step)?, state.steps.get(step)?))
}

/// What is shown of a step that runs: what it does and the last thing that the host said, on one line
/// that leaves room for spinner and clock.
fn running_text(outline: &StepOutline, state: &StepState, terminal: &Terminal) -> String {
    let room = terminal.width.saturating_sub(12);
    let what = cut(&format!("{}  {}  {}", outline.host, outline.addr, outline.title), room, terminal.ellipsis());
    let left = room.saturating_sub(columns(&what) + 2);
    match &state.note {
        Some(note) if left >= 10 => {
            format!("{what}  {}", terminal.paint(Role::Faint, cut(&one_line(note), left, terminal.ellipsis())))
        }
        _ => what,
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;
    use crate::event::fold;

    fn lines(events: &[Event]) -> String {
        let mut progress = Progress::new(Terminal::plain(), false);
        let mut out = String::new();
        for event in events {
            progress.state.apply(event);
            out.extend(progress.lines(event));
        }
        out
    }

    #[test]
    fn without_a_terminal_each_step_is_one_line_when_it_ends() {
        assert_snapshot!(lines(&sample::events()), @r"
        run 20261121T114500Z-haaa: 3 steps
        hq  ct.proj-x  create container 104 … done (3.2 s)
        hq  vm.plan-hq  set memory of VM 100 … failed (3.5 s)
            no such PCI device
            kvm: exit 1
            hint: see whether the GPU is still in its slot
        ");
    }

    #[test]
    fn a_silent_step_says_now_and_then_that_it_still_runs() {
        let mut events = sample::events();
        let step = events[1].what.clone();
        let What::StepStarted { step } = step else { panic!("the sample starts a step second") };
        events.truncate(2);
        for second in [1.0, 14.0, 16.0, 20.0, 40.0] {
            let why = format!("for the guest agent, {second}");
            events.push(Event { at: sample::at(second), what: What::Waiting { step: step.clone(), why } });
        }
        assert_snapshot!(lines(&events), @r"
        run 20261121T114500Z-haaa: 3 steps
        hq  ct.proj-x  create container 104 … still running (16.0 s): for the guest agent, 16
        hq  ct.proj-x  create container 104 … still running (40.0 s): for the guest agent, 40
        ");
    }

    #[test]
    fn a_running_step_shows_the_last_word_of_the_host_if_there_is_room() {
        let state = fold(&sample::events()[..6]);
        let shown = |width: usize| -> Vec<String> {
            let terminal = Terminal::plain().with_width(width);
            state.running().map(|(outline, step)| running_text(outline, step, &terminal)).collect()
        };
        assert_eq!(
            shown(80),
            ["hq  ct.proj-x  create container 104  extracting archive", "hq  vm.plan-hq  set memory of VM 100"]
        );
        assert_eq!(shown(40), ["hq  ct.proj-x  create conta…", "hq  vm.plan-hq  set memory…"]);
    }
}
