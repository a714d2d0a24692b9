//! Programs from PyPI that judge the lab, in an environment of their own below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::process::{installed, succeeds};

/// What they are, with their versions.
const REQUIREMENTS: &str = "tests/it/real_clients/requirements.txt";
/// Copy of it in an environment that has them all.
const STAMP: &str = "installed.txt";
/// What goes without.
const SUITE: &str = "real_clients (proxmoxer, Ansible and pve-exporter against the lab)";

/// Sees whether they are there in the versions that are asked for, installs them if it may, and says what is
/// missing.
pub fn prepare(may_install: bool) -> Result<Option<String>> {
    let venv = crate::root().join("target/real-clients/venv");
    let wanted = fs::read_to_string(crate::root().join(REQUIREMENTS))?;
    let there = || fs::read_to_string(venv.join(STAMP)).is_ok_and(|stamp| stamp == wanted);
    if !there() && may_install {
        println!("\ninstalling {} (once, half a gigabyte)", REQUIREMENTS);
        let start = Instant::now();
        if install(&venv)? {
            fs::write(venv.join(STAMP), &wanted)?;
            println!("installed in {:.0} s", start.elapsed().as_secs_f64());
        } else {
            println!("installing failed; going on without");
        }
    }
    Ok((!there()).then(|| format!("{SUITE}: `cargo xtask test --install`, which takes Python 3.11 or newer and PyPI")))
}

fn install(venv: &Path) -> Result<bool> {
    if !installed("python3") {
        return Ok(false);
    }
    // What an interrupted installation left is no ground to build on.
    if venv.exists() {
        fs::remove_dir_all(venv)?;
    }
    let program = |name: &str| -> PathBuf { venv.join("bin").join(name) };
    if !succeeds(Command::new("python3").args(["-m", "venv"]).arg(venv))? {
        return Ok(false);
    }
    let mut pip = Command::new(program("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--requirement"]);
    succeeds(pip.arg(crate::root().join(REQUIREMENTS)))
}
