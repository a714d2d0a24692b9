//! `layers`: a room of `src/` uses its own storey and those below, never those above.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::scan::scan;

/// Rooms by storey, from the ground up.
const STOREYS: &[(u8, &[&str])] = &[
    (0, &["diag", "event", "model", "ports"]),
    (1, &["blueprint", "inventory", "opnsense", "proxmox", "render", "resources", "tailnet"]),
    (2, &["checks", "isolation", "plan"]),
    (4, &["client", "exec", "observe", "verify"]),
    (5, &["adapters", "lab", "secrets"]),
    (6, &["rehearsal", "ui"]),
    (7, &["cli"]),
];

/// Rooms that may use only some of what is below them, and why.
const NARROWER: &[(&str, Rule)] = &[
    ("lab", Rule::Only(&["diag", "lab", "model", "ports"], "or it would echo our own mistakes")),
    (
        "ui",
        Rule::Never(
            &["adapters", "client", "exec", "observe", "lab", "secrets"],
            "views look at values, they do no work",
        ),
    ),
];

enum Rule {
    Only(&'static [&'static str], &'static str),
    Never(&'static [&'static str], &'static str),
}

/// Prints every violation; whether there is none.
pub fn run() -> Result<bool> {
    let src = crate::root().join("src");
    let mut files = Vec::new();
    collect(&src, &mut files)?;
    files.sort();
    let mut violations = Vec::new();
    let mut exempt: BTreeSet<PathBuf> = BTreeSet::new();
    let mut texts = Vec::new();
    for file in files {
        let found = scan(&fs::read_to_string(&file).with_context(|| file.display().to_string())?);
        let home = module_directory(&file);
        for module in &found.test_modules {
            exempt.insert(home.join(format!("{module}.rs")));
            exempt.insert(home.join(module).join("mod.rs"));
        }
        texts.push((file, found));
    }
    let mut seen = 0;
    for (file, found) in texts.iter().filter(|(file, _)| !exempt.contains(file)) {
        let relative = file.strip_prefix(&src).unwrap_or(file);
        let Some(room) = room(relative) else { continue };
        seen += found.uses.len();
        for used in &found.uses {
            if let Some(why) = violation(&room, &used.room)? {
                violations.push(format!("src/{}:{}: {why}", relative.display(), used.line));
            }
        }
    }
    for violation in &violations {
        println!("{violation}");
    }
    println!("layers: {} files, {seen} uses, {} violations", texts.len(), violations.len());
    Ok(violations.is_empty())
}

/// Why `room` must not use `used`, if it must not.
fn violation(room: &str, used: &str) -> Result<Option<String>> {
    let (own, other) = (storey(room)?, storey(used)?);
    if other > own {
        return Ok(Some(format!("`{room}` (storey {own}) uses `{used}` (storey {other}) above it")));
    }
    let narrower = NARROWER.iter().find(|(name, _)| *name == room).map(|(_, rule)| rule);
    Ok(match narrower {
        Some(Rule::Only(rooms, why)) if !rooms.contains(&used) => {
            Some(format!("`{room}` uses `{used}`, but may use only {}: {why}", rooms.join(", ")))
        }
        Some(Rule::Never(rooms, why)) if rooms.contains(&used) => {
            Some(format!("`{room}` must not use `{used}`: {why}"))
        }
        _ => None,
    })
}

fn storey(room: &str) -> Result<u8> {
    match STOREYS.iter().find(|(_, rooms)| rooms.contains(&room)) {
        Some((storey, _)) => Ok(*storey),
        None => bail!("`crate::{room}` is no room that `cargo xtask layers` knows: add it to its storey"),
    }
}

/// The room of a file below `src/`; the crate's root files are in none.
fn room(relative: &Path) -> Option<String> {
    let mut parts = relative.components();
    let first = parts.next()?.as_os_str().to_str()?;
    parts.next().map(|_| first.to_owned())
}

/// Where the modules that a file declares have their files.
fn module_directory(file: &Path) -> PathBuf {
    match file.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => file.parent().map(PathBuf::from).unwrap_or_default(),
        _ => file.with_extension(""),
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(room: &str, used: &str) -> bool {
        violation(room, used).unwrap().is_some()
    }

    #[test]
    fn own_storey_and_below_are_fine_and_above_is_not() {
        assert!(!refused("plan", "resources"));
        assert!(!refused("inventory", "blueprint"));
        assert!(!refused("cli", "adapters"));
        assert!(refused("plan", "exec"));
        assert!(refused("model", "plan"));
    }

    #[test]
    fn lab_knows_only_words_and_ui_does_no_work() {
        assert!(!refused("lab", "model"));
        assert!(refused("lab", "proxmox"));
        assert!(refused("lab", "plan"));
        assert!(!refused("ui", "plan"));
        assert!(refused("ui", "exec"));
    }

    #[test]
    fn a_room_that_nobody_knows_is_an_error() {
        assert!(violation("plan", "utilities").is_err());
    }

    #[test]
    fn every_room_of_the_house_has_a_storey() {
        for entry in fs::read_dir(crate::root().join("src")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                assert!(storey(path.file_name().unwrap().to_str().unwrap()).is_ok(), "{}", path.display());
            }
        }
    }
}
