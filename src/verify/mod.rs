//! Proof of use: what is asked from inside guests, one file per probe.
//!
//! What must be open is tried and found open, what must be closed is tried and found closed; nothing is concluded
//! from a silence that has another cause. Reads only.

mod ask;
mod inside;
mod reachability;

pub use ask::ask;
pub use reachability::{Answers, Expected, Probe, Seen, Standing, Trial, Verdict, plan, read, script, verdicts};
