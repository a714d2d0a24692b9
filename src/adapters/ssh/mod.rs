//! Commands on a host over SSH: one connection per host, several channels on it.
//!
//! Owns connecting, host keys, authentication, jumping through another host and how far a failed
//! command came. Must not know any command. A command is sent exactly once; only opening a channel,
//! before anything was sent, is tried again on a fresh connection. The entry is [`Ssh::new`].

mod auth;
mod connection;
mod door;
mod host_key;
mod known_hosts;
mod target;

pub use door::Ssh;
pub use target::{SshSettings, SshTarget};
