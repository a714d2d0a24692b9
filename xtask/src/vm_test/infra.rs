//! The program under test, called as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::log::Log;
use super::machine::Machine;
use super::ssh::Keys;
use crate::process::{cargo, show, succeeds};

/// The binary.
pub struct Infra {
    program: PathBuf,
}

/// What a call came to.
pub struct Called {
    /// Exit code.
    pub code: Option<i32>,
    /// The answer.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Infra {
    /// Builds it, so that what is tested is what is there.
    pub fn built(target: &Path) -> Result<Self> {
        if !succeeds(cargo().args(["build", "--quiet", "--locked", "--package", "infra", "--bin", "infra"]))? {
            bail!("infra does not compile");
        }
        let program = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => PathBuf::from(directory),
            None => target.parent().map(PathBuf::from).unwrap_or_default(),
        };
        Ok(Self { program: program.join("debug/infra") })
    }

    /// The binary with nothing of our environment that would change what it does.
    pub fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("INFRA_") || name == "SSH_AUTH_SOCK" {
                command.env_remove(name);
            }
        }
        command.current_dir(directory).env("NO_COLOR", "1").env("COLUMNS", "120").stdin(Stdio::null());
        command
    }

    /// Calls it; the command line and what it said are in the log.
    pub fn call(&self, directory: &Path, arguments: &[&str], log: &Log) -> Result<Called> {
        let output = self.command(directory).args(arguments).output().context("infra does not start")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let called = Called { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        log.line(format!(
            "$ infra {}\n{}{}[exit code {}]",
            arguments.join(" "),
            called.stdout,
            called.stderr,
            called.exit()
        ));
        Ok(called)
    }
}

/// Runs the suite of `tests/vm` in a process that is not this one, against a machine.
pub fn in_process(suite: &str, machine: &Machine, keys: &Keys, log: &Log) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--locked", "--package", "infra", "--test", "vm", suite, "--", "--nocapture"]);
    command.env("INFRA_VM_PORT", machine.port().to_string()).env("INFRA_VM_KEYS", keys.directory());
    let output = command.output().context("cargo does not start")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    log.line(format!("$ {}\n{}{}", show(&command), text(&output.stdout), text(&output.stderr)));
    if !output.status.success() {
        bail!("{suite} of tests/vm does not hold");
    }
    // A name that no test has would be held by none.
    if !text(&output.stdout).contains("test result: ok.") || text(&output.stdout).contains(" 0 passed") {
        bail!("{suite} of tests/vm did not run");
    }
    Ok(())
}

impl Called {
    /// The exit code to be read by a person.
    pub fn exit(&self) -> String {
        self.code.map_or_else(|| "none".to_owned(), |code| code.to_string())
    }

    /// Itself, if it exited as it should.
    pub fn exited(self, code: i32) -> Result<Self> {
        if self.code != Some(code) {
            bail!("infra exited with {} and should have with {code}", self.exit());
        }
        Ok(self)
    }
}
