//! Where the values of secrets are had from, at the last moment.

use secrecy::SecretString;

/// Gives out the secrets of the inventory by name.
pub trait SecretStore: Send + Sync {
    /// The value of the secret called `name`.
    ///
    /// # Errors
    /// With why it cannot be had and what to do; the value is in no error.
    fn reveal(&self, name: &str) -> Result<SecretString, String>;
}
