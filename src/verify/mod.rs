//! Proof of use: what is asked from inside guests, one file per probe.
//!
//! What must be open is tried and found open, what must be closed is tried and found closed; nothing is concluded
//! from a silence that has another cause. Reads only.

mod ask;
mod inside;
mod reachability;
mod sockets;

pub use ask::{ask, listening};
pub use reachability::{
    Answers, Expected, Heard, Listening, Probe, Seen, Standing, Trial, Verdict, plan, read, script, verdicts,
};
