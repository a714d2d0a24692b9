//! Why something could not be read, in one line.

use crate::client::CallError;
use crate::ports::TransportError;
use crate::proxmox::FailureKind;

/// The failure, and the way out where there is one that the operator must take.
pub(super) fn of(error: &CallError) -> String {
    let locked_out = matches!(error.kind(), Some(FailureKind::Unauthenticated | FailureKind::Forbidden))
        || matches!(error, CallError::Transport(TransportError::Refused { .. }));
    match error.hint().filter(|_| locked_out) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// The same for a door that did not open.
pub(super) fn of_transport(error: &TransportError) -> String {
    of(&CallError::Transport(error.clone()))
}
