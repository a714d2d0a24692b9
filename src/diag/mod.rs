//! What went wrong, where, why and what to do next.
//!
//! Owns [`Diagnostic`], its collection [`Diagnostics`], and the source texts that its spans point
//! into. Must not print: `ui` renders, this room only holds. Everything that can be wrong at once is
//! accumulated; nobody stops at the first problem.

mod diagnostic;
mod invalid;
mod source;
mod suggest;

pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity};
pub use invalid::Invalid;
pub use source::{FileId, Place, SourceMap, Span, Spanned};
pub use suggest::did_you_mean;
