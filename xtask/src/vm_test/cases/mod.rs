//! What is held against the machine: one file per case, each from the same saved state.

mod datasets;
mod fit;
mod guard;
mod world;

use anyhow::Result;

pub use world::World;

use super::infra::Infra;
use super::log::Log;
use super::ssh::Keys;
use super::state::State;

/// One case.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it holds.
    pub holds: &'static str,
    run: fn(&World) -> Result<()>,
}

/// All of them, in their order.
pub const CASES: [Case; 3] = [
    Case { name: "fit", holds: "a host without IOMMU is found unfit, mended, rebooted and found fit", run: fit::run },
    Case { name: "datasets", holds: "datasets and their snapshots on a real pool", run: datasets::run },
    Case { name: "guard", holds: "what locks us out is taken back, also after a reboot", run: guard::run },
];

/// Runs one on a machine of its own.
pub fn run(case: &Case, state: &State, infra: &Infra, keys: &Keys, log: &Log) -> Result<()> {
    let world = World::restored(case.name, state, infra, keys, log)?;
    (case.run)(&world)
}
