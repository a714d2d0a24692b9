//! The only place where errors become text for a person, and exit codes.

use super::Exit;
use crate::adapters::{HttpsError, OpnSenseError, TailnetError};
use crate::blueprint::{Host, SecretRef, Tailnet};
use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use crate::exec::RunError;
use crate::exec::journal::JournalError;
use crate::exec::lease::LeaseError;
use crate::lab::LabError;
use crate::model::HostName;
use crate::rehearsal::RehearsalError;
use crate::secrets::SecretError;
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

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        Diagnostic::error("run.journal", "the journal of runs cannot be used")
            .cause(error.to_string())
            .hint("nothing is done that cannot be written down: see to the state directory, or name another with `--state-dir`")
            .into()
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Journal(error) => error.into(),
        }
    }
}

/// A rehearsal that could not be begun.
pub(super) fn rehearsal(error: &RehearsalError) -> CommandError {
    Diagnostic::error("rehearsal.begin", "the plan cannot be rehearsed").cause(error.to_string()).into()
}

/// Somebody else's run, or a host where none can be kept away.
pub(super) fn lease(error: &LeaseError) -> CommandError {
    Diagnostic::error("run.lease", error.to_string()).hint_maybe(error.hint()).into()
}

/// A host whose API cannot be talked to as the inventory says.
pub(super) fn door(host: &HostName, error: &HttpsError) -> CommandError {
    Diagnostic::error("host.access", format!("the API of {host} cannot be used")).cause(error.to_string()).into()
}

/// A secret that could not be had.
pub(super) fn secret(error: &SecretError, host: &Host) -> Diagnostic {
    let token = &host.access.api.token;
    Diagnostic::error("secret.missing", format!("the secret `{}` of {} cannot be had", token.name, host.name))
        .cause(error.to_string())
        .hint_maybe(error.hint())
        .at(token.span, "asked for here")
}

/// The key of the tailnet cannot be had.
pub(super) fn tailnet_secret(error: &SecretError, tailnet: &Tailnet) -> Diagnostic {
    Diagnostic::error("secret.missing", format!("the secret `{}` of the tailnet cannot be had", tailnet.key.name))
        .cause(error.to_string())
        .hint_maybe(error.hint())
        .at(tailnet.key.span, "asked for here")
}

/// A part of what opens an OPNsense cannot be had.
pub(super) fn opnsense_secret(error: &SecretError, part: &SecretRef) -> Diagnostic {
    Diagnostic::error("secret.missing", format!("the secret `{}` of the OPNsense cannot be had", part.name))
        .cause(error.to_string())
        .hint_maybe(error.hint())
        .at(part.span, "asked for here")
}

/// An OPNsense cannot be used at all.
pub(super) fn opnsense_door(error: &OpnSenseError) -> CommandError {
    Diagnostic::error("opnsense.access", "the OPNsense's API cannot be used").cause(error.to_string()).into()
}

/// The control plane of the tailnet cannot be used at all.
pub(super) fn tailnet_door(error: &TailnetError) -> CommandError {
    Diagnostic::error("tailnet.access", "the tailnet's API cannot be used").cause(error.to_string()).into()
}

/// The lab does not start, or cannot go on.
pub(super) fn lab(error: &LabError) -> CommandError {
    let diagnostic = Diagnostic::error("lab.start", "the lab cannot be started").cause(error.to_string());
    let hint = match error {
        LabError::Busy { .. } => Some("stop the other `infra lab serve`, or use it: its first line says how"),
        LabError::Format { .. } => Some("remove the lab's directory to begin with a new world"),
        LabError::State { .. } | LabError::Scenario { .. } | LabError::Serve(_) => None,
    };
    diagnostic.hint_maybe(hint.map(ToOwned::to_owned)).into()
}

/// The runtime could not be started.
pub(super) fn runtime(error: &std::io::Error) -> CommandError {
    Diagnostic::error("cli.runtime", "threads cannot be started").cause(error.to_string()).into()
}

/// Signals cannot be listened to.
pub(super) fn signals(error: &std::io::Error) -> CommandError {
    Diagnostic::error("cli.signals", "signals cannot be listened to").cause(error.to_string()).into()
}

/// The person stopped it before anything was changed.
pub(super) fn interrupted() -> CommandError {
    let diagnostic = Diagnostic::error("cli.interrupted", "interrupted; nothing was changed");
    CommandError::from(diagnostic).with_exit(Exit::Interrupted)
}

/// A file or directory that could not be read or written.
pub(super) fn file(verb: &str, path: impl std::fmt::Display, error: &std::io::Error) -> CommandError {
    Diagnostic::error("cli.file", format!("`{path}` cannot be {verb}")).cause(error.to_string()).into()
}
