//! Secrets in files of a directory, one each, that nobody else can read.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use secrecy::SecretString;

use super::{Provider, SecretError, usable};

/// Secrets in files of a directory.
#[derive(Debug, Clone)]
pub struct Directory(Utf8PathBuf);

impl Directory {
    /// Files of `path`, each called like its secret.
    #[must_use]
    pub fn new(path: Utf8PathBuf) -> Self {
        Self(path)
    }
}

impl Provider for Directory {
    fn place(&self, name: &str) -> String {
        format!("the file {}", self.0.join(name))
    }

    fn get(&self, name: &str) -> Result<Option<SecretString>, SecretError> {
        let path = self.0.join(name);
        let unusable = |error: std::io::Error| SecretError::Unusable {
            name: name.to_owned(),
            place: self.place(name),
            why: error.to_string(),
        };
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(unusable(error)),
        };
        // of the open file, not of the path: nothing can be put in its place between the two
        let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path, mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        usable(name, &self.place(name), text).map(Some)
    }
}
