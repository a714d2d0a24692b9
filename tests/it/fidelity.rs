//! The counts in `docs/fidelity.md`: each suite writes its own with `INFRA_FIDELITY=write`, and holds them otherwise.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Suites run side by side and write into the same file.
static FILE: Mutex<()> = Mutex::new(());

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md")
}

/// A table in Markdown.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    out += &format!("|{}\n", "---|".repeat(head.len()));
    out.extend(rows.into_iter().map(line));
    out
}

/// Writes the counts of a suite if that is asked for; what is wrong with those in the document otherwise.
pub fn stale(suite: &str, counts: &str) -> Option<String> {
    let _alone = FILE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let begin = format!("<!-- {suite}: written with INFRA_FIDELITY=write -->\n");
    let end = format!("<!-- {suite}: end -->");
    let text = std::fs::read_to_string(file()).unwrap();
    let (before, rest) = text.split_once(&begin).expect("a place for the counts");
    let (there, after) = rest.split_once(&end).expect("an end of the counts");
    let fresh = format!("\n{counts}\n");
    if there == fresh {
        return None;
    }
    if std::env::var_os("INFRA_FIDELITY").is_some_and(|asked| asked == "write") {
        std::fs::write(file(), format!("{before}{begin}{fresh}{end}{after}")).unwrap();
        return None;
    }
    Some(format!("docs/fidelity.md: the counts of {suite} are stale: run this test with INFRA_FIDELITY=write"))
}
