//! Programs that read what is rendered for services, below `target/`: `docker compose` 2, which Debian 12 has not, and
//! TensorZero and LiteLLM from PyPI.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process::{installed, succeeds};

const SUITE: &str = "stack_real";
/// The program inside of Debian's package.
const COMPOSE: &str = "usr/libexec/docker/cli-plugins/docker-compose";
/// TensorZero, in the version of the image that `templates/tensorzero` names.
const TENSORZERO: &str = "tensorzero==2026.6.0";
/// LiteLLM's proxy, in the version of the image that `templates/litellm` names.
const LITELLM: &str = "litellm[proxy]==1.83.14";
const STAMP: &str = "installed.txt";
/// Where Debian keeps the keys that its archive is signed with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Sees whether they are there, installs them if it may, and says what is missing.
pub fn prepare(may_install: bool) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let compose = crate::root().join("target/docker-compose");
    let plugin = || succeeds(Command::new("docker").args(["compose", "version", "--short"])).unwrap_or(false);
    let there = || compose.join(COMPOSE).is_file() || (installed("docker") && plugin());
    if !there() && may_install {
        timed("docker compose of Debian 13", || take_apart(&compose))?;
    }
    if !there() {
        missing.push(format!("{SUITE} (every compose file): install docker compose 2.26 or newer"));
    }
    for (what, folder, package) in
        [("TensorZero's loader", "venv", TENSORZERO), ("LiteLLM's proxy, half a gigabyte", "litellm", LITELLM)]
    {
        let venv = crate::root().join("target/stack-real").join(folder);
        let there = || fs::read_to_string(venv.join(STAMP)).is_ok_and(|stamp| stamp == package);
        if !there() && may_install {
            timed(package, || environment(&venv, package))?;
        }
        if !there() {
            missing.push(format!("{SUITE} ({what}): `cargo xtask test --install`, which takes Python and PyPI"));
        }
    }
    Ok(missing)
}

fn timed(what: &str, install: impl FnOnce() -> Result<bool>) -> Result<()> {
    println!("\ninstalling {what} (once)");
    let start = Instant::now();
    match install()? {
        true => println!("installed in {:.0} s", start.elapsed().as_secs_f64()),
        false => println!("installing failed; going on without"),
    }
    Ok(())
}

/// Fetches Debian 13's package beside the system's own sources, and takes it apart: the program is one file.
fn take_apart(target: &Path) -> Result<bool> {
    if !installed("apt-get") || !installed("dpkg-deb") || !Path::new(KEYS).is_file() {
        return Ok(false);
    }
    fs::create_dir_all(target.join("lists/partial"))?;
    let sources = target.join("trixie.list");
    fs::write(&sources, format!("deb [signed-by={KEYS}] http://deb.debian.org/debian trixie main\n"))?;
    let apt = |arguments: &[&str]| {
        let option = |key: &str, value: &Path| format!("{key}={}", value.display());
        let mut command = Command::new("apt-get");
        command.current_dir(target).args(["-qq", "-o", &option("Dir::Etc::sourcelist", &sources)]);
        command.args([
            "-o",
            "Dir::Etc::sourceparts=/dev/null",
            "-o",
            &option("Dir::State::Lists", &target.join("lists")),
        ]);
        succeeds(command.args(arguments))
    };
    if !(apt(&["update"])? && apt(&["download", "docker-compose"])?) {
        return Ok(false);
    }
    let packages = fs::read_dir(target)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = packages.filter(|path| path.extension().is_some_and(|end| end == "deb")).max();
    let package = package.context("apt-get said that it fetched a package")?;
    succeeds(Command::new("dpkg-deb").arg("-x").arg(package).arg(target))
}

fn environment(venv: &Path, package: &str) -> Result<bool> {
    if !installed("python3") {
        return Ok(false);
    }
    if venv.exists() {
        fs::remove_dir_all(venv)?;
    }
    if !succeeds(Command::new("python3").args(["-m", "venv"]).arg(venv))? {
        return Ok(false);
    }
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
    let fine = succeeds(&mut pip)?;
    if fine {
        fs::write(venv.join(STAMP), package)?;
    }
    Ok(fine)
}
