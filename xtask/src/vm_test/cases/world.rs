//! What a case has: the machine, a lab for what only Proxmox knows, and `infra`.

use std::path::Path;

use anyhow::{Result, bail};

use super::verdicts::Verdicts;
use crate::vm_test::infra::{Called, Infra};
use crate::vm_test::lab::Lab;
use crate::vm_test::log::Log;
use crate::vm_test::machine::Machine;
use crate::vm_test::ssh::{Keys, Ssh};

/// What only Proxmox has.
const STAND_INS: &str = include_str!("stand_ins.sh");

/// What all cases share.
pub struct Around<'a> {
    /// The program under test.
    pub infra: &'a Infra,
    /// By which the suite and the machine know one another.
    pub keys: &'a Keys,
    /// What is written down.
    pub log: &'a Log,
    /// Where recordings for the fast suites go, if they are wanted.
    pub record: Option<&'a Path>,
}

/// A machine of a case and everything around it.
pub struct World<'a> {
    /// The running machine.
    pub machine: Machine<'a>,
    /// What is written down.
    pub log: &'a Log,
    lab: Lab,
    around: &'a Around<'a>,
}

impl<'a> World<'a> {
    /// Starts a lab beside a machine.
    pub fn around(case: &str, machine: Machine<'a>, around: &'a Around<'a>) -> Result<Self> {
        let log = around.log;
        let lab = Lab::start(&crate::root().join("target/vm/cases").join(case), around.infra, &machine, around.keys)?;
        log.line("the API is a lab's, SSH is the machine's");
        Ok(Self { machine, log, lab, around })
    }

    /// Root's shell on the machine.
    pub fn ssh(&self) -> Ssh<'a> {
        self.machine.ssh()
    }

    /// Puts what changing anything takes into the place of what only Proxmox has: locks, and commands that list guests.
    pub fn stand_in(&self) -> Result<()> {
        self.ssh().run(STAND_INS)?;
        self.log.line("the suite puts /etc/pve, `qm list` and `pct list` of a host without guests on the machine");
        Ok(())
    }

    /// Calls `infra` with the inventory that leads to the machine.
    pub fn infra(&self, words: &[&str]) -> Result<Called> {
        self.around.infra.call(self.lab.directory(), &self.lab.arguments(words), self.log)
    }

    /// How to call it by hand.
    pub fn by_hand(&self) -> String {
        let (directory, flags) = (self.lab.directory().display(), self.lab.arguments(&[]).join(" "));
        format!("cd {directory}\ninfra preflight {flags}\n{}", self.ssh().by_hand())
    }

    /// What `infra preflight` says; all that does not pass is in the log.
    pub fn preflight(&self) -> Result<Verdicts> {
        let words = ["preflight", "--output", "json"];
        let called = self.around.infra.quiet(self.lab.directory(), &self.lab.arguments(&words))?;
        let verdicts = Verdicts::read(&called)?;
        self.log.line(format!("$ infra preflight\n{}[exit code {}]", verdicts.text(), called.exit()));
        if verdicts.unfit() != (called.code == Some(1)) {
            bail!("its exit code does not say what it found");
        }
        Ok(verdicts)
    }

    /// Runs a suite of `tests/vm` against the machine.
    pub fn in_process(&self, suite: &str) -> Result<()> {
        self.around.infra.suite(suite, &self.machine, self.around, None)
    }

    /// The same, and what the machine answered is kept for the fast suites where that is wanted.
    pub fn recorded(&self, suite: &str, name: &str) -> Result<()> {
        self.around.infra.suite(suite, &self.machine, self.around, Some(name))
    }

    /// Shows what the machine itself says, and takes it as it should be or ends the case.
    pub fn expect(&self, what: &str, script: &str, holds: impl Fn(&str) -> bool) -> Result<String> {
        let said = self.ssh().run(script)?;
        let shown = if said.trim().is_empty() { "(nothing)" } else { said.trim_end() };
        self.log.line(format!("machine: {what}: {shown}"));
        if !holds(&said) {
            bail!("{what} is not as it should be");
        }
        Ok(said)
    }
}
