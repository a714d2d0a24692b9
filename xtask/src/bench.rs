//! `bench`: what starting and planning cost.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process::{cargo, show, succeeds};

const RUNS: usize = 10;

/// Builds the release binary and times it: the quickest and the median of several runs.
pub fn run() -> Result<bool> {
    ensure!(succeeds(cargo().args(["build", "--release", "--quiet"]))?, "the release binary does not build");
    let binary = crate::root().join("target/release/infra");
    println!("binary: {:.1} MiB", std::fs::metadata(&binary)?.len() as f64 / f64::from(1 << 20));

    let state = std::env::temp_dir().join(format!("infra-bench-{}", std::process::id()));
    let infra = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.current_dir(crate::root()).env("INFRA_STATE_DIR", &state).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let lab = ["--lab", "-i", "inventories/vrooli"];
    let version = time("infra --version", &mut || infra(&["--version"]))?;
    let validate = time("infra validate", &mut || infra(&["validate", "-i", "inventories/vrooli"]))?;
    let applied = succeeds(infra(&["apply"]).args(lab).arg("--yes"))?;
    ensure!(applied, "`infra apply --lab` failed");
    let plan = time("infra plan --lab, nothing to do", &mut || {
        let mut command = infra(&["plan"]);
        command.args(lab);
        command
    })?;
    let ratio = |time: Duration| time.as_secs_f64() / version.as_secs_f64();
    println!("validate costs {:.0} times a start, an empty plan {:.0} times", ratio(validate), ratio(plan));
    if state.exists() {
        std::fs::remove_dir_all(&state)?;
    }
    Ok(true)
}

fn time(name: &str, command: &mut dyn FnMut() -> Command) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut command = command();
        let start = Instant::now();
        let fine = succeeds(&mut command)?;
        times.push(start.elapsed());
        ensure!(fine, "{} failed", show(&command));
    }
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{name}: {:.1} ms at best, {:.1} ms in the middle", milliseconds(times[0]), milliseconds(times[RUNS / 2]));
    Ok(times[RUNS / 2])
}
