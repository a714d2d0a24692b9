//! Facts about the host below Proxmox: one file each, its commands and the pure reader of what they print.
//!
//! All commands of all facts go into one batch, which is one round trip. They only read, need nothing
//! that Proxmox VE does not ship, and work under dash. A missing program or an unreadable file makes its
//! own fact unavailable and nothing else. The entry is [`Probe`].

mod iommu;
mod kernel;

use std::ops::Range;

use crate::diag::Invalid;
use crate::model::machine::Machine;
use crate::model::observed::Fact;
use crate::ports::{Batch, Output};

/// What is asked for beyond what every host has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {}

/// Where in a batch the answers about a machine are.
#[derive(Debug)]
pub struct Probe {
    kernel: Range<usize>,
    iommu: Range<usize>,
}

impl Probe {
    /// Adds the commands of every fact to a batch.
    pub fn push(batch: &mut Batch, _question: &Question) -> Self {
        Self { kernel: push(batch, kernel::COMMANDS), iommu: push(batch, iommu::COMMANDS) }
    }

    /// Reads every fact from the outputs of the batch.
    #[must_use]
    pub fn read(&self, outputs: &[Output]) -> Machine {
        Machine {
            kernel: fact(kernel::read(&outputs[self.kernel.clone()])),
            iommu: fact(iommu::read(&outputs[self.iommu.clone()])),
        }
    }
}

fn push(batch: &mut Batch, commands: &[&[&str]]) -> Range<usize> {
    let start = batch.len();
    for argv in commands {
        batch.push(argv.iter().copied());
    }
    start..batch.len()
}

fn fact<T>(read: Result<T, Invalid>) -> Fact<T> {
    match read {
        Ok(value) => Fact::complete(value),
        Err(invalid) => Fact::unavailable(invalid.problem),
    }
}
