//! `test`: everything that must hold before a change is taken in.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::process::{cargo, installed, show, succeeds};

/// A program that some suites run for real, the Debian package that holds it, and what goes without.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("sshd", "openssh-server", "ssh_real (the SSH door against a real sshd)"),
    ("ssh-keygen", "openssh-client", "ssh_real and the lab's SSH door as other clients see it"),
    ("curl", "curl", "the lab's API as other clients see it"),
];

/// Recorded answers and descriptions of the Proxmox VE API, and what goes without.
const RECORDINGS: (&str, &str) =
    ("INFRA_SHARED", "contract (every request against the API descriptions of 8.4, 9.1 and 9.2)");

/// Runs everything; whether all of it holds. What could not run is said at the end, not hidden.
pub fn run(install: bool) -> Result<bool> {
    let mut not_run = prepare(install || std::env::var_os("CI").is_some())?;
    if recordings().is_none() {
        not_run.push(format!("{}: set {} to the directory that holds pve/", RECORDINGS.1, RECORDINGS.0));
    }

    let mut failed = Vec::new();
    let mut stage = |name: &str, run: &mut dyn FnMut() -> Result<bool>| -> Result<()> {
        println!("\n== {name}");
        let start = Instant::now();
        let fine = run()?;
        println!("== {name}: {} ({:.0} s)", if fine { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
        if !fine {
            failed.push(name.to_owned());
        }
        Ok(())
    };
    stage("format", &mut || succeeds(cargo().args(["fmt", "--all", "--check"])))?;
    stage("layers", &mut crate::layers::run)?;
    stage("lints", &mut || {
        let flags = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        succeeds(cargo().args(flags))
    })?;
    stage("tests", &mut || {
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked"]);
        if let Some(path) = recordings() {
            command.env(RECORDINGS.0, path);
        }
        succeeds(&mut command)
    })?;
    stage("generated documents", &mut || crate::generate::run(true))?;
    if installed("cargo-deny") {
        stage("dependencies", &mut || deny(&mut not_run))?;
    } else {
        not_run.push("dependencies (deny.toml): `cargo install --locked cargo-deny`".to_owned());
    }

    println!();
    for line in &not_run {
        println!("not run: {line}");
    }
    match failed.as_slice() {
        [] => println!("all that ran holds"),
        failed => println!("FAILED: {}", failed.join(", ")),
    }
    Ok(failed.is_empty())
}

/// Sees which programs are missing, installs them if it may, and gives what is still missing.
fn prepare(may_install: bool) -> Result<Vec<String>> {
    let missing = || PROGRAMS.iter().filter(|(program, _, _)| !installed(program));
    let mut packages: Vec<&str> = missing().map(|(_, package, _)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    if may_install && installed("apt-get") && is_root() {
        let apt = |args: &[&str]| {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
            println!("{}", show(&command));
            succeeds(&mut command)
        };
        let install = [&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat();
        if !(apt(&["update", "--quiet"])? && apt(&install)?) {
            println!("installing failed; going on without");
        }
    }
    Ok(missing().map(|(_, package, without)| format!("{without}: `apt-get install {package}`")).collect())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn recordings() -> Option<PathBuf> {
    let named = std::env::var_os(RECORDINGS.0).map(PathBuf::from);
    let beside = crate::root().parent().map(|parent| parent.join("shared"));
    named.into_iter().chain(beside).find(|path| path.join("pve").is_dir())
}

/// Licences, bans and sources need no network; advisories need their database.
fn deny(not_run: &mut Vec<String>) -> Result<bool> {
    let offline = succeeds(cargo().args(["deny", "--offline", "check", "bans", "licenses", "sources"]))?;
    let database = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
        .is_some_and(|home| home.join("advisory-dbs").is_dir());
    if !database {
        not_run.push("advisories: their database is not here; `cargo deny fetch` gets it".to_owned());
        return Ok(offline);
    }
    Ok(succeeds(cargo().args(["deny", "--offline", "check", "advisories"]))? && offline)
}
