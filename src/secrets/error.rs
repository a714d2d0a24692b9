//! Why a secret could not be had.

use camino::Utf8PathBuf;

/// Why a secret could not be had. Its value is in none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No provider has it.
    #[error("secret `{name}` is nowhere to be found; looked at {}", .places.join(", "))]
    Missing {
        /// Its name.
        name: String,
        /// Every place that was looked at, in order.
        places: Vec<String>,
    },
    /// Nobody has it, and it is made by itself as soon as something is deployed that needs it.
    #[error("secret `{name}` is not made yet")]
    NotMade {
        /// Its name.
        name: String,
    },
    /// Its name cannot be one.
    #[error("`{name}` is not a valid name of a secret")]
    Name {
        /// The name.
        name: String,
    },
    /// It is there, but others can read it.
    #[error("{path} can be read by others (mode {mode:04o}), so what it holds is no secret")]
    Exposed {
        /// Where.
        path: Utf8PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It may be there, but cannot be used or told.
    #[error("secret `{name}` in {place}: {why}")]
    Unusable {
        /// Its name.
        name: String,
        /// Where.
        place: String,
        /// Why.
        why: String,
        /// What the operator can do.
        hint: Option<String>,
    },
}

impl SecretError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { name, places } => Some(match places.first() {
                Some(first) => {
                    format!("provide it in one of them, such as {first}, or with `infra secrets set {name}`")
                }
                None => format!("give it with `infra secrets set {name}`"),
            }),
            Self::NotMade { .. } => Some("`infra apply` makes it before it delivers it".to_owned()),
            Self::Name { .. } => Some("use letters, digits, `.`, `-`, `_`, such as `hq-token`".to_owned()),
            Self::Exposed { path, .. } => {
                Some(format!("chmod 600 {path}, and make a new secret if others may have read it"))
            }
            Self::Unusable { hint, .. } => hint.clone(),
        }
    }
}

/// Why a provider cannot tell, whichever secret it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Why.
    pub why: String,
    /// What the operator can do.
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As an error about one secret.
    pub fn of(self, name: &str, place: String) -> SecretError {
        SecretError::Unusable { name: name.to_owned(), place, why: self.why, hint: self.hint }
    }
}
