//! Whether hosts are fit, as a person reads it: what is wrong first, with the evidence and what to do.

use std::collections::BTreeSet;

use super::hardware_view::advice_text;
use super::text::{columns, one_line, pad, plural, wrap};
use super::{Detail, Role, Terminal};
use crate::checks::{Area, Check, Counts, Evidence, HostReport, Judged, Preflight, Verdict, entry};

/// Columns of the words that begin the lines below a finding.
const LABEL: usize = 4;

/// Shows what was found on all hosts.
#[must_use]
pub fn preflight_text(preflight: &Preflight, detail: Detail, terminal: &Terminal) -> String {
    let mut out = String::new();
    for host in &preflight.hosts {
        out.push_str(&host_text(host, detail, terminal));
        out.push('\n');
    }
    if let Some(why) = &preflight.unplanned {
        let text = format!("No plan could be made, so nothing could be judged from it: {}", one_line(why));
        out.push_str(&wrap(&terminal.paint(Role::Caution, text), terminal.width, 2));
    }
    for gap in &preflight.gaps {
        let text = format!("Not planned, and so not judged: {}: {}", gap.addr, one_line(&gap.why));
        out.push_str(&wrap(&terminal.paint(Role::Caution, text), terminal.width, 2));
    }
    let hosts = plural(preflight.hosts.len(), "host", "hosts");
    let counts = preflight.counts();
    let (fit, role) = match () {
        () if preflight.is_unfit() => ("Not fit", Role::Bad),
        () if counts == Counts::default() => ("Nothing was judged", Role::Caution),
        () if counts.could_not_run > 0 || !preflight.gaps.is_empty() || preflight.unplanned.is_some() => {
            ("No fault was found, but not everything could be judged", Role::Caution)
        }
        () if counts.warn > 0 => ("Fit, with warnings", Role::Change),
        () => ("Fit", Role::Good),
    };
    let counts = counts_text(counts, terminal);
    let colon = if counts.is_empty() { "" } else { ": " };
    let line = format!("{} {hosts}{colon}{counts}", terminal.paint(role, format!("{fit}.")));
    out.push_str(&wrap(&line, terminal.width, 2));
    out
}

fn host_text(host: &HostReport, detail: Detail, terminal: &Terminal) -> String {
    let mut out = format!("{}\n", terminal.paint(Role::Strong, host.host.as_str()));
    for why in &host.shut {
        out.push_str(&wrap(&terminal.paint(Role::Bad, one_line(why)), terminal.width, 2));
    }
    let shown = |judged: &&Judged| {
        detail == Detail::Full || !matches!(judged.finding.verdict, Verdict::Pass | Verdict::Skipped)
    };
    for area in Area::ALL {
        let findings: Vec<&Judged> =
            host.findings.iter().filter(|judged| judged.check.area == area).filter(shown).collect();
        if findings.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{}\n", terminal.paint(Role::Faint, area.title())));
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for judged in findings {
            let why = judged.finding.summary.as_str();
            let alike = if detail == Detail::Full { Vec::new() } else { blind_alike(host, judged) };
            match alike.as_slice() {
                [] | [_] => out.push_str(&finding_text(judged, terminal)),
                several if told.insert(why) => out.push_str(&blind_text(several, why, terminal)),
                _ => {}
            }
        }
    }
    if let Some(gpus) = host.gpus.value().filter(|gpus| !gpus.is_empty()) {
        out.push_str(&format!("\n{}\n", terminal.paint(Role::Faint, "Displays and accelerators")));
        out.push_str(&advice_text(gpus, detail == Detail::Full, terminal));
    }
    let counts = host.counts();
    if detail != Detail::Full && counts.pass + counts.skipped > 0 {
        let folded = Counts { pass: counts.pass, skipped: counts.skipped, ..Counts::default() };
        let line = format!("{}; `--full` shows them", counts_text(folded, terminal));
        out.push_str(&format!("\n{}", wrap(&line, terminal.width, 2)));
    }
    out
}

/// Checks of the same area that could not run for the very same reason.
fn blind_alike<'a>(host: &'a HostReport, judged: &Judged) -> Vec<&'a str> {
    let alike = |other: &&Judged| {
        other.finding.verdict == Verdict::CouldNotRun
            && other.check.area == judged.check.area
            && other.finding.summary == judged.finding.summary
    };
    if judged.finding.verdict != Verdict::CouldNotRun {
        return Vec::new();
    }
    let mut ids: Vec<&str> = host.findings.iter().filter(alike).map(|other| other.check.id).collect();
    ids.dedup();
    ids
}

