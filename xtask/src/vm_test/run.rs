//! The order of things: what is needed, the machine, the cases, the verdict.

use std::fs;

use anyhow::{Result, bail};

use super::cases::{self, CASES, Case};
use super::image;
use super::infra::Infra;
use super::log::Log;
use super::requirements;
use super::ssh::Keys;
use super::state::State;

/// Runs the named cases, or all; whether all of them hold.
pub fn run(arguments: &[&str]) -> Result<bool> {
    let install = arguments.contains(&"--install") || crate::process::may_install();
    let named: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--install").collect();
    let cases: Vec<&Case> = CASES.iter().filter(|case| named.is_empty() || named.contains(&case.name)).collect();
    if let Some(unknown) = named.iter().find(|name| !CASES.iter().any(|case| case.name == **name)) {
        let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        bail!("there is no case `{unknown}`; there are {}", known.join(", "));
    }

    let directory = crate::root().join("target/vm");
    fs::create_dir_all(&directory)?;
    requirements::prepare(&directory, install)?;
    let log = Log::open(&directory.join("log.txt"))?;
    let infra = log.timed("building infra", || Infra::built(&directory))?;
    let keys = Keys::made(&directory.join("keys"))?;
    let (disks, new) = image::built(&directory, &keys, &log)?;
    let state = State::saved(&directory, &disks, new, &keys, &log)?;

    let mut failed = Vec::new();
    for case in cases {
        log.line(format!("== {}: {}", case.name, case.holds));
        let began = log.elapsed();
        let result = cases::run(case, &state, &infra, &keys, &log);
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
