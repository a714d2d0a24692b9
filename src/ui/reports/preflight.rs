//! What `infra preflight` found, for machines: JSON, SARIF, JUnit and the commands of GitHub Actions.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde_json::{Value, json};

use super::{github, junit, sarif};
use crate::checks::{
    Area, Check, Counts, Evidence, Fix, GpuAdvice, HostReport, Judged, Preflight, Severity, Verdict, entry,
};
use crate::diag::SourceMap;
use crate::ui::json::GapDocument;

/// Whether hosts are fit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra preflight")]
pub struct PreflightDocument {
    /// Version of this format.
    pub format: u32,
    /// Of which inventory.
    pub inventory: String,
    /// How many findings have which verdict, on all hosts.
    pub counts: Counts,
    /// Why there was no plan to judge; `null` where there was one.
    pub unplanned: Option<String>,
    /// What could not be planned, and so was not judged.
    pub gaps: Vec<GapDocument>,
    /// Every host that was asked, by name.
    pub hosts: Vec<HostDocument>,
}

/// Whether one host is fit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HostDocument {
    /// What the inventory calls it.
    pub host: String,
    /// Doors of it that did not open, one sentence each.
    pub shut: Vec<String>,
    /// How many findings have which verdict.
    pub counts: Counts,
    /// What was found, in the order of the checks.
    pub findings: Vec<FindingDocument>,
    /// What could be passed through: every display and compute device, whether the inventory knows it or not;
    /// `null` where nobody could see them.
    pub gpus: Option<Vec<GpuAdvice>>,
}

/// One thing that a check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindingDocument {
    /// The check's id; `infra preflight --explain ID` says more.
    pub check: &'static str,
    /// What the check is about.
    pub area: Area,
    /// What must hold.
    pub title: &'static str,
    /// What it comes to.
    pub verdict: Verdict,
    /// Which object, where a check looks at several.
    pub object: Option<String>,
    /// What is so; of a check that is skipped or could not run, why.
    pub summary: String,
    /// What it is concluded from.
    pub evidence: Vec<Evidence>,
    /// What to do about it, the best way first.
    pub fixes: Vec<Fix>,
    /// Resources that it is about; with none, it is about everything on the host.
    pub concerns: Vec<String>,
}

impl From<&Preflight> for PreflightDocument {
    fn from(preflight: &Preflight) -> Self {
        Self {
            format: Self::FORMAT,
            inventory: preflight.inventory.to_string(),
            counts: preflight.counts(),
            unplanned: preflight.unplanned.clone(),
            gaps: preflight.gaps.iter().map(Into::into).collect(),
            hosts: preflight.hosts.iter().map(Into::into).collect(),
        }
    }
}

impl PreflightDocument {
    /// The version of this format.
    pub const FORMAT: u32 = 1;
}

impl From<&HostReport> for HostDocument {
    fn from(report: &HostReport) -> Self {
        Self {
            host: report.host.to_string(),
            shut: report.shut.clone(),
            counts: report.counts(),
            findings: report.findings.iter().map(Into::into).collect(),
            gpus: report.gpus.value().cloned(),
        }
    }
}

