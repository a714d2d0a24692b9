//! `test`: everything that must hold before a change is taken in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::process::{cargo, installed, is_root, may_install, show, succeeds};

/// A program that some suites run for real, the Debian package that holds it, and what goes without.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("sshd", "openssh-server", "ssh_real (the SSH door against a real sshd)"),
    ("ssh-keygen", "openssh-client", "ssh_real (keys for it)"),
    ("caddy", "caddy", "edge_real (rendered routes served by a real Caddy)"),
    ("named-checkzone", "bind9-utils", "edge_real (zone files against BIND)"),
    ("promtool", "prometheus", "stack_real (what is rendered for Prometheus)"),
    ("amtool", "prometheus-alertmanager", "stack_real (what is rendered for Alertmanager)"),
    ("redis-server", "redis-server", "stack_real (Redis with LiteLLM's proxy)"),
    ("docker-registry", "docker-registry", "images_lock (digests asked of a real registry)"),
    ("nft", "nftables", "edge_real (rulesets against nft)"),
    ("ufw", "ufw", "edge_real (commands against ufw)"),
    ("age", "age", "secrets_cli (files encrypted with age)"),
    ("age-keygen", "age", "secrets_cli (identities of age)"),
    ("pass", "pass", "secrets_cli (the password store)"),
    ("gpg", "gnupg", "secrets_cli (keys of the password store)"),
    ("ip", "iproute2", "firewall_kernel (isolation against this kernel)"),
    ("iptables-restore", "iptables", "firewall_kernel (isolation against this kernel)"),
    ("ipset", "ipset", "firewall_kernel (isolation against this kernel)"),
    ("lxc-start", "lxc", "engine_real (a real Docker engine in system containers)"),
    ("debootstrap", "debootstrap", "engine_real (what those containers are made of)"),
];

/// The version of cargo-deny that `deny.toml` was written for.
const DENY_VERSION: &str = "0.20.2";

/// Recorded answers and descriptions of the Proxmox VE API, and what goes without.
const RECORDINGS: (&str, &str) =
    ("INFRA_SHARED", "contract (every request against the API descriptions of 8.4, 9.1 and 9.2)");

/// Runs everything; whether all of it holds. What could not run is said at the end, not hidden.
pub fn run(install: bool) -> Result<bool> {
    let install = install || may_install();
    let mut not_run = prepare(install)?;
    not_run.extend(crate::real_clients::prepare(install)?);
    not_run.extend(crate::stack_real::prepare(install)?);
    not_run.extend(crate::engine_real::prepare(install)?);
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
    let held = crate::root().join("target/held.tsv");
    stage("tests", &mut || {
        let _ = std::fs::remove_file(&held);
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked"]).env("INFRA_HELD", &held);
        if let Some(path) = recordings() {
            command.env(RECORDINGS.0, path);
        }
        succeeds(&mut command)
    })?;
    stage("generated documents", &mut || crate::generate::run(true))?;
    match deny_program(install)? {
        Some(program) => stage("dependencies", &mut || deny(&program, &mut not_run))?,
        None => not_run.push("dependencies (deny.toml): `cargo install --locked cargo-deny`".to_owned()),
    }

    println!("\nservices, and what held what is rendered for them, in this run:");
    for (service, by) in services(&std::fs::read_to_string(&held).unwrap_or_default())? {
        println!("  {service:<24} {}", if by.is_empty() { "nothing".to_owned() } else { by.join("; ") });
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

/// Every service of `templates/` with what the suites said of it (`tests/it/held.rs`).
fn services(said: &str) -> Result<Vec<(String, Vec<String>)>> {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(crate::root().join("templates"))? {
        let path = entry?.path();
        if path.join("template.yaml").is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    let by = |name: &String| {
        let own = said.lines().filter_map(|line| line.split_once('\t')).filter(|(service, _)| service == name);
        let mut all: Vec<String> = own.map(|(_, by)| by.to_owned()).collect();
        all.sort();
        all.dedup();
        all
    };
    Ok(names.into_iter().map(|name| (name.clone(), by(&name))).collect())
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

fn recordings() -> Option<PathBuf> {
    let named = std::env::var_os(RECORDINGS.0).map(PathBuf::from);
    let beside = crate::root().parent().map(|parent| parent.join("shared"));
    named.into_iter().chain(beside).find(|path| path.join("pve").is_dir())
}

/// cargo-deny, built below `target/` if it is not there and may be. That takes about three minutes of
/// one core, once.
fn deny_program(may_install: bool) -> Result<Option<PathBuf>> {
    if installed("cargo-deny") {
        return Ok(Some("cargo-deny".into()));
    }
    let tools = crate::root().join("target").join("tools");
    let program = tools.join("bin").join("cargo-deny");
    if may_install && !program.is_file() {
        println!("\nbuilding cargo-deny {DENY_VERSION} (once)");
        let mut command = cargo();
        command.args(["install", "--quiet", "--locked", "--version", DENY_VERSION, "cargo-deny", "--root"]);
        if !succeeds(command.arg(&tools))? {
            println!("building failed; going on without");
        }
    }
    Ok(program.is_file().then_some(program))
}

/// Licences, bans and sources always; advisories as far as their database can be had.
fn deny(program: &Path, not_run: &mut Vec<String>) -> Result<bool> {
    let deny = |args: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(crate::root()).args(args);
        command
    };
    let fine = succeeds(&mut deny(&["check", "bans", "licenses", "sources"]))?;
    let fetched = deny(&["fetch", "db"]).output().is_ok_and(|output| output.status.success());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let kept = home.is_some_and(|home| {
        let databases = std::fs::read_dir(home.join("advisory-dbs"));
        databases
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.path().join("crates").is_dir())))
    });
    if !fetched && !kept {
        not_run.push(
            "advisories: their database cannot be fetched here; `cargo deny check` where github.com is".to_owned(),
        );
        return Ok(fine);
    }
    Ok(succeeds(&mut deny(&["--offline", "check", "advisories"]))? && fine)
}
