//! Secrets in the environment: `INFRA_SECRET_HQ_TOKEN` for `hq-token`.

use secrecy::SecretString;

use super::{Provider, SecretError, usable};

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

fn variable(name: &str) -> String {
    format!("INFRA_SECRET_{}", name.to_ascii_uppercase().replace('-', "_"))
}

impl Provider for Environment {
    fn place(&self, name: &str) -> String {
        format!("the variable {}", variable(name))
    }

    fn get(&self, name: &str) -> Result<Option<SecretString>, SecretError> {
        (self.0)(&variable(name)).map(|text| usable(name, &self.place(name), text)).transpose()
    }
}
