//! What goes wrong while a tree becomes a typed value.

use std::fmt;

use crate::diag::{Invalid, Span, did_you_mean};

/// A problem on its way up; the innermost node that it passes becomes its place.
#[derive(Debug)]
pub(super) struct DecodeError {
    pub(super) code: &'static str,
    pub(super) what: Invalid,
    /// The field that was missing, if that is the problem.
    pub(super) missing: Option<&'static str>,
    pub(super) place: Option<(u32, Span)>,
}

impl DecodeError {
    pub(super) fn new(code: &'static str, what: Invalid) -> Self {
        Self { code, what, missing: None, place: None }
    }

    pub(super) fn mismatch(expected: &str, found: &str, hint: Option<String>) -> Self {
        Self::new("inventory.type", Invalid { problem: format!("expected {expected}, found {found}"), hint })
    }

    pub(super) fn at(mut self, id: u32, span: Span) -> Self {
        self.place.get_or_insert((id, span));
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("inventory.value", Invalid::from_message(&message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        let what = Invalid::new(format!("`{field}` is missing"));
        Self { missing: Some(field), ..Self::new("inventory.missing", what) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let list = expected.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let hint = did_you_mean(variant, expected.iter().copied());
        let allowed = format!("allowed are {list}");
        Self::new(
            "inventory.value",
            Invalid::new(format!("`{}` is not known here", variant.escape_debug())).hint(match hint {
                Some(hint) => format!("{hint} {allowed}"),
                None => allowed,
            }),
        )
    }
}