/// One reason that many checks could not run for.
fn blind_text(ids: &[&str], why: &str, terminal: &Terminal) -> String {
    let (symbol, role) = look(Verdict::CouldNotRun, terminal);
    let word = terminal.paint(role, format!("{symbol} {}", Verdict::CouldNotRun.as_str()));
    let ids_text = terminal.paint(Role::Faint, format!("[{}]", ids.join(", ")));
    let mut out = wrap(&format!("{word}  {}  {ids_text}", plural(ids.len(), "check", "checks")), terminal.width, 4);
    out.push_str(&wrap(&format!("    {}", one_line(why)), terminal.width, 4));
    out
}

/// `✘ fail  the IOMMU is active [iommu-off]` and what there is to say about it.
fn finding_text(judged: &Judged, terminal: &Terminal) -> String {
    let Judged { check, finding } = judged;
    let (symbol, role) = look(finding.verdict, terminal);
    let word = terminal.paint(role, format!("{symbol} {}", finding.verdict.as_str()));
    let object = finding.object.as_deref().map(|object| format!("{}: ", one_line(object))).unwrap_or_default();
    let id = terminal.paint(Role::Faint, format!("[{}]", check.id));
    let mut out = wrap(&format!("{word}  {object}{}  {id}", one_line(check.title)), terminal.width, 4);
    out.push_str(&wrap(&format!("    {}", one_line(&finding.summary)), terminal.width, 4));
    let mut line = |label: &str, role: Role, text: &str| {
        let label = terminal.paint(role, pad(label, LABEL));
        out.push_str(&wrap(&format!("    {label} {text}"), terminal.width, 5 + LABEL));
    };
    for Evidence { source, text } in &finding.evidence {
        let mut lines = text.lines();
        line("seen", Role::Faint, &format!("{}: {}", one_line(source), one_line(lines.next().unwrap_or_default())));
        lines.for_each(|more| line("", Role::Faint, &one_line(more)));
    }
    if !finding.concerns.is_empty() && finding.verdict != Verdict::Pass {
        let names: Vec<String> = finding.concerns.iter().map(ToString::to_string).collect();
        line("for", Role::Faint, &names.join(", "));
    }
    for fix in &finding.fixes {
        line("fix", Role::Hint, &one_line(&fix.to_string()));
    }
    out
}

/// `1 fail, 2 warn, 14 pass`: only those that there are.
fn counts_text(counts: Counts, terminal: &Terminal) -> String {
    let part = |verdict: &Verdict| {
        let (symbol, role) = look(*verdict, terminal);
        let count = counts.of(*verdict);
        (count > 0).then(|| terminal.paint(role, format!("{symbol} {count} {}", verdict.as_str())))
    };
    let parts: Vec<String> = Verdict::ALL.iter().filter_map(part).collect();
    parts.join(", ")
}

fn look(verdict: Verdict, terminal: &Terminal) -> (&'static str, Role) {
    match verdict {
        Verdict::Pass => (terminal.choose("✔", "+"), Role::Good),
        Verdict::Skipped => (terminal.choose("·", "."), Role::Faint),
        Verdict::CouldNotRun => ("?", Role::Caution),
        Verdict::Warn => ("!", Role::Change),
        Verdict::Fail => (terminal.choose("✘", "x"), Role::Bad),
    }
}

