//! What answers behind the lab's SSH door: a small POSIX shell over the [`World`](super::world::World).
//!
//! Owns the syntax that our batches and single commands use (simple commands, quoting, `$?`, `&&`,
//! `||`, pipes, a few redirections), an explicit list of programs, and the view of the world as files. It is
//! deliberately no general shell: what it does not know it refuses as `sh` refuses nonsense, with a
//! message and exit code 2 or 127, and never guesses. Programs that are Proxmox's go through the rules
//! of the API as root@pam. The entry is [`run_line`].

mod call;
mod direct;
mod edit;
mod guest_tree;
mod interpreter;
mod kernel;
mod pmxcfs;
pub mod programs;
mod syntax;
mod tree;
pub mod units;

pub use call::{Call, Program};
pub use direct::DirectShell;
pub(in crate::lab) use edit::write;
pub use interpreter::{reads_input, run_in_guest, run_line};
pub(in crate::lab) use tree::read;
