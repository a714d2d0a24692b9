//! The order of things: what is needed, the machine, the cases, the verdict.

use std::fs::{self, File};

use anyhow::{Result, bail};

use super::cases::{self, Around, CASES, World};
use super::image;
use super::infra::Infra;
use super::log::Log;
use super::requirements;
use super::ssh::Keys;
use super::state::State;

/// Where the fast suites find what the machine answered.
const RECORDINGS: &str = "tests/it/recorded/vm";

/// Runs the named cases, or all; whether all of them hold.
pub fn run(arguments: &[&str]) -> Result<bool> {
    let (flags, named): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        bail!("there is no case `{unknown}`; there are {}", known.join(", "));
    }
    if let Some(unknown) = flags.iter().find(|flag| !["--install", "--record", "--hold"].contains(flag)) {
        bail!("there is no flag `{unknown}`; there are --install, --record and --hold");
    }
    let flag = |name: &str| flags.contains(&name);

    let directory = crate::root().join("target/vm");
    fs::create_dir_all(&directory)?;
    // Two would write to the same disks.
    let lock = File::create(directory.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask vm-test` is running here");
    }
    requirements::prepare(&directory, flag("--install") || crate::process::may_install())?;
    let log = Log::open(&directory.join("log.txt"))?;
    let infra = log.timed("building infra", Infra::built)?;
    let keys = Keys::made(&directory.join("keys"))?;
    let state = State::saved(&directory, image::built(&directory, &keys, &log)?, &keys, &log)?;
    let recordings = crate::root().join(RECORDINGS);
    let record = flag("--record").then_some(recordings.as_path());
    if let Some(directory) = record {
        fs::create_dir_all(directory)?;
    }
    let around = Around { infra: &infra, keys: &keys, log: &log, record };
    if flag("--hold") {
        return hold(&state, &around);
    }

    let mut failed = Vec::new();
    for case in CASES.iter().filter(|case| named.is_empty() || named.contains(&case.name)) {
        log.line(format!("== {}: {}", case.name, case.holds));
        let began = log.elapsed();
        let result = cases::run(case, &state, &around);
        let seconds = (log.elapsed() - began).as_secs_f64();
        match result {
            Ok(()) => log.line(format!("== {}: holds ({seconds:.0} s)", case.name)),
            Err(error) => {
                log.line(format!("{error:#}"));
                log.line(format!("== {}: FAILED ({seconds:.0} s)", case.name));
                failed.push(case.name);
            }
        }
    }
    match failed.as_slice() {
        [] => log.line("all that ran holds"),
        failed => log.line(format!("FAILED: {}", failed.join(", "))),
    }
    Ok(failed.is_empty())
}

/// Restores the machine and leaves it to whoever called until a line comes from the terminal.
fn hold(state: &State, around: &Around) -> Result<bool> {
    let machine = around.log.timed("restoring the machine's saved state", || state.restored())?;
    let world = World::around("hold", machine, around)?;
    println!("\n{}\n\nEnter ends it", world.by_hand());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(true)
}
