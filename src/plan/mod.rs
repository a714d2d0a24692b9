//! Changes and steps joined into one immutable plan.
//!
//! Owns [`Plan`], how it is built from a blueprint and an observation, the graph of its steps, its
//! check against itself and its saved form. Decides everything that an apply will do; does no I/O.

mod saved;

pub use saved::{Gap, Memory, Orphan, Plan, Summary};
