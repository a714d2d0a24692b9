//! The guest in which a step's commands run and its files are written.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Vmid;

/// A guest as its host reaches into it: no network and no login of the guest's own is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Inside {
    /// By `pct exec`: as the container's root, while it runs.
    Container {
        /// Which.
        vmid: Vmid,
    },
    /// By the guest agent, `qm guest exec`: as the VM's root, while its agent answers.
    Vm {
        /// Which.
        vmid: Vmid,
    },
}

impl Inside {
    /// Its number.
    #[must_use]
    pub fn vmid(self) -> Vmid {
        match self {
            Self::Container { vmid } | Self::Vm { vmid } => vmid,
        }
    }

    /// `argv` as the host runs it, for at most so many seconds; with `input` if standard input follows.
    ///
    /// `qm guest exec` waits for 30 s unless told otherwise and gives the number of the process back then; it passes on
    /// at most 1 MiB of input (qemu-server, `PVE::CLI::qm`).
    #[must_use]
    pub fn argv(self, argv: &[String], seconds: u64, input: bool) -> Vec<String> {
        let vmid = self.vmid().to_string();
        let mut outer: Vec<String> = match self {
            Self::Container { .. } => vec!["pct".into(), "exec".into(), vmid],
            Self::Vm { .. } => {
                let seconds = seconds.to_string();
                ["qm", "guest", "exec", &vmid, "--timeout", &seconds].map(str::to_owned).to_vec()
            }
        };
        if input && matches!(self, Self::Vm { .. }) {
            outer.extend(["--pass-stdin".to_owned(), "1".to_owned()]);
        }
        outer.push("--".to_owned());
        outer.extend(argv.iter().cloned());
        outer
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { vmid } => write!(f, "container {vmid}"),
            Self::Vm { vmid } => write!(f, "VM {vmid}"),
        }
    }
}
