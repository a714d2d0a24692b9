//! What is held against an emulated machine, in this process; `cargo xtask vm-test` starts the machine.
//!
//! `cargo test` does not build this.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a suite that cannot run says so")]

mod guard;
mod machine;
mod probe;
mod snapshots;
