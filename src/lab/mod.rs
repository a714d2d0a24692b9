//! The lab: a simulated Proxmox VE site inside the binary.
//!
//! Owns the [`world`] (plain data) and, around it, the rules by which PVE changes and shows it. May use
//! `model`, `ports` and `diag` only: it must not share a line with our client, or it would echo our own
//! mistakes. What is claimed here about PVE is held against its published API description and against
//! recorded exchanges by tests.

pub mod guests;
pub mod shell;
pub mod site;
pub mod ssh_keys;
pub mod sshd;
pub mod world;
