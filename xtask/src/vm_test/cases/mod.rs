//! What is held against the machine: one file per case, each from the same saved state.

mod datasets;
mod fit;
mod guard;
mod no_iommu;
mod verdicts;
mod world;

use anyhow::Result;

pub use world::{Around, World};

use super::machine::Hardware;
use super::state::State;

/// One case.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it holds.
    pub holds: &'static str,
    begin: Begin,
    run: fn(&World) -> Result<()>,
}

/// What a case begins with.
enum Begin {
    /// The machine of the saved state.
    Saved,
    /// One with other hardware, booted with parameters of the kernel.
    Booted(Hardware, &'static str),
}

/// All of them, in their order.
pub const CASES: &[Case] = &[
    Case {
        name: "fit",
        holds: "a host without IOMMU is found unfit, mended, rebooted and found fit",
        begin: Begin::Saved,
        run: fit::run,
    },
    Case {
        name: "datasets",
        holds: "datasets and their snapshots on a real pool",
        begin: Begin::Saved,
        run: datasets::run,
    },
    Case {
        name: "guard",
        holds: "what locks us out is taken back, also after a reboot",
        begin: Begin::Saved,
        run: guard::run,
    },
    Case {
        name: "no-iommu",
        holds: "an IOMMU that is asked for and does not exist is not believed in, whatever the kernel says",
        begin: Begin::Booted(Hardware { iommu: false, ..Hardware::USUAL }, "intel_iommu=on iommu=pt"),
        run: no_iommu::run,
    },
];

/// Runs one on a machine of its own.
pub fn run(case: &Case, state: &State, around: &Around) -> Result<()> {
    let machine = match case.begin {
        Begin::Saved => around.log.timed("restoring the machine's saved state", || state.restored())?,
        Begin::Booted(hardware, parameters) => {
            around.log.timed("booting another machine", || state.booted(hardware, parameters))?
        }
    };
    (case.run)(&World::around(case.name, machine, around)?)
}
