//! Problems as a JUnit report, which CI systems show beside tests.

use super::message;
use crate::diag::{Diagnostics, Severity, SourceMap};

/// The report, one case per problem; a single passing case if there is none.
///
/// JUnit has no warnings: a warning is a passing case that says so in its output.
#[must_use]
pub fn junit(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let cases = diagnostics.iter().count().max(1);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let failures = diagnostics.error_count();
    out.push_str(&format!(
        "<testsuites>\n  <testsuite name=\"infra\" tests=\"{cases}\" failures=\"{failures}\" errors=\"0\">\n"
    ));
    if diagnostics.is_empty() {
        out.push_str("    <testcase classname=\"infra\" name=\"inventory\"/>\n");
    }
    for diagnostic in diagnostics {
        let place = diagnostic.primary.as_ref().map(|label| sources.place(label.span));
        let name = place.map_or_else(String::new, |place| format!("{}:{}:{}: ", place.file, place.line, place.column));
        let name = escape(&format!("{name}{}", diagnostic.summary));
        let text = escape(&message(diagnostic));
        let code = escape(diagnostic.code);
        let body = match diagnostic.severity {
            Severity::Error => format!("<failure type=\"{code}\" message=\"{name}\">{text}</failure>"),
            Severity::Warning => format!("<system-out>warning: {text}</system-out>"),
        };
        out.push_str(&format!("    <testcase classname=\"{code}\" name=\"{name}\">{body}</testcase>\n"));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text for XML 1.0, which has no place for most control characters, not even escaped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fail_and_warnings_pass() {
        let (diagnostics, sources) = super::super::sample();
        let report = junit(&diagnostics, &sources);
        assert!(report.contains("tests=\"2\" failures=\"1\""), "{report}");
        assert!(report.contains("name=\"inv/a b,c.yaml:2:7: 5 &amp; &quot;6&quot; are 100% wrong\""), "{report}");
        assert!(report.contains("<system-out>warning: that is not done yet</system-out>"), "{report}");
        assert!(junit(&Diagnostics::new(), &sources).contains("<testcase classname=\"infra\" name=\"inventory\"/>"));
        assert_eq!(escape("a\u{1b}[0m<"), "a\u{fffd}[0m&lt;");
    }
}
