//! What a rehearsal found, as a person reads it and as JSON.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{columns, duration, one_line, pad, plural, wrap};
use super::{Role, Terminal};
use crate::event::{Outcome, StepOutline};
use crate::rehearsal::{Pass, Report, Verdict};

/// From here on steps stand in columns.
const WIDE: usize = 72;

/// Shows a rehearsal.
#[must_use]
pub fn rehearsal_text(report: &Report, terminal: &Terminal) -> String {
    let mut out = wrap(
        &format!("{} on a twin of what was read; no host was touched.", terminal.paint(Role::Strong, "Rehearsed")),
        terminal.width,
        2,
    );
    out.push('\n');
    let addr_width = report.quick.state.outline.iter().map(|step| columns(step.id.0.as_str())).max().unwrap_or(0);
    let id_width = if terminal.width >= WIDE { addr_width.min(terminal.width / 2) } else { 0 };
    for outline in &report.quick.state.outline {
        out.push_str(&step_text(report, outline, id_width, terminal));
    }
    out.push('\n');
    out.push_str(&wrap(&sentence(report, terminal), terminal.width, 2));
    let mut section = |title: &str, role: Role, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push('\n');
            out.push_str(&wrap(&terminal.paint(role, title), terminal.width, 2));
            for line in lines {
                out.push_str(&wrap(&format!("  {line}"), terminal.width, 4));
            }
        }
    };
    let quick = &report.quick;
    section("A second plan was refused:", Role::Bad, quick.refused.iter().map(|line| one_line(line)).collect());
    section("A second plan still found:", Role::Bad, left(quick));
    section("Would be done otherwise in the twin than on the host:", Role::Bad, lines(&quick.strange));
    let late: Vec<String> =
        only_when_slow(report).map(|(step, why)| format!("{}  {}", step.id, one_line(why))).collect();
    section("Fails if the hosts are as slow as assumed below:", Role::Caution, late);
    section(&time(report), Role::Strong, assumptions(report));
    let missing = report.untwinned.iter().map(|one| format!("{}: {}", one_line(&one.what), one_line(&one.why)));
    section("Not rehearsed:", Role::Caution, missing.collect());
    section("Not the same in the twin:", Role::Caution, lines(&report.unlike));
    out
}

fn lines(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| one_line(text)).collect()
}

/// `ok  2.1 s to 6.3 s  vm.plan-hq/create`, and what the host said.
fn step_text(report: &Report, outline: &StepOutline, id_width: usize, terminal: &Terminal) -> String {
    let quick = &report.quick;
    let outcome = quick.state.steps.get(&outline.id).and_then(|step| step.outcome.as_ref());
    let (role, word, said) = match outcome {
        Some(Outcome::Done) => (Role::Good, "ok", None),
        Some(Outcome::Warning { message }) => (Role::Caution, "warning", Some(message.as_str())),
        Some(Outcome::Failed { why, .. }) => (Role::Bad, "failed", Some(why.as_str())),
        Some(Outcome::Skipped { why }) => (Role::Faint, "not run", Some(why.as_str())),
        None => (Role::Faint, "not run", None),
    };
    let took = match (step_took(quick, outline), step_took(&report.slow, outline)) {
        (Some(least), Some(most)) if matches!(outcome, Some(Outcome::Done | Outcome::Warning { .. })) => {
            format!("  {}", terminal.paint(Role::Faint, range(least, most)))
        }
        _ => String::new(),
    };
    let id = pad(&outline.id.0, if took.is_empty() { 0 } else { id_width });
    let line = format!("  {}  {id}{took}", terminal.paint(role, pad(word, 7)));
    let mut out = wrap(&line, terminal.width, 4);
    for line in said.into_iter().flat_map(str::lines) {
        out.push_str(&wrap(&format!("      {}", one_line(line)), terminal.width, 6));
    }
    out
}

fn step_took(pass: &Pass, outline: &StepOutline) -> Option<Duration> {
    let step = pass.state.steps.get(&outline.id)?;
    step.finished?.duration_since(step.started).try_into().ok()
}

fn range(least: Duration, most: Duration) -> String {
    let (least, most) = (duration(least), duration(most));
    if least == most { least } else { format!("{least} to {most}") }
}

fn sentence(report: &Report, terminal: &Terminal) -> String {
    let quick = &report.quick;
    let of = plural(quick.state.outline.len(), "step", "steps");
    let (role, word, rest) = match report.verdict() {
        Verdict::Clean => {
            (Role::Good, "Clean:", format!("{} of {of} done, and a second plan is empty.", quick.state.done()))
        }
        Verdict::Failed => {
            let skipped = match quick.skipped().count() {
                0 => String::new(),
                1 => ", and 1 step that hangs on it is not run".to_owned(),
                more => format!(", and {more} steps that hang on it are not run"),
            };
            (Role::Bad, "Would fail:", format!("{} of {of}{skipped}.", quick.failures().count()))
        }
        Verdict::Unconverged => (
            Role::Bad,
            "Would not be as it should:",
            format!("{} of {of} done, and a second plan is not empty.", quick.state.done()),
        ),
        Verdict::Unlike => (
            Role::Bad,
            "Proves nothing:",
            format!("{} of {of} done, but the twin is not like the host in what would be changed.", quick.state.done()),
        ),
    };
    format!("{} {rest}", terminal.paint(role, word))
}

fn left(pass: &Pass) -> Vec<String> {
    let Some(left) = &pass.left else { return Vec::new() };
    let changes = left.changes.iter().map(|change| {
        let fields: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
        format!("{}  {} ({})", change.addr, one_line(&change.reason), fields.join(", "))
    });
    let gaps = left.gaps.iter().map(|gap| format!("{}  {}", gap.addr, one_line(&gap.why)));
    changes.chain(gaps).collect()
}

