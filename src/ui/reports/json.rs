//! Problems as JSON: a published format.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use crate::diag::{Diagnostic, Diagnostics, Label, Severity, SourceMap};

/// Every problem, with places resolved.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra diagnostics")]
pub struct DiagnosticsDocument {
    /// Version of this format.
    pub format: u32,
    /// How many problems refuse.
    pub errors: usize,
    /// How many do not.
    pub warnings: usize,
    /// The problems.
    pub diagnostics: Vec<DiagnosticDocument>,
}

/// One problem.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiagnosticDocument {
    /// A stable id such as `inventory.unknown-key`.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What is wrong.
    pub summary: String,
    /// Where, unless it has no place in a file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceDocument>,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// Further places.
    pub related: Vec<PlaceDocument>,
}

/// A place in a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlaceDocument {
    /// The file as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What there is to say about that very place.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
}

/// The document of `--output json`.
#[must_use]
pub fn diagnostics_document(diagnostics: &Diagnostics, sources: &SourceMap) -> DiagnosticsDocument {
    DiagnosticsDocument {
        format: 1,
        errors: diagnostics.error_count(),
        warnings: diagnostics.warning_count(),
        diagnostics: diagnostics.iter().map(|diagnostic| one(diagnostic, sources)).collect(),
    }
}

/// The schema of that document.
#[must_use]
pub fn diagnostics_schema() -> Schema {
    schema_for!(DiagnosticsDocument)
}

fn one(diagnostic: &Diagnostic, sources: &SourceMap) -> DiagnosticDocument {
    DiagnosticDocument {
        code: diagnostic.code,
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        summary: diagnostic.summary.clone(),
        place: diagnostic.primary.as_ref().map(|label| place(label, sources)),
        causes: diagnostic.causes.clone(),
        hints: diagnostic.hints.clone(),
        related: diagnostic.related.iter().map(|label| place(label, sources)).collect(),
    }
}

fn place(label: &Label, sources: &SourceMap) -> PlaceDocument {
    let place = sources.place(label.span);
    PlaceDocument { file: place.file.into_string(), line: place.line, column: place.column, label: label.text.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_resolved() {
        let (diagnostics, sources) = super::super::sample();
        let document = serde_json::to_value(diagnostics_document(&diagnostics, &sources)).unwrap();
        assert_eq!(
            document,
            json!({
                "format": 1, "errors": 1, "warnings": 1,
                "diagnostics": [
                    {
                        "code": "inventory.value", "severity": "error", "summary": "5 & \"6\" are 100% wrong",
                        "file": "inv/a b,c.yaml", "line": 2, "column": 7, "label": "here",
                        "causes": ["they are\nnumbers"], "hints": ["use others"],
                        "related": [{ "file": "inv/a b,c.yaml", "line": 1, "column": 1, "label": "there" }],
                    },
                    {
                        "code": "inventory.access-without-tailnet", "severity": "warning", "summary": "that is not done yet",
                        "causes": [], "hints": [], "related": [],
                    },
                ],
            })
        );
    }
}
