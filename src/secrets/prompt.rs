//! The person at the terminal, asked once per run and never where there is none, as in CI.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::error::Failure;
use super::provider::usable;
use super::{Provider, SecretError};

/// Asks a person for a value without showing what is typed; why not, if nobody answers.
pub type Asker = Arc<dyn Fn(&str) -> Result<SecretString, String> + Send + Sync>;

/// The person at the terminal.
pub struct Prompt(Option<Asker>);

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prompt").field(&self.0.is_some()).finish()
    }
}

impl Prompt {
    /// Asked by `asker`; without one, nobody is there.
    #[must_use]
    pub fn new(asker: Option<Asker>) -> Self {
        Self(asker)
    }
}

impl Provider for Prompt {
    fn place(&self, _: &str, _: Option<&str>) -> String {
        match self.0 {
            Some(_) => "the person at the terminal".to_owned(),
            None => "a person, and there is no terminal to ask on".to_owned(),
        }
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        let Some(asker) = &self.0 else { return Ok(None) };
        let typed =
            asker(&format!("Secret `{name}`")).map_err(|why| Failure::new(why).of(name, self.place(name, at)))?;
        usable(name, &self.place(name, at), typed.expose_secret().to_owned()).map(Some)
    }

    fn asks(&self) -> bool {
        true
    }
}
