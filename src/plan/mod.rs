//! Changes and steps joined into one immutable plan.
//!
//! Owns [`Plan`], how it is built from a blueprint and an observation ([`build`], [`teardown`]), the
//! order of its steps, its check against itself ([`lint`]) and what of it moved since it was saved
//! ([`stale`]). Decides everything that an apply will do; does no I/O.

mod api;
mod build;
mod cluster;
mod graph;
mod lint;
mod privileges;
mod reality;
mod saved;
mod stale;
mod take_back;
#[cfg(test)]
mod tests;

pub use api::{ApiCheck, Described, hold_against_api};
pub use build::{Request, Scope, build, teardown};
pub use graph::{Cycle, order};
pub use lint::{lint, lint_ways};
pub use reality::{Demands, Fit, round, storage_demands};
pub use saved::{Gap, Memory, Orphan, Plan, Summary};
pub use stale::{Moved, stale};
pub use take_back::{Earlier, take_back};
