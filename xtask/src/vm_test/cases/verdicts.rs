//! What `infra preflight` found, read from its JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::vm_test::infra::Called;

/// Verdicts by check and object, each with its summary.
pub struct Verdicts(BTreeMap<(String, String), (String, String)>);

impl Verdicts {
    /// Reads the answer.
    pub fn read(called: &Called) -> Result<Self> {
        let answer: Value = serde_json::from_str(&called.stdout)
            .with_context(|| format!("infra preflight gave no JSON: {}{}", called.stdout, called.stderr))?;
        let Some([host]) = answer["hosts"].as_array().map(Vec::as_slice) else {
            bail!("infra preflight did not judge one host: {answer}");
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = host["findings"].as_array().into_iter().flatten().map(|finding| {
            let what = (text(&finding["check"]), text(&finding["object"]));
            (what, (text(&finding["verdict"]), text(&finding["summary"])))
        });
        Ok(Self(findings.collect()))
    }

    /// The worst verdict of a check, over all its objects.
    pub fn of(&self, check: &str) -> Option<&str> {
        let worst = ["fail", "could-not-run", "warn", "pass", "skipped"];
        let rank = |verdict: &str| worst.iter().position(|known| *known == verdict);
        let of_check = self.0.iter().filter(|((id, _), _)| id == check).map(|(_, (verdict, _))| verdict.as_str());
        of_check.min_by_key(|verdict| rank(verdict))
    }

    /// Ends the case unless the check came to this verdict.
    pub fn must(&self, check: &str, verdict: &str) -> Result<()> {
        match self.of(check) {
            Some(seen) if seen == verdict => Ok(()),
            seen => bail!("check {check} should say `{verdict}` and says `{}`", seen.unwrap_or("nothing")),
        }
    }

    /// Whether anything fails.
    pub fn unfit(&self) -> bool {
        self.0.values().any(|(verdict, _)| verdict == "fail")
    }

    /// Checks and objects that fail.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.0.iter().filter(|(_, (verdict, _))| verdict == "fail");
        failed.map(|((check, object), _)| format!("{check} {object}").trim_end().to_owned()).collect()
    }

    /// All that does not pass, a line each, and how many of what.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for ((check, object), (verdict, summary)) in &self.0 {
            *counts.entry(verdict).or_default() += 1;
            if !["pass", "skipped"].contains(&verdict.as_str()) {
                let object = if object.is_empty() { String::new() } else { format!(" {object}") };
                let _ = writeln!(text, "{verdict:13} {check}{object}: {summary}");
            }
        }
        let counts: Vec<String> = counts.into_iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let _ = writeln!(text, "{}", counts.join(", "));
        text
    }
}
