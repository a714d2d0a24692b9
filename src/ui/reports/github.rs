//! Problems as workflow commands of GitHub Actions, which annotate the changed files.

use super::message;
use crate::diag::{Diagnostics, Severity, SourceMap};

/// One command per problem and line.
#[must_use]
pub fn github(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place =
            diagnostic.primary.as_ref().map(|label| sources.place(label.span)).map(|place| {
                format!("file={},line={},col={},", property(place.file.as_str()), place.line, place.column)
            });
        let title = property(diagnostic.code);
        let text = data(&message(diagnostic));
        out.push_str(&format!("::{command} {}title={title}::{text}\n", place.unwrap_or_default()));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_one_line_each() {
        let (diagnostics, sources) = super::super::sample();
        assert_eq!(
            github(&diagnostics, &sources),
            "::error file=inv/a b%2Cc.yaml,line=2,col=7,title=inventory.value::5 & \"6\" are 100%25 wrong%0Acause: they \
             are%0Anumbers%0Ahelp: use others\n::warning title=inventory.not-yet::that is not done yet\n"
        );
    }
}
