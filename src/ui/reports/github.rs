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
        let place = diagnostic.primary.as_ref().map(|label| sources.place(label.span));
        let place = place.map(|place| at(place.file.as_str(), place.line, place.column)).unwrap_or_default();
        out.push_str(&self::command(command, &place, diagnostic.code, &message(diagnostic)));
    }
    out
}

/// One command; `at` says where, or is empty.
pub(super) fn command(command: &str, at: &str, title: &str, text: &str) -> String {
    format!("::{command} {at}title={}::{}\n", property(title), data(text))
}

/// A place in a file, as a command begins with it.
pub(super) fn at(file: &str, line: u32, column: u32) -> String {
    format!("file={},line={line},col={column},", property(file))
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
             are%0Anumbers%0Ahelp: use others\n::warning title=inventory.access-without-tailnet::that is not done yet\n"
        );
    }
}
