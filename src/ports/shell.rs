//! A command on a host and what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::{BoxFuture, TransportError, quote_all};

/// An argument vector with optional standard input. There is no shell syntax in it: what is in
/// `argv` arrives as it is, whatever characters it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// Standard input; closed at once if empty.
    pub stdin: Vec<u8>,
    /// How long it may run before it counts as lost.
    pub limit: Duration,
}

impl Command {
    /// A command without input that may run for a minute.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), stdin: Vec::new(), limit: Duration::from_secs(60) }
    }

    /// Gives it standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Sets how long it may run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The one line that a remote `sh` reads.
    #[must_use]
    pub fn line(&self) -> String {
        quote_all(&self.argv)
    }
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + n when signal n ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Runs commands as the user that the connection was made for.
pub trait Shell: Send + Sync {
    /// Runs exactly once; a non-zero exit code is an answer, not an error.
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>>;

    /// A door to the same place that shares no connection with this one: whether somebody can still get in is
    /// not told by a connection that stands. `None` where there is no such thing.
    fn anew(&self) -> Option<Arc<dyn Shell>> {
        None
    }
}

impl Shell for Arc<dyn Shell> {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        (**self).run(command)
    }

    fn anew(&self) -> Option<Self> {
        (**self).anew()
    }
}
