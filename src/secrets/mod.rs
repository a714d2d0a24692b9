//! Where secrets come from: an explicit, ordered list of providers, one file each.
//!
//! Owns the way from a name (`secret:hq-token`) to a [`SecretString`]. A secret lives in memory only:
//! it is in no error, no log and no other process's arguments. Entry: [`Secrets::resolve`].

mod env;
mod file;
mod stand_in;

use camino::Utf8PathBuf;
use secrecy::SecretString;

use crate::ports::SecretStore;

pub use env::Environment;
pub use file::Directory;
pub use stand_in::StandIns;

/// Why a secret could not be read. Its value is in none of these.
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
    /// It is there, but cannot be used.
    #[error("secret `{name}` in {place}: {why}")]
    Unusable {
        /// Its name.
        name: String,
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
}

impl SecretError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { places, .. } => {
                places.first().map(|first| format!("provide it in one of them, such as {first}"))
            }
            Self::Name { .. } => Some("use lower-case letters, digits and dashes, such as `hq-token`".to_owned()),
            Self::Exposed { path, .. } => {
                Some(format!("chmod 600 {path}, and make a new secret if others may have read it"))
            }
            Self::Unusable { .. } => None,
        }
    }
}

/// Somewhere that secrets come from.
pub trait Provider: Send + Sync {
    /// Where it looks for `name`, as a person would say it.
    fn place(&self, name: &str) -> String;

    /// The secret, or nothing if it does not have it.
    ///
    /// # Errors
    /// When it has it and it cannot be used.
    fn get(&self, name: &str) -> Result<Option<SecretString>, SecretError>;
}

/// Providers in the order in which they are asked.
pub struct Secrets(Vec<Box<dyn Provider>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("providers", &self.0.len()).finish()
    }
}

impl Secrets {
    /// Asks these providers, in this order.
    #[must_use]
    pub fn new(providers: Vec<Box<dyn Provider>>) -> Self {
        Self(providers)
    }

    /// The usual order: the environment, then a `secrets` directory in each of `directories`.
    #[must_use]
    pub fn standard(directories: impl IntoIterator<Item = Utf8PathBuf>) -> Self {
        let mut providers: Vec<Box<dyn Provider>> = vec![Box::new(Environment::of_process())];
        for directory in directories {
            providers.push(Box::new(Directory::new(directory.join("secrets"))));
        }
        Self(providers)
    }

    /// The secret called `name`, from the first provider that has it.
    ///
    /// # Errors
    /// When nobody has it, or the first who has it cannot use it: a later one is not asked then, since
    /// it would hide the mistake.
    pub fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('-') {
            return Err(SecretError::Name { name: name.to_owned() });
        }
        for provider in &self.0 {
            if let Some(secret) = provider.get(name)? {
                return Ok(secret);
            }
        }
        let places = self.0.iter().map(|provider| provider.place(name)).collect();
        Err(SecretError::Missing { name: name.to_owned(), places })
    }
}

impl SecretStore for Secrets {
    fn reveal(&self, name: &str) -> Result<SecretString, String> {
        self.resolve(name).map_err(|error| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    }
}

/// A secret without the line break that editors put after it.
fn usable(name: &str, place: &str, text: String) -> Result<SecretString, SecretError> {
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
    Err(SecretError::Unusable { name: name.to_owned(), place: place.to_owned(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn directory(files: &[(&str, &str, u32)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        for (name, text, mode) in files {
            std::fs::write(path.join(name), text).unwrap();
            std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        (dir, path)
    }

    fn secrets(variables: &[(&str, &str)], path: &camino::Utf8Path) -> Secrets {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment::new(move |name| variables.get(name).cloned());
        Secrets::new(vec![Box::new(environment), Box::new(Directory::new(path.to_owned()))])
    }

    #[test]
    fn the_environment_comes_first_and_a_final_line_break_is_none_of_the_secret() {
        let (_guard, path) = directory(&[("hq-token", "from-file\n", 0o600), ("other", "x", 0o400)]);
        let both = secrets(&[("INFRA_SECRET_HQ_TOKEN", "from-env")], &path);
        assert_eq!(both.resolve("hq-token").unwrap().expose_secret(), "from-env");
        assert_eq!(both.resolve("other").unwrap().expose_secret(), "x");
        assert_eq!(secrets(&[], &path).resolve("hq-token").unwrap().expose_secret(), "from-file");
    }

    #[test]
    fn a_missing_secret_names_every_place_that_was_looked_at() {
        let (_guard, path) = directory(&[]);
        let error = secrets(&[], &path).resolve("hq-token").unwrap_err();
        assert!(error.to_string().contains("INFRA_SECRET_HQ_TOKEN"), "{error}");
        assert!(error.to_string().contains(path.join("hq-token").as_str()), "{error}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let (_guard, path) = directory(&[("hq-token", "s3cret", mode)]);
            let error = secrets(&[], &path).resolve("hq-token").unwrap_err();
            assert!(matches!(&error, SecretError::Exposed { mode: seen, .. } if *seen == mode), "{error}");
            assert!(error.hint().unwrap().starts_with("chmod 600"));
            assert!(!format!("{error:?}{error}").contains("s3cret"));
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_said_without_showing_it() {
        let (_guard, path) = directory(&[("empty", "\n", 0o600), ("lines", "s3cret\nmore\n", 0o600)]);
        for name in ["empty", "lines"] {
            let error = secrets(&[], &path).resolve(name).unwrap_err();
            assert!(matches!(error, SecretError::Unusable { .. }));
            assert!(!format!("{error:?}{error}").contains("s3cret"));
        }
        for name in ["", "../hq-token", "a/b", "HQ", "-a", "a_b"] {
            assert!(matches!(secrets(&[], &path).resolve(name), Err(SecretError::Name { .. })), "{name}");
        }
    }
}
