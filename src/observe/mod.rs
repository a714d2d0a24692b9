//! What is there now: everything a plan is held against, read once and in few requests.
//!
//! Owns [`observe`], which asks all hosts at the same time (a constant number of requests per host,
//! one per managed guest, one SSH batch per host), and `facts`, one file per thing that is read: how
//! it is asked for and how the answer is understood. A read that fails makes its fact partial or
//! unavailable and never fails the whole. Changes nothing, decides nothing.

pub mod facts;
mod gather;
mod guests;
mod host;
mod interest;
mod reason;
mod secret_files;
mod shell;
mod sight;
mod site;
#[cfg(test)]
mod tests;

pub use facts::machine::{Asked, Probe, Question};
pub use gather::{observe, reverts, working};
pub use interest::Interest;
