//! Proof of use of services and models, from inside the guests that they run in.
//!
//! Everything is a script in a guest, its reader and its judge, all pure; [`ask_services`] runs them. It reads, beside
//! what a request leaves behind: a record, and a model in memory. A fault makes the check fail that is about it; what
//! cannot work for that is left out and says why ([`services`]).

mod asker;
mod completion;
mod containers;
mod expect;
mod facts;
mod inner_names;
mod models;
mod pace;
mod records;
mod room;
mod run;
mod services;
#[cfg(test)]
mod tests;
mod uses;

pub use asker::{Ended, Reply, Request, read as read_replies, script as requests_script};
pub use pace::{LastGood, Pace, judge as judge_pace};
pub use run::{Options, ask_services};
