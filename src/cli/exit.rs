//! Exit codes.

use std::process::ExitCode;

/// How a command ended; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it should, and nothing is pending.
    Fine,
    /// It failed or was refused; nothing is half-done.
    Failed,
    /// Changes are pending; only with `--detailed-exitcode`.
    Pending,
    /// A run failed and was taken back.
    RolledBack,
    /// A run failed and could not be taken back entirely; what is left to do by hand was printed.
    Stuck,
    /// The command line is wrong.
    Usage,
    /// The person stopped it.
    Interrupted,
    /// That of a command which somebody else's system ran for us (`infra ssh`).
    Of(u8),
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Pending => 2,
            Self::RolledBack => 3,
            Self::Stuck => 4,
            Self::Usage => 64,
            Self::Interrupted => 130,
            Self::Of(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
