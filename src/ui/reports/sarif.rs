//! Problems as SARIF 2.1.0, which code scanning services read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::message;
use crate::diag::{Diagnostic, Diagnostics, Label, Place, Severity, SourceMap};

/// The SARIF log.
#[must_use]
pub fn sarif(diagnostics: &Diagnostics, sources: &SourceMap) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(diagnostic, sources)).collect();
    log(rules, results)
}

/// A log with one run of this program.
pub(super) fn log(rules: Vec<Value>, results: Vec<Value>) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "infra", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let locations: Vec<Value> = diagnostic.primary.iter().map(|label| location(label, sources)).collect();
    let related: Vec<Value> = diagnostic.related.iter().map(|label| location(label, sources)).collect();
    json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": message(diagnostic) },
        "locations": locations,
        "relatedLocations": related,
    })
}

fn location(label: &Label, sources: &SourceMap) -> Value {
    let mut location = physical(&sources.place(label.span));
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

/// A location with its place in a file.
pub(super) fn physical(place: &Place) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(place.file.as_str()) },
            "region": { "startLine": place.line, "startColumn": place.column },
        },
    })
}

/// A path as a relative reference: each part percent-encoded.
fn uri(path: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    percent_encoding::utf8_percent_encode(path, &KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_rules_places_and_messages() {
        let (diagnostics, sources) = super::super::sample();
        let log = sarif(&diagnostics, &sources);
        let run = &log["runs"][0];
        assert_eq!(
            run["tool"]["driver"]["rules"],
            json!([{ "id": "inventory.access-without-tailnet" }, { "id": "inventory.value" }])
        );
        let first = &run["results"][0];
        assert_eq!((&first["ruleId"], &first["level"]), (&json!("inventory.value"), &json!("error")));
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "inv/a%20b%2Cc.yaml");
        assert_eq!(place["region"], json!({ "startLine": 2, "startColumn": 7 }));
        assert_eq!(first["relatedLocations"][0]["message"]["text"], "there");
        assert!(first["message"]["text"].as_str().unwrap().ends_with("help: use others"));
        assert_eq!(run["results"][1]["locations"], json!([]));
    }
}
