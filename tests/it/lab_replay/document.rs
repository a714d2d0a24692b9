//! The counts in `docs/fidelity.md`: written by this suite (`INFRA_REPLAY=write`), held by it otherwise.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::verdict::{Count, Verdict};

const BEGIN: &str = "<!-- replay: written by INFRA_REPLAY=write -->\n";
const END: &str = "<!-- replay: end -->";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md")
}

fn parts() -> (String, String, String) {
    let text = std::fs::read_to_string(file()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("a place for the counts");
    let (counts, after) = rest.split_once(END).expect("an end of the counts");
    (before.to_owned(), counts.to_owned(), after.to_owned())
}

fn counts(verdict: &Verdict) -> String {
    let mut out = "\n| area | agreed | listed | failed | all |\n|---|---|---|---|---|\n".to_owned();
    let areas = verdict.areas.iter().map(|(area, count)| (area.as_str(), *count));
    for (area, count) in areas.chain([("all", verdict.sum())]) {
        let Count { agreed, listed, failed } = count;
        let _ = writeln!(out, "| {area} | {agreed} | {listed} | {failed} | {} |", count.all());
    }
    out.push('\n');
    out
}

/// Writes the counts of a replay.
pub fn write(verdict: &Verdict) {
    let (before, _, after) = parts();
    std::fs::write(file(), format!("{before}{BEGIN}{}{END}{after}", counts(verdict))).unwrap();
}

/// What is wrong with the counts in the document, if anything.
pub fn stale(verdict: &Verdict) -> Option<String> {
    let fresh = parts().1 == counts(verdict);
    (!fresh).then(|| "docs/fidelity.md: the counts are stale: run this test with INFRA_REPLAY=write".to_owned())
}
