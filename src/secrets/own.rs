//! Secrets that we keep ourselves: those that were made, and those that were given by `infra secrets set`.
//!
//! One file each, so that two operators who add different ones never meet, and so that what there is can be told without
//! opening anything. With recipients each file is encrypted with age, and the directory is safe to commit; without, it is
//! in the state directory for nobody else to read. A file is there whole or not at all; one that is there is never made
//! anew, whether it can be opened or not. A replaced value stays in `.previous` until it is let go.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};

use super::SecretError;
use super::error::Failure;
use super::provider::usable;
use super::{age, files};

/// The directory of replaced values; no secret is called so, as its name begins with a dot.
const PREVIOUS: &str = ".previous";

/// A directory with a file per secret.
#[derive(Debug, Clone)]
pub struct Own {
    directory: Utf8PathBuf,
    seal: Option<Seal>,
}

/// Whom files are encrypted for, and who opens them.
#[derive(Debug, Clone)]
struct Seal {
    recipients: Vec<String>,
    identities: Vec<Utf8PathBuf>,
}

impl Own {
    /// Files that only their owner may read, and that are not encrypted.
    #[must_use]
    pub fn open(directory: Utf8PathBuf) -> Self {
        Self { directory, seal: None }
    }

    /// Files that are encrypted for `recipients`, and opened with any of `identities`.
    #[must_use]
    pub fn sealed(directory: Utf8PathBuf, recipients: Vec<String>, identities: Vec<Utf8PathBuf>) -> Self {
        Self { directory, seal: Some(Seal { recipients, identities }) }
    }

