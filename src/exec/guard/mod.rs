//! Safety rule 6 carried out: armed on the host before, disarmed only after connecting anew.
//!
//! Owns what becomes of an [`Op::Guard`](crate::model::step::Op::Guard): the units and files on the host, the
//! new connections, and what is done when a guarded change does not get through. Decides nothing about what is
//! guarded and for how long: that is in the plan. Nothing but [`reconnect`] and [`Armed::disarm`] in a
//! run ever confirms a change; whoever only reads knows no way to.

mod arm;
mod connect;
mod give_up;
mod unit;

pub(super) use arm::Armed;
pub(super) use connect::reconnect;