/// Steps that fail only on hosts that are slow: something there runs out of time.
fn only_when_slow(report: &Report) -> impl Iterator<Item = (&StepOutline, &str)> {
    let quick: Vec<_> = report.quick.failures().map(|(step, _)| step.id.clone()).collect();
    report.slow.failures().filter(move |(step, _)| !quick.contains(&step.id))
}

fn time(report: &Report) -> String {
    let quick = &report.quick;
    let what = if report.verdict() == Verdict::Clean { "Takes" } else { "Up to there it takes" };
    format!(
        "{what} {} with {} and {} over SSH; assumed is:",
        range(quick.took, report.slow.took),
        plural(usize::try_from(quick.calls).unwrap_or(usize::MAX), "API call", "API calls"),
        plural(usize::try_from(quick.commands).unwrap_or(usize::MAX), "command", "commands"),
    )
}

/// What the times rest on.
fn assumptions(report: &Report) -> Vec<String> {
    let (quick, slow) = (&report.quick.tempo, &report.slow.tempo);
    let ms = |time: Duration| format!("{} ms", time.as_secs_f64() * 1000.0);
    vec![
        format!("an API call takes {} to {}, of which the first was measured on 9.2", ms(quick.call), ms(slow.call)),
        format!(
            "a command over SSH takes {} to {}; qm, pct and pvesh {} to {}, as measured on 9.2",
            ms(quick.command),
            ms(slow.command),
            ms(quick.tool),
            ms(slow.tool)
        ),
        format!(
            "tasks take what the lab takes them to (a disk is copied with 500 MB/s, a file fetched with 100 MB/s, a VM \
             starts in 3 s and boots in 12 s) to {} times that",
            f64::from(slow.pace) / f64::from(quick.pace)
        ),
        format!("PVE waits {} for a busy lock before it says so", duration(quick.lock)),
    ]
}

/// What a rehearsal found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RehearsalDocument {
    /// `clean`, `failed`, `unconverged` or `unlike`.
    pub verdict: String,
    /// Its steps in the plan's order.
    pub steps: Vec<RehearsedStepDocument>,
    /// What a second plan still found to be done, or refused.
    pub left: Vec<String>,
    /// What would be done otherwise in the twin than on the host: on it nothing is proven.
    pub strange: Vec<String>,
    /// How long all of it takes, by the twin's clock.
    pub seconds: SecondsDocument,
    /// What the times rest on.
    pub assumptions: Vec<String>,
    /// Requests to the API.
    pub api_calls: u64,
    /// Commands over SSH.
    pub commands: u64,
    /// What the twin has not, or has otherwise than the host.
    pub not_rehearsed: Vec<NotRehearsedDocument>,
    /// What was seen otherwise in the twin than on the host, before anything was done.
    pub unlike: Vec<String>,
}

/// A step of a rehearsal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RehearsedStepDocument {
    /// Its id.
    pub id: String,
    /// `done`, `warning`, `failed` or `not-run`.
    pub outcome: String,
    /// Why it failed or was not run, or what was warned of, in the host's own words.
    pub why: Option<String>,
    /// How long it takes; absent where it was not run.
    pub seconds: Option<SecondsDocument>,
    /// Why it fails if the hosts are slow; absent unless it fails only then.
    pub fails_if_slow: Option<String>,
}

/// A range of times, in seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecondsDocument {
    /// On quick hosts.
    pub least: f64,
    /// On slow hosts.
    pub most: f64,
}

/// What was not rehearsed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotRehearsedDocument {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl From<&Report> for RehearsalDocument {
    fn from(report: &Report) -> Self {
        let seconds = |least: Duration, most: Duration| SecondsDocument {
            least: least.as_secs_f64(),
            most: most.as_secs_f64().max(least.as_secs_f64()),
        };
        let step = |outline: &StepOutline| {
            let (outcome, why) = match report.quick.state.steps.get(&outline.id).and_then(|s| s.outcome.as_ref()) {
                Some(Outcome::Done) => ("done", None),
                Some(Outcome::Warning { message }) => ("warning", Some(message.clone())),
                Some(Outcome::Failed { why, .. }) => ("failed", Some(why.clone())),
                Some(Outcome::Skipped { why }) => ("not-run", Some(why.clone())),
                None => ("not-run", None),
            };
            let took = (step_took(&report.quick, outline), step_took(&report.slow, outline));
            RehearsedStepDocument {
                id: outline.id.to_string(),
                outcome: outcome.to_owned(),
                why,
                seconds: match took {
                    (Some(least), Some(most)) if outcome != "not-run" => Some(seconds(least, most)),
                    _ => None,
                },
                fails_if_slow: only_when_slow(report)
                    .find(|(step, _)| step.id == outline.id)
                    .map(|(_, why)| why.to_owned()),
            }
        };
        Self {
            verdict: match report.verdict() {
                Verdict::Clean => "clean",
                Verdict::Failed => "failed",
                Verdict::Unconverged => "unconverged",
                Verdict::Unlike => "unlike",
            }
            .to_owned(),
            steps: report.quick.state.outline.iter().map(step).collect(),
            left: left(&report.quick).into_iter().chain(report.quick.refused.clone()).collect(),
            strange: report.quick.strange.clone(),
            seconds: seconds(report.quick.took, report.slow.took),
            assumptions: assumptions(report),
            api_calls: report.quick.calls,
            commands: report.quick.commands,
            not_rehearsed: report
                .untwinned
                .iter()
                .map(|one| NotRehearsedDocument { what: one.what.clone(), why: one.why.clone() })
                .collect(),
            unlike: report.unlike.clone(),
        }
    }
}