/// The catalogue's entry of a check, without Markdown's marks for headings and emphasis.
#[must_use]
pub fn explain_text(check: &Check, terminal: &Terminal) -> String {
    let mut out = String::new();
    for line in entry(check).lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            out.push_str(&wrap(&terminal.paint(Role::Strong, heading.replace('`', "")), terminal.width, 2));
            continue;
        }
        let line = line.replace("**", "");
        // Lists and code keep their indentation; a table or a fence is not worth more.
        let start = line.len() - line.trim_start_matches([' ', '-', '*']).len();
        out.push_str(&wrap(&line, terminal.width, columns(&line[..start])));
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;

    #[test]
    fn what_is_wrong_is_shown_with_evidence_and_fix_and_the_rest_is_counted() {
        assert_snapshot!(preflight_text(&sample::preflight(), Detail::Usual, &Terminal::plain()), @r#"
        far
        its API does not answer: 192.0.2.9:8006: connection refused

        hq

        GPU passthrough
        ✘ fail  the IOMMU is active  [iommu-off]
            no IOMMU is active
            seen ls -A /sys/class/iommu: (empty)
            seen /proc/cmdline: intel_iommu=off
            for  vm.plan-hq
            fix  `infra prepare` sees to the kernel's command line
            fix  switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware
        ! warn  gpu rtx4090 at 0000:01:00: the IOMMU is active  [iommu-off]
            the link is at half its width
            seen /sys/bus/pci/devices/0000:01:00.0/current_link_width: 8
                 of 16
            fix  write `hosts.hq.gpus.rtx4090.address: 0000:02:00` into the inventory
        ? could not run  the IOMMU is active  [iommu-off]
            `ls` failed: <no> "such" file & directory

        ✔ 1 pass, · 1 skipped; `--full` shows them

        Not planned, and so not judged: vm.far: node pve2 does not answer
        Not fit. 2 hosts: ✘ 1 fail, ! 1 warn, ✔ 1 pass, ? 1 could not run, · 1 skipped
        "#);
    }

    #[test]
    fn everything_is_shown_when_asked_for() {
        let text = preflight_text(&sample::preflight(), Detail::Full, &Terminal::plain());
        assert!(text.contains("✔ pass  the IOMMU is active"), "{text}");
        assert!(text.contains("· skipped  the IOMMU is active"), "{text}");
        assert!(!text.contains("--full"), "{text}");
    }

    #[test]
    fn narrow_terminals_without_unicode_get_every_word() {
        let terminal = Terminal { unicode: false, ..Terminal::plain().with_width(40) };
        let text = preflight_text(&sample::preflight(), Detail::Full, &terminal);
        assert!(text.is_ascii(), "{text}");
        let wide = text.lines().find(|line| columns(line) > 40 && line.trim().contains(' '));
        assert!(wide.is_none_or(|line| line.contains("/sys/bus")), "{wide:?}");
        for word in ["x fail", "! warn", "+ pass", ". skipped", "? could not run"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn what_many_checks_could_not_see_is_said_once() {
        let mut preflight = sample::preflight();
        let host = &mut preflight.hosts[1];
        let blind = host.findings.iter().find(|judged| judged.finding.verdict == Verdict::CouldNotRun).unwrap().clone();
        let other =
            crate::checks::CHECKS.iter().find(|check| check.area == blind.check.area && check.id != blind.check.id);
        host.findings.push(Judged { check: other.unwrap(), ..blind });
        let text = preflight_text(&preflight, Detail::Usual, &Terminal::plain());
        assert!(text.contains("? could not run  2 checks  [iommu-off, "), "{text}");
        assert_eq!(text.matches("`ls` failed").count(), 1, "{text}");
        let full = preflight_text(&preflight, Detail::Full, &Terminal::plain());
        assert_eq!(full.matches("`ls` failed").count(), 2, "{full}");
    }

    /// Nobody is told that a host is fit which nobody could look at.
    #[test]
    fn only_what_was_judged_is_called_fit() {
        let last = |preflight: &Preflight| {
            let text = preflight_text(preflight, Detail::Usual, &Terminal::plain().with_width(120));
            text.lines().last().unwrap().to_owned()
        };
        let mut preflight = sample::preflight();
        preflight.gaps.clear();
        preflight.hosts.remove(0);
        let keep = |preflight: &Preflight, verdicts: &[Verdict]| {
            let mut kept = preflight.clone();
            kept.hosts[0].findings.retain(|judged| verdicts.contains(&judged.finding.verdict));
            last(&kept)
        };
        assert_eq!(keep(&preflight, &[Verdict::Pass]), "Fit. 1 host: ✔ 1 pass");
        assert_eq!(keep(&preflight, &[Verdict::Pass, Verdict::Warn]), "Fit, with warnings. 1 host: ! 1 warn, ✔ 1 pass");
        assert!(keep(&preflight, &[Verdict::CouldNotRun, Verdict::Pass]).starts_with("No fault was found, but"));
        assert!(keep(&preflight, &[Verdict::Fail, Verdict::Pass]).starts_with("Not fit. 1 host: ✘ 1 fail"));
        assert_eq!(keep(&preflight, &[]), "Nothing was judged. 1 host");
    }
}
