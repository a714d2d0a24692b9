//! How PVE says no.

use std::collections::BTreeMap;

/// A request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A handler gave up: status (mostly 500 or 403) and text without final newline.
    Failed {
        /// HTTP status.
        status: u16,
        /// What stands in the reason phrase and in `message`.
        text: String,
    },
    /// Parameters were wrong: 400 with a text per parameter.
    Params(BTreeMap<String, String>),
    /// Refused before dispatch: empty body, everything is in the reason phrase.
    Bare {
        /// HTTP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Refused by pveproxy because of how it was sent: the body is the bare text.
    Text {
        /// HTTP status.
        status: u16,
        /// What stands in the body, and its first line in the reason phrase.
        text: String,
    },
}

impl Refusal {
    /// What `die` in a handler becomes: 500.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed { status: 500, text: text.into() }
    }

    /// 403 with PVE's wording; `what` is `/vms/100, VM.Audit`, or empty.
    #[must_use]
    pub fn denied(what: &str) -> Self {
        let text = if what.is_empty() {
            "Permission check failed".to_owned()
        } else {
            format!("Permission check failed ({what})")
        };
        Self::Failed { status: 403, text }
    }

    /// 400 for one parameter.
    pub fn param(name: &str, text: impl Into<String>) -> Self {
        Self::Params(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Failed { status, .. } | Self::Bare { status, .. } | Self::Text { status, .. } => *status,
            Self::Params(_) => 400,
        }
    }

    /// As Proxmox's own commands print it, without final newline.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Failed { text, .. } | Self::Text { text, .. } => text.clone(),
            Self::Bare { reason, .. } => reason.clone(),
            Self::Params(errors) => {
                errors.iter().fold("400 Parameter verification failed.".to_owned(), |out, (name, text)| {
                    format!("{out}\n{name}: {}", text.trim_end())
                })
            }
        }
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self::failed(text)
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Self {
        Self::failed(text)
    }
}