    /// Whether what it holds is encrypted.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.directory.join(self.file(name))
    }

    fn previous_path(&self, name: &str) -> Utf8PathBuf {
        self.directory.join(PREVIOUS).join(self.file(name))
    }

    fn file(&self, name: &str) -> String {
        if self.is_sealed() { format!("{name}.age") } else { name.to_owned() }
    }

    pub(super) fn place(&self, name: &str) -> String {
        format!("the file {}", self.path(name))
    }

    /// Whether it holds the secret; nothing is opened.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn has(&self, name: &str) -> Result<bool, SecretError> {
        self.path(name).try_exists().map_err(|error| self.failed(name, error.to_string()))
    }

    /// Whether an earlier value of the secret is kept.
    #[must_use]
    pub fn has_previous(&self, name: &str) -> bool {
        self.previous_path(name).exists()
    }

    /// The secret, or nothing if it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn get(&self, name: &str) -> Result<Option<SecretString>, SecretError> {
        let path = self.path(name);
        let Some(seal) = &self.seal else { return files::read(name, &path) };
        if !self.has(name)? {
            return Ok(None);
        }
        let opened = age::decrypt(&path, &seal.identities).map_err(|failure| failure.of(name, self.place(name)))?;
        usable(name, &self.place(name), opened.expose_secret().to_owned()).map(Some)
    }

    /// Keeps a secret that is not there yet; whether it was not. One that somebody else put there meanwhile stays.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn add(&self, name: &str, value: &SecretString) -> Result<bool, SecretError> {
        let new = self.write(name, value)?;
        let linked = std::fs::hard_link(&new, self.path(name));
        self.gone(name, &new)?;
        match linked {
            Ok(()) => self.synced(name, &self.directory).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.failed(name, error.to_string())),
        }
    }

    /// Keeps another value, and the one before it until it is let go. Of several in a row the first stays: it is the one
    /// that was delivered.
    ///
    /// # Errors
    /// When it cannot be kept; the secret is what it was then.
    pub fn replace(&self, name: &str, value: &SecretString) -> Result<(), SecretError> {
        let new = self.write(name, value)?;
        if self.has(name)? {
            let previous = self.previous_path(name);
            self.directory_made(name, &self.directory.join(PREVIOUS))?;
            match std::fs::hard_link(self.path(name), &previous) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    self.gone(name, &new)?;
                    return Err(self.failed(name, error.to_string()));
                }
                _ => self.synced(name, &self.directory.join(PREVIOUS))?,
            }
        }
        std::fs::rename(&new, self.path(name)).map_err(|error| self.failed(name, error.to_string()))?;
        self.synced(name, &self.directory)
    }

    /// Makes the earlier value the secret again; whether there was one.
    ///
    /// # Errors
    /// When it cannot be put back.
    pub fn restore(&self, name: &str) -> Result<bool, SecretError> {
        if !self.has_previous(name) {
            return Ok(false);
        }
        let moved = std::fs::rename(self.previous_path(name), self.path(name));
        moved.map_err(|error| self.failed(name, error.to_string()))?;
        self.synced(name, &self.directory).map(|()| true)
    }

    /// Lets the earlier value go; whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn let_go(&self, name: &str) -> Result<bool, SecretError> {
        let there = self.has_previous(name);
        self.gone(name, &self.previous_path(name))?;
        Ok(there)
    }

    /// Writes a value beside its place, so that it gets there in one go.
    fn write(&self, name: &str, value: &SecretString) -> Result<Utf8PathBuf, SecretError> {
        let sealed = self.seal.as_ref().map(|seal| age::encrypt(value, &seal.recipients)).transpose();
        let sealed = sealed.map_err(|failure| failure.of(name, self.place(name)))?;
        self.directory_made(name, &self.directory)?;
        let path = self.directory.join(format!(".{name}.{:016x}", fastrand::u64(..)));
        let mode = if self.is_sealed() { 0o644 } else { 0o600 };
        let bytes = sealed.as_deref().unwrap_or_else(|| value.expose_secret()).as_bytes();
        let written =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(self.failed(name, error.to_string()))
            }
        }
    }

    fn directory_made(&self, name: &str, directory: &Utf8Path) -> Result<(), SecretError> {
        let mode = if self.is_sealed() { 0o755 } else { 0o700 };
        let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(directory);
        made.map_err(|error| self.failed(name, error.to_string()))
    }

    fn gone(&self, name: &str, path: &Utf8Path) -> Result<(), SecretError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(name, error.to_string())),
            _ => Ok(()),
        }
    }

    /// A name is in a directory for good only when the directory itself was written.
    fn synced(&self, name: &str, directory: &Utf8Path) -> Result<(), SecretError> {
        let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| self.failed(name, error.to_string()))
    }

    fn failed(&self, name: &str, why: String) -> SecretError {
        Failure::new(why).of(name, self.place(name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn own() -> (tempfile::TempDir, Own) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("store")).unwrap();
        (dir, Own::open(path))
    }

    fn value(own: &Own) -> Option<String> {
        own.get("a").unwrap().map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn what_is_there_is_never_made_anew() {
        let (_dir, own) = own();
        assert_eq!(value(&own), None);
        assert!(own.add("a", &"one".into()).unwrap());
        assert!(!own.add("a", &"two".into()).unwrap(), "somebody was faster");
        assert_eq!(value(&own).as_deref(), Some("one"));
        let mode = |path: Utf8PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(own.path("a")), mode(own.directory.clone())), (0o600, 0o700));
        assert_eq!(own.directory.read_dir_utf8().unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_replaced_value_is_kept_until_it_is_let_go() {
        let (_dir, own) = own();
        own.add("a", &"one".into()).unwrap();
        own.replace("a", &"two".into()).unwrap();
        own.replace("a", &"three".into()).unwrap();
        assert_eq!(value(&own).as_deref(), Some("three"));
        assert!(own.has_previous("a") && own.restore("a").unwrap(), "the first one was delivered");
        assert_eq!(value(&own).as_deref(), Some("one"));
        assert!(!own.has_previous("a") && !own.restore("a").unwrap());
        own.replace("a", &"four".into()).unwrap();
        assert!(own.let_go("a").unwrap() && !own.let_go("a").unwrap());
        assert_eq!(value(&own).as_deref(), Some("four"));
    }

    #[test]
    fn what_cannot_be_encrypted_or_opened_is_an_error_and_changes_nothing() {
        let (_dir, open) = own();
        let nobody = vec!["age1nobody".to_owned()];
        let sealed = Own::sealed(open.directory.clone(), nobody, vec!["/nowhere/age.txt".into()]);
        assert!(sealed.add("a", &"k9-canary".into()).is_err(), "age is not there, or knows no such recipient");
        assert!(!sealed.has("a").unwrap());
        std::fs::create_dir_all(&open.directory).unwrap();
        std::fs::write(sealed.path("a"), "not age").unwrap();
        let error = sealed.get("a").unwrap_err();
        assert!(error.to_string().contains("no identity is there"), "{error}");
        assert!(!sealed.add("a", &"other".into()).is_ok_and(|added| added));
    }
}
