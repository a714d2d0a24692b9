//! Proof of use: what is asked from inside guests, one file per probe.
//!
//! What must be open is tried and found open, what must be closed is tried and found closed; nothing is concluded
//! from a silence that has another cause. Reads only; listeners that stand for a moment are asked for.

mod ask;
mod dns_query;
mod inside;
mod listeners;
mod names;
mod proof;
mod reachability;
mod sites;
mod six;
mod sockets;
mod stack;

pub use ask::{ask, ask_names, ask_sites, ask_six, listen, listening};
pub use dns_query::{Record, Reply, question, reply};
pub use listeners::{LIFE_S, read as read_listeners, script as listener_script};
pub use names::{Lookup, Lookups, judge as judge_names, lookups, script_at as names_script};
pub use proof::{Measured, Proof, ProofKind};
pub use reachability::{
    Answers, Expected, Heard, Listening, Probe, Seen, Standing, Trial, Verdict, plan, read, script, unheard, verdicts,
};
pub use sites::{Client, Visit, judge as judge_sites, script as sites_script, visits};
pub use stack::{
    Ended, LastGood, Options as StackOptions, Pace, Reply as HttpReply, Request as HttpRequest, ask_services,
    judge_pace, read_replies, requests_script,
};
