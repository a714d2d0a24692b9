//! The program under test, called as a user would, and the suites that use its library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::cases::Around;
use super::log::Log;
use super::machine::{Machine, outliving_nobody};
use crate::process::cargo;

/// The program, and what is held against a machine in a process of its own.
pub struct Infra {
    program: PathBuf,
    suites: PathBuf,
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
    /// Builds them, so that what is tested is what is there.
    pub fn built() -> Result<Self> {
        let mut command = cargo();
        command.args(["build", "--locked", "--package", "infra", "--bin", "infra", "--test", "vm"]);
        command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
        let output = command.output().context("cargo does not start")?;
        if !output.status.success() {
            bail!("infra does not compile");
        }
        let built: Vec<Value> =
            output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let executable = |name: &str| {
            let path =
                built.iter().find(|artifact| artifact["target"]["name"] == name && artifact["executable"].is_string());
            let path = path.and_then(|artifact| artifact["executable"].as_str());
            path.map(PathBuf::from).with_context(|| format!("cargo says nothing of {name}"))
        };
        Ok(Self { program: executable("infra")?, suites: executable("vm")? })
    }

    /// The binary with nothing of our environment that would change what it does.
    pub fn command(&self, directory: &Path) -> Command {
        let mut command = outliving_nobody(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("INFRA_") || name == "SSH_AUTH_SOCK" {
                command.env_remove(name);
            }
        }
        command.current_dir(directory).env("NO_COLOR", "1").env("COLUMNS", "120").stdin(Stdio::null());
        command
    }

    /// Runs a suite of `tests/vm` against a machine; under a name, what the machine answered is kept where recordings
    /// are wanted.
    pub fn suite(&self, suite: &str, machine: &Machine, around: &Around, name: Option<&str>) -> Result<()> {
        let mut command = Command::new(&self.suites);
        command.args([&format!("{suite}::"), "--nocapture"]).stdin(Stdio::null());
        command.env("INFRA_VM_PORT", machine.port().to_string()).env("INFRA_VM_KEYS", around.keys.directory());
        if let (Some(directory), Some(name)) = (around.record, name) {
            command.env("INFRA_VM_RECORD", directory.join(format!("{name}.jsonl")));
        }
        let output = command.output().context("tests/vm does not start")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        around.log.line(format!("$ tests/vm {suite}\n{}", said.trim()));
        if !output.status.success() {
            bail!("{suite} of tests/vm does not hold");
        }
        // A name that no test has would be held by none.
        if !said.contains("test result: ok.") || said.contains(" 0 passed") {
            bail!("{suite} of tests/vm did not run");
        }
        Ok(())
    }

    /// Calls it; the command line and what it said are in the log.
    pub fn call(&self, directory: &Path, arguments: &[&str], log: &Log) -> Result<Called> {
        let called = self.quiet(directory, arguments)?;
        log.line(format!(
            "$ infra {}\n{}{}[exit code {}]",
            arguments.join(" "),
            called.stdout,
            called.stderr,
            called.exit()
        ));
        Ok(called)
    }

    /// Calls it; what it said is the caller's to show.
    pub fn quiet(&self, directory: &Path, arguments: &[&str]) -> Result<Called> {
        let output = self.command(directory).args(arguments).output().context("infra does not start")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Called { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
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
