//! Secrets in the environment: `INFRA_SECRET_HQ_TOKEN` for `hq-token`.

use secrecy::SecretString;

use super::provider::{usable, variable};
use super::{Provider, SecretError};

type Lookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Secrets in environment variables.
pub struct Environment(Lookup);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// Variables as `lookup` knows them.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Box::new(lookup))
    }

    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }
}

impl Provider for Environment {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        format!("the variable {}", at.map_or_else(|| variable(name), str::to_owned))
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        let found = (self.0)(&at.map_or_else(|| variable(name), str::to_owned));
        found.map(|text| usable(name, &self.place(name, at), text)).transpose()
    }
}
