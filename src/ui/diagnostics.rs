//! Problems as a person reads them: what, where, why, what next.
//!
//! Takes [`Diagnostics`] and the [`SourceMap`] that they point into. Prints nothing itself.

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::{Terminal, plural, problem_text};
use crate::diag::{Diagnostic, Diagnostics, FileId, Label, Severity, SourceMap, Span};

/// Renders every problem with its source lines, and how many there are below.
#[must_use]
pub fn diagnostics_text(diagnostics: &Diagnostics, sources: &SourceMap, terminal: &Terminal) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic_text(diagnostic, sources, terminal));
        out.push('\n');
    }
    out.push_str(&count(diagnostics));
    out
}

/// Renders one problem. One without a place is its text alone.
#[must_use]
pub fn diagnostic_text(diagnostic: &Diagnostic, sources: &SourceMap, terminal: &Terminal) -> String {
    let Some(primary) = &diagnostic.primary else { return problem_text(diagnostic, terminal) };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut elements: Vec<Element<'_>> = Vec::new();
    for file in files(diagnostic) {
        let mut snippet = Snippet::source(sources.text(file)).path(sources.path(file).as_str());
        if primary.span.file == file {
            snippet = snippet.annotation(annotation(primary, AnnotationKind::Primary, sources));
        }
        for label in diagnostic.related.iter().filter(|label| label.span.file == file) {
            snippet = snippet.annotation(annotation(label, AnnotationKind::Context, sources));
        }
        elements.push(snippet.into());
    }
    elements.extend(diagnostic.causes.iter().map(|cause| Level::NOTE.message(cause.as_str()).into()));
    elements.extend(diagnostic.hints.iter().map(|hint| Level::HELP.message(hint.as_str()).into()));
    let title = level.primary_title(diagnostic.summary.as_str()).id(diagnostic.code);
    let renderer = if terminal.colour { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.term_width(terminal.width).render(&[Group::with_title(title).elements(elements)]);
    // The renderer ends empty gutters with a space.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

/// Says how many problems there are: `2 errors, 1 warning`, or nothing.
fn count(diagnostics: &Diagnostics) -> String {
    let parts: Vec<String> =
        [(diagnostics.error_count(), "error", "errors"), (diagnostics.warning_count(), "warning", "warnings")]
            .into_iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many)| plural(number, one, many))
            .collect();
    if parts.is_empty() { String::new() } else { format!("{}\n", parts.join(", ")) }
}

/// Files that a problem points into, that of its own place first.
fn files(diagnostic: &Diagnostic) -> Vec<FileId> {
    let mut files: Vec<FileId> = Vec::new();
    for label in diagnostic.primary.iter().chain(&diagnostic.related) {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    files
}

fn annotation<'a>(label: &'a Label, kind: AnnotationKind, sources: &SourceMap) -> Annotation<'a> {
    let range = first_line(label.span, sources.text(label.span.file));
    let annotation = kind.span(range);
    if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
}

/// The part of a span on its first line: a block of twenty lines needs no twenty lines to be found.
fn first_line(span: Span, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.ceil_char_boundary(span.end as usize).max(start);
    let line = text[start..end].find('\n').map_or(end, |at| start + at);
    let trimmed = start + text[start..line].trim_end().len();
    start..trimmed
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn sample() -> (Diagnostics, SourceMap) {
        let mut sources = SourceMap::default();
        let text = "guests:\n  größe:\n    memmory: 4GiB\n    vmid: 100\n";
        let file = sources.add("inv/guests.yaml", text);
        let other = sources.add("inv/more.yaml", "x: { vmid: 100 }\n");
        let span = |file, text: &str, what: &str| {
            let start = u32::try_from(text.find(what).unwrap()).unwrap();
            Span { file, start, end: start + u32::try_from(what.len()).unwrap() }
        };
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(
            Diagnostic::error("inventory.unknown-key", "the key `memmory` is not known here")
                .at(span(file, text, "memmory"), "")
                .hint("did you mean `memory`?"),
        );
        diagnostics.push(
            Diagnostic::warning("inventory.vmid-unique", "two guests have the number 100")
                .at(span(file, text, "100"), "again here")
                .related(span(other, "x: { vmid: 100 }\n", "100"), "first here")
                .cause("numbers are shared by all guests"),
        );
        (diagnostics, sources)
    }

    #[test]
    fn places_lines_causes_and_hints_are_shown() {
        let (diagnostics, sources) = sample();
        assert_snapshot!(diagnostics_text(&diagnostics, &sources, &Terminal::plain()), @r"
        error[inventory.unknown-key]: the key `memmory` is not known here
         --> inv/guests.yaml:3:5
          |
        3 |     memmory: 4GiB
          |     ^^^^^^^
          |
          = help: did you mean `memory`?

        warning[inventory.vmid-unique]: two guests have the number 100
         --> inv/guests.yaml:4:11
          |
        4 |     vmid: 100
          |           ^^^ again here
          |
         ::: inv/more.yaml:1:12
          |
        1 | x: { vmid: 100 }
          |            --- first here
          |
          = note: numbers are shared by all guests

        1 error, 1 warning
        ");
    }

    #[test]
    fn spans_beyond_the_text_and_over_lines_are_harmless() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.yaml", "ä: 1\nb: 2\n");
        for (start, end) in [(0, 0), (1, 1), (0, 500), (500, 600), (10, 10)] {
            let diagnostic = Diagnostic::error("x.y", "wrong").at(Span { file, start, end }, "here");
            for width in [20, 80] {
                let terminal = Terminal::plain().with_width(width);
                assert!(diagnostic_text(&diagnostic, &sources, &terminal).contains("a.yaml"), "{start}..{end}");
            }
        }
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        let (diagnostics, sources) = sample();
        let coloured = Terminal { colour: true, ..Terminal::plain() };
        assert!(diagnostics_text(&diagnostics, &sources, &coloured).contains("\u{1b}["));
        assert!(!diagnostics_text(&diagnostics, &sources, &Terminal::plain()).contains('\u{1b}'));
    }
}
