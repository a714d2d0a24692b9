//! Problems and findings for machines: JSON, SARIF, JUnit and the commands of GitHub Actions.
//!
//! Each form is a function from [`Diagnostics`](crate::diag::Diagnostics), or from what preflight found, and the
//! texts that they point into; none of them prints.

mod github;
mod json;
mod junit;
mod preflight;
mod sarif;
mod verification;

pub use github::github;
pub use json::{DiagnosticsDocument, diagnostics_document, diagnostics_schema};
pub use junit::junit;
pub use preflight::{PreflightDocument, preflight_github, preflight_junit, preflight_sarif, preflight_schema};
pub use sarif::sarif;
pub use verification::verification_junit;

/// Summary, causes and hints as lines of text.
fn message(diagnostic: &crate::diag::Diagnostic) -> String {
    let mut lines = vec![diagnostic.summary.clone()];
    lines.extend(diagnostic.causes.iter().map(|cause| format!("cause: {cause}")));
    lines.extend(diagnostic.hints.iter().map(|hint| format!("help: {hint}")));
    lines.join("\n")
}

/// One error with two places and one warning without any, as every form is tested with.
#[cfg(test)]
fn sample() -> (crate::diag::Diagnostics, crate::diag::SourceMap) {
    use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};

    let mut sources = SourceMap::default();
    let file = sources.add("inv/a b,c.yaml", "name: x\nvmid: <5>\n");
    let mut diagnostics = Diagnostics::new();
    diagnostics.push(
        Diagnostic::error("inventory.value", "5 & \"6\" are 100% wrong")
            .cause("they are\nnumbers")
            .at(Span { file, start: 14, end: 17 }, "here")
            .related(Span { file, start: 0, end: 4 }, "there")
            .hint("use others"),
    );
    diagnostics.push(Diagnostic::warning("inventory.access-without-tailnet", "that is not done yet"));
    (diagnostics, sources)
}
