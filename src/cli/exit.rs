//! Exit codes.

use std::process::ExitCode;

/// How a command ended; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it should, and nothing is pending.
    Fine = 0,
    /// It failed or was refused; nothing is half-done.
    Failed = 1,
    /// Changes are pending; only with `--detailed-exitcode`.
    Pending = 2,
    /// A run failed and was taken back.
    RolledBack = 3,
    /// A run failed and could not be taken back entirely; what is left to do by hand was printed.
    Stuck = 4,
    /// The command line is wrong.
    Usage = 64,
    /// The person stopped it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
