//! What the person sees, as views of values.
//!
//! Owns the [`Writer`] (the only thing that writes to stdout and stderr) and one view per answer: plan,
//! status, history, progress, JSON. A view takes a value and a [`Terminal`] and gives text; it does no
//! work of its own, asks no host and knows nothing of how a plan is carried out.

mod diagnostics;
mod diff_view;
mod hardware_view;
mod history_view;
mod isolation_view;
pub mod json;
mod plan_view;
mod preflight_view;
mod problem;
mod progress;
mod prompt;
mod rehearsal_view;
pub mod reports;
mod run_view;
mod secrets_view;
mod status;
mod status_view;
mod terminal;
mod text;
mod theme;
mod verification_view;
mod writer;

#[cfg(test)]
pub(crate) mod sample;

pub use diagnostics::{diagnostic_text, diagnostics_text};
pub use hardware_view::hardware_text;
pub use history_view::{moment, run_list, run_steps};
pub use isolation_view::{
    CanDocument, FlowDocument, FlowGraph, MatrixDocument, can_schema, can_text, flow_graph, flows_schema,
    matrix_schema, matrix_text,
};
pub use plan_view::{Detail, plan_text};
pub use preflight_view::{explain_text, preflight_text};
pub use problem::problem_text;
pub use progress::Progress;
pub use prompt::{PromptError, ask, ask_secret, can_ask, confirm, type_name};
pub use rehearsal_view::{RehearsalDocument, rehearsal_text};
pub use run_view::run_end;
pub use secrets_view::{
    ReplacedDocument, SecretDocument, SecretStatus, SecretsDocument, replaced_text, secrets_schema, secrets_text,
};
pub use status_view::{GuestLine, HostLine, Status, status_text};
pub use terminal::{ColourChoice, Terminal};
pub use text::{duration, join_and, plural};
pub use theme::Role;
pub use verification_view::{Verification, verification_schema, verification_text};
pub use writer::Writer;
