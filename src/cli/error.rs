//! The only place where errors become text for a person, and exit codes.

use super::Exit;
use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use crate::ui::PromptError;

/// Why a command ends before its time.
#[derive(Debug)]
pub struct CommandError {
    /// With which exit code.
    pub exit: Exit,
    /// What to tell the person.
    pub diagnostics: Diagnostics,
    /// The texts that the diagnostics point into.
    pub sources: SourceMap,
}

impl CommandError {
    /// Problems in files.
    pub fn in_files(diagnostics: Diagnostics, sources: SourceMap) -> Self {
        Self { exit: Exit::Failed, diagnostics, sources }
    }

    /// The same with another exit code.
    #[must_use]
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl From<Diagnostic> for CommandError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::in_files(diagnostic.into(), SourceMap::default())
    }
}

impl From<Diagnostics> for CommandError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::in_files(diagnostics, SourceMap::default())
    }
}

impl From<PromptError> for CommandError {
    fn from(error: PromptError) -> Self {
        let diagnostic = Diagnostic::error("cli.prompt", error.to_string());
        match error {
            PromptError::NotInteractive { flag } => {
                Self::from(diagnostic.hint(format!("answer it with `{flag}`"))).with_exit(Exit::Usage)
            }
            PromptError::Interrupted => Self::from(diagnostic).with_exit(Exit::Interrupted),
            PromptError::Io(source) => diagnostic.cause(source.to_string()).into(),
        }
    }
}

/// stdout could not be written; that its reader left never gets here.
impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Diagnostic::error("cli.output", "the answer cannot be written").cause(error.to_string()).into()
    }
}

impl From<serde_json::Error> for CommandError {
    fn from(error: serde_json::Error) -> Self {
        Diagnostic::error("cli.output", "the answer has no form in JSON").cause(error.to_string()).into()
    }
}

/// A file or directory that could not be read or written.
pub(super) fn file(verb: &str, path: impl std::fmt::Display, error: &std::io::Error) -> CommandError {
    Diagnostic::error("cli.file", format!("`{path}` cannot be {verb}")).cause(error.to_string()).into()
}