impl From<&Judged> for FindingDocument {
    fn from(Judged { check, finding }: &Judged) -> Self {
        Self {
            check: check.id,
            area: check.area,
            title: check.title,
            verdict: finding.verdict,
            object: finding.object.clone(),
            summary: finding.summary.clone(),
            evidence: finding.evidence.clone(),
            fixes: finding.fixes.clone(),
            concerns: finding.concerns.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The JSON Schema of [`PreflightDocument`].
#[must_use]
pub fn preflight_schema() -> Schema {
    schema_for!(PreflightDocument)
}

/// SARIF: every finding is a result, with the kind that says which of the five verdicts it is.
#[must_use]
pub fn preflight_sarif(preflight: &Preflight, sources: &SourceMap) -> Value {
    let checks: BTreeMap<&str, &Check> =
        findings(preflight).map(|(_, judged)| (judged.check.id, judged.check)).collect();
    let level = |check: &Check| if check.severity == Severity::Fail { "error" } else { "warning" };
    let rules = checks.values().map(|check| {
        json!({
            "id": check.id,
            "shortDescription": { "text": check.title },
            "help": { "text": entry(check), "markdown": entry(check) },
            "defaultConfiguration": { "level": level(check) },
        })
    });
    let mut results: Vec<Value> = findings(preflight)
        .map(|(report, judged)| {
            let (kind, level) = match judged.finding.verdict {
                Verdict::Pass => ("pass", "none"),
                Verdict::Skipped => ("notApplicable", "none"),
                Verdict::CouldNotRun => ("open", "none"),
                Verdict::Warn => ("fail", "warning"),
                Verdict::Fail => ("fail", "error"),
            };
            json!({
                "ruleId": judged.check.id,
                "kind": kind,
                "level": level,
                "message": { "text": message(report, judged) },
                "locations": [place(report, sources)],
            })
        })
        .collect();
    results.extend(shut(preflight).map(|(report, text)| {
        json!({
            "ruleId": UNREACHABLE,
            "kind": "fail",
            "level": "error",
            "message": { "text": text },
            "locations": [place(report, sources)],
        })
    }));
    let unreachable = shut(preflight).next().map(|_| json!({ "id": UNREACHABLE }));
    sarif::log(rules.chain(unreachable).collect(), results)
}

/// JUnit: a host is a suite, a finding is a case. What could not run is an error and no failure; a warning passes
/// and says so in its output.
#[must_use]
pub fn preflight_junit(preflight: &Preflight) -> String {
    let counts = preflight.counts();
    let unreachable = shut(preflight).count();
    let head = |element: &str, name: &str, counts: Counts, unreachable: usize| {
        let tests = Verdict::ALL.iter().map(|verdict| counts.of(*verdict)).sum::<usize>() + unreachable;
        format!(
            "<{element} name=\"{}\" tests=\"{tests}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
            junit::escape(name),
            counts.fail,
            counts.could_not_run + unreachable,
            counts.skipped
        )
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&head("testsuites", "infra preflight", counts, unreachable));
    for report in &preflight.hosts {
        out.push_str(&format!("  {}", head("testsuite", report.host.as_str(), report.counts(), report.shut.len())));
        for why in &report.shut {
            let why = junit::escape(why);
            out.push_str(&format!(
                "    <testcase classname=\"{UNREACHABLE}\" name=\"{}\"><error type=\"{UNREACHABLE}\" message=\"{why}\"/></testcase>\n",
                junit::escape(report.host.as_str())
            ));
        }
        for judged in &report.findings {
            let Judged { check, finding } = judged;
            let object = finding.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
            let name = junit::escape(&format!("{object}{}", check.title));
            let (summary, text) = (junit::escape(&finding.summary), junit::escape(&message(report, judged)));
            let body = match finding.verdict {
                Verdict::Pass => format!("<system-out>{text}</system-out>"),
                Verdict::Skipped => format!("<skipped message=\"{summary}\"/>"),
                Verdict::CouldNotRun => format!("<error type=\"could-not-run\" message=\"{summary}\">{text}</error>"),
                Verdict::Warn => format!("<system-out>warning: {text}</system-out>"),
                Verdict::Fail => format!("<failure type=\"{}\" message=\"{summary}\">{text}</failure>", check.id),
            };
            let (class, host) = (check.id, junit::escape(report.host.as_str()));
            out.push_str(&format!("    <testcase classname=\"{host}.{class}\" name=\"{name}\">{body}</testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// The commands of GitHub Actions: what passed or does not apply is only counted.
#[must_use]
pub fn preflight_github(preflight: &Preflight, sources: &SourceMap) -> String {
    let mut out = String::new();
    let at = |report: &HostReport| {
        let place = sources.place(report.place);
        github::at(place.file.as_str(), place.line, place.column)
    };
    for (report, text) in shut(preflight) {
        out.push_str(&github::command("error", &at(report), UNREACHABLE, &text));
    }
    for (report, judged) in findings(preflight) {
        let command = match judged.finding.verdict {
            Verdict::Pass | Verdict::Skipped => continue,
            Verdict::CouldNotRun => "notice",
            Verdict::Warn => "warning",
            Verdict::Fail => "error",
        };
        out.push_str(&github::command(command, &at(report), judged.code(), &message(report, judged)));
    }
    let counts = preflight.counts();
    let counted: Vec<String> =
        Verdict::ALL.iter().map(|verdict| format!("{} {}", counts.of(*verdict), verdict.as_str())).collect();
    out.push_str(&github::command("notice", "", "preflight", &counted.join(", ")));
    out
}

/// The rule of a host that does not answer.
const UNREACHABLE: &str = "host.unreachable";

fn findings(preflight: &Preflight) -> impl Iterator<Item = (&HostReport, &Judged)> {
    preflight.hosts.iter().flat_map(|report| report.findings.iter().map(move |judged| (report, judged)))
}

/// Doors that did not open.
fn shut(preflight: &Preflight) -> impl Iterator<Item = (&HostReport, String)> {
    let hosts = preflight.hosts.iter();
    hosts.flat_map(|report| report.shut.iter().map(move |why| (report, format!("{}: {why}", report.host))))
}

/// What was found on which host, from what, and what to do, as lines of text.
fn message(report: &HostReport, Judged { check, finding }: &Judged) -> String {
    let object = finding.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
    let verdict = finding.verdict.as_str();
    let mut lines = vec![format!("{}: {verdict}: {object}{}: {}", report.host, check.title, finding.summary)];
    lines.extend(finding.evidence.iter().map(|Evidence { source, text }| format!("seen: {source}: {text}")));
    lines.extend(finding.fixes.iter().map(|fix| format!("fix: {}", fix)));
    lines.join("\n")
}

fn place(report: &HostReport, sources: &SourceMap) -> Value {
    let mut location = sarif::physical(&sources.place(report.place));
    location["logicalLocations"] = json!([{ "name": report.host.as_str(), "kind": "host" }]);
    location
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::sample;

    fn sources() -> SourceMap {
        let mut sources = SourceMap::default();
        sources.add("inv/hosts.yaml", "hq: {}\n");
        sources
    }

    #[test]
    fn the_schema_requires_what_the_document_always_has() {
        let schema = preflight_schema().to_value();
        let document = serde_json::to_value(PreflightDocument::from(&sample::preflight())).unwrap();
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(|k| k.as_str()).collect();
        let mut keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        keys.retain(|key| *key != "unplanned");
        assert_eq!(required, keys);
        assert_eq!(document["hosts"][1]["findings"][4]["verdict"], "could-not-run");
        assert_eq!(
            document["hosts"][1]["findings"][0]["fixes"][0],
            json!({ "fix": "prepare", "mend": "kernel-command-line" })
        );
    }

    #[test]
    fn sarif_tells_the_five_verdicts_apart() {
        let log = preflight_sarif(&sample::preflight(), &sources());
        let results = log["runs"][0]["results"].as_array().unwrap();
        let kinds: Vec<(&str, &str)> = results
            .iter()
            .map(|result| (result["kind"].as_str().unwrap(), result["level"].as_str().unwrap()))
            .collect();
        let expected =
            [("fail", "error"), ("fail", "warning"), ("pass", "none"), ("notApplicable", "none"), ("open", "none")];
        assert_eq!(kinds[..5], expected);
        assert_eq!(results[5]["ruleId"], "host.unreachable");
        let place = &results[0]["locations"][0];
        assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "inv/hosts.yaml");
        assert_eq!(place["logicalLocations"][0]["name"], "hq");
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(
            rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect::<Vec<_>>(),
            ["iommu-off", "host.unreachable"]
        );
    }

    #[test]
    fn junit_has_failures_errors_and_skips_and_a_warning_passes() {
        let report = preflight_junit(&sample::preflight());
        let head = "<testsuites name=\"infra preflight\" tests=\"6\" failures=\"1\" errors=\"2\" skipped=\"1\">";
        assert!(report.contains(head), "{report}");
        assert!(
            report.contains("<testsuite name=\"hq\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\">"),
            "{report}"
        );
        assert!(report.contains("<failure type=\"iommu-off\" message=\"no IOMMU is active\">"), "{report}");
        assert!(
            report.contains("message=\"`ls` failed: &lt;no&gt; &quot;such&quot; file &amp; directory\""),
            "{report}"
        );
        assert!(report.contains("<system-out>warning: hq: warn: gpu rtx4090 at 0000:01:00: "), "{report}");
    }

    #[test]
    fn github_is_told_what_is_wrong_and_how_much_is_not() {
        let commands = preflight_github(&sample::preflight(), &sources());
        let lines: Vec<&str> = commands.lines().collect();
        assert_eq!(lines.len(), 5, "{commands}");
        assert!(
            lines[0].starts_with("::error file=inv/hosts.yaml,line=1,col=1,title=host.unreachable::far: "),
            "{commands}"
        );
        assert!(
            lines[1].contains("title=preflight.iommu-off::hq: fail: the IOMMU is active: no IOMMU is active%0Aseen: "),
            "{commands}"
        );
        assert!(lines[2].starts_with("::warning ") && lines[3].starts_with("::notice "), "{commands}");
        assert_eq!(lines[4], "::notice title=preflight::1 fail, 1 warn, 1 pass, 1 could not run, 1 skipped");
    }
}
