//! Secrets in files of a directory, one each, that nobody else can read.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::error::Failure;
use super::provider::usable;
use super::{Provider, SecretError};

/// Secrets in files of some directories.
#[derive(Debug, Clone)]
pub struct Files(Vec<Utf8PathBuf>);

impl Files {
    /// Files of these directories, each called like its secret; the first directory that has one counts.
    pub fn new(directories: impl IntoIterator<Item = Utf8PathBuf>) -> Self {
        Self(directories.into_iter().collect())
    }

    fn paths(&self, name: &str, at: Option<&str>) -> Vec<Utf8PathBuf> {
        self.0.iter().map(|directory| directory.join(at.unwrap_or(name))).collect()
    }
}

impl Provider for Files {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        let paths: Vec<String> = self.paths(name, at).iter().map(ToString::to_string).collect();
        format!("the file {}", paths.join(" or "))
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        for path in self.paths(name, at) {
            if let Some(found) = read(name, &path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What is in a file that only its owner may read; nothing if it is not there.
pub(super) fn read(name: &str, path: &Utf8Path) -> Result<Option<SecretString>, SecretError> {
    let place = || format!("the file {path}");
    let unusable = |error: std::io::Error| Failure::new(error.to_string()).of(name, place());
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(unusable(error)),
    };
    // of the open file, not of the path: nothing can be put in its place between the two
    let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unusable)?;
    usable(name, &place(), text).map(Some)
}
