//! `generate`: writes what the program says of itself into `docs/`, or sees whether that is fresh.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, succeeds};

/// What is generated, below `docs/`.
const GENERATED: &[&str] = &["catalogue.md", "checks.md", "cli.md", "man", "schema"];

/// Writes the documents, or with `check` says which are stale; whether all is well.
pub fn run(check: bool) -> Result<bool> {
    let docs = crate::root().join("docs");
    let fresh = crate::root().join("target").join("generated-docs");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    let built = succeeds(cargo().args(["run", "--quiet", "--package", "infra", "--", "docs"]).arg(&fresh))?;
    ensure!(built, "`infra docs` failed");
    let (want, have) = (read(&fresh)?, read(&docs)?);

    let mut stale: Vec<String> = Vec::new();
    for (path, text) in &want {
        if have.get(path) != Some(text) {
            stale.push(path.display().to_string());
            if !check {
                let target = docs.join(path);
                fs::create_dir_all(target.parent().unwrap_or(&docs))?;
                fs::write(target, text)?;
            }
        }
    }
    for path in have.keys().filter(|path| !want.contains_key(*path)) {
        stale.push(format!("{} (no longer generated)", path.display()));
        if !check {
            fs::remove_file(docs.join(path))?;
        }
    }
    let verb = if check { "stale" } else { "written" };
    for path in &stale {
        println!("{verb}: docs/{path}");
    }
    println!("generate: {} documents, {} {verb}", want.len(), stale.len());
    if check && !stale.is_empty() {
        println!("run `cargo xtask generate` and commit what it writes");
    }
    Ok(!check || stale.is_empty())
}

/// Generated documents below `base` with their texts.
fn read(base: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = GENERATED.iter().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        let full = base.join(&path);
        if full.is_dir() {
            for entry in fs::read_dir(&full)? {
                open.push(path.join(entry?.file_name()));
            }
        } else if full.is_file() {
            let text = fs::read_to_string(&full).with_context(|| full.display().to_string())?;
            found.insert(path, text);
        }
    }
    Ok(found)
}
