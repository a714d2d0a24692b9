//! What a case has: the machine, a lab for what only Proxmox knows, and `infra`.

use anyhow::{Result, bail};

use crate::vm_test::infra::{self, Called, Infra};
use crate::vm_test::lab::Lab;
use crate::vm_test::log::Log;
use crate::vm_test::machine::Machine;
use crate::vm_test::ssh::{Keys, Ssh};
use crate::vm_test::state::State;

/// Where Proxmox keeps its locks.
const LOCKS: &str = "/etc/pve/priv/lock";

/// The machine as it was saved, and everything around it.
pub struct World<'a> {
    /// The running machine.
    pub machine: Machine<'a>,
    /// What is written down.
    pub log: &'a Log,
    lab: Lab,
    infra: &'a Infra,
    keys: &'a Keys,
}

impl<'a> World<'a> {
    /// Restores the machine and starts a lab beside it.
    pub fn restored(case: &str, state: &State<'a>, infra: &'a Infra, keys: &'a Keys, log: &'a Log) -> Result<Self> {
        let machine = log.timed("restoring the machine's saved state", || state.restored())?;
        let directory = crate::root().join("target/vm/cases").join(case);
        let lab = Lab::start(&directory, infra, &machine, keys)?;
        // What keeps two runs apart lies in Proxmox's cluster file system, which the machine does not have.
        machine.ssh().run(&format!("mkdir -p {LOCKS}"))?;
        log.line(format!("the API is a lab's, SSH is the machine's; {LOCKS} on the machine is the suite's"));
        Ok(Self { machine, log, lab, infra, keys })
    }

    /// Root's shell on the machine.
    pub fn ssh(&self) -> Ssh<'a> {
        self.machine.ssh()
    }

    /// Calls `infra` with the inventory that leads to the machine.
    pub fn infra(&self, words: &[&str]) -> Result<Called> {
        self.infra.call(self.lab.directory(), &self.lab.arguments(words), self.log)
    }

    /// Runs what is held against the machine through our library.
    pub fn in_process(&self, suite: &str) -> Result<()> {
        infra::in_process(suite, &self.machine, self.keys, self.log)
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
