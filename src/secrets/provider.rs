//! What every provider of secrets can do.

use secrecy::SecretString;

use super::SecretError;

/// Somewhere that secrets come from.
pub trait Provider: Send + Sync {
    /// Where it looks for `name`, as a person would say it; `at` is where the inventory says that it is there.
    fn place(&self, name: &str, at: Option<&str>) -> String;

    /// The secret, or nothing if it does not have it.
    ///
    /// # Errors
    /// When it has it and it cannot be used, or when it cannot tell whether it has it.
    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError>;

    /// Whether it asks a person: it comes last then, and is asked for nothing that can be had otherwise.
    fn asks(&self) -> bool {
        false
    }
}

/// A secret without the line break that editors put after it.
pub(super) fn usable(name: &str, place: &str, text: String) -> Result<SecretString, SecretError> {
    let trimmed = text.trim_end_matches(['\n', '\r']);
    let why = if trimmed.is_empty() {
        "it is empty"
    } else if trimmed.chars().any(char::is_control) {
        "it holds more than one line or control characters"
    } else if trimmed.len() == text.len() {
        return Ok(SecretString::from(text));
    } else {
        return Ok(SecretString::from(trimmed.to_owned()));
    };
    Err(SecretError::Unusable { name: name.to_owned(), place: place.to_owned(), why: why.to_owned(), hint: None })
}

/// The variable that a secret is read from: `INFRA_SECRET_HQ_TOKEN` for `hq-token`.
pub(super) fn variable(name: &str) -> String {
    format!("INFRA_SECRET_{}", upper(name))
}

/// A name as variables are written.
pub(super) fn upper(name: &str) -> String {
    name.to_ascii_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
