//! Carrying out a plan: every step in order, journalled before and after, undone if it must be.
//!
//! Owns the run. A command goes through it in this order: [`lease::Leases::acquire`] (nobody else
//! changes the site meanwhile), its own second look at what the plan was made from, [`Record::start`]
//! (the journal), [`apply`], its own observation of what came of it, [`Record::finish`], and
//! [`lease::Leases::release`]. Decides nothing about what to change: the plan is carried out as it
//! stands, or not at all.

mod condition;
mod guard;
pub mod journal;
pub mod lease;
mod manual;
mod ops;
pub mod reboot;
mod record;
mod recover;
mod run;
mod scheduler;
mod step;
mod teller;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod undo;

pub use manual::{Manual, render};
pub use record::{Opening, Record};
pub use run::{Applied, Ended, OnFailure, Options, RunError, Stop, apply};
pub use scheduler::Scheduler;
