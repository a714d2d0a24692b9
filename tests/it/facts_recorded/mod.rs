//! Holds the readers of facts about a host to what real Debian hosts printed (`../shared/host`).
//!
//! One file per area. Without the recordings each says that it was not run.

mod boot;
mod passthrough;

use std::path::{Path, PathBuf};

use infra::ports::Output;

/// The recorded hosts: one directory per boot; none where the recordings are not here.
pub fn boots() -> Vec<PathBuf> {
    let shared = std::env::var_os("INFRA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("host")) else {
        println!("not run: the recordings are not here (set INFRA_SHARED)");
        return Vec::new();
    };
    let mut boots: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("INDEX.tsv").is_file()).collect();
    boots.sort();
    boots
}

/// The output of a recorded command, by the name of its file.
pub fn recorded(boot: &Path, name: &str) -> Output {
    let index = std::fs::read_to_string(boot.join("INDEX.tsv")).unwrap();
    let line = index.lines().find(|line| line.split('\t').next() == Some(name));
    let code = line.and_then(|line| line.split('\t').nth(1)).unwrap().parse().unwrap();
    let text = |suffix: &str| std::fs::read(boot.join(format!("{name}.{suffix}"))).unwrap_or_default();
    Output { code, stdout: text("txt"), stderr: text("err") }
}

/// The folder's number: `1` for `boot1-…`.
pub fn number(boot: &Path) -> char {
    boot.file_name().unwrap().to_str().unwrap().chars().nth(4).unwrap()
}
