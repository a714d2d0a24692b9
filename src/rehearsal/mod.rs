//! Rehearsals: a plan carried out on a twin of the hosts that were observed, before it is carried out on them.
//!
//! Owns the order of things ([`rehearse`]): twins out of what was observed, the same executor, a second look, a second
//! plan that must be empty; once as quick as a host can be, once slow, so that there is a range of times. Touches no
//! host, no journal, no lease and no secret of the original. Gives a [`Report`] and no text.

mod opnsense;
mod report;
mod run;
mod scratch;
mod tailnet;
mod twins;

pub use report::{Pass, Report, Verdict};
pub use run::{RehearsalError, Request, rehearse};
