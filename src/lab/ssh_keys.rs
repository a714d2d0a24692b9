//! The lab's SSH keys: made once, kept in the state directory, so that a host stays itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{LineEnding, PrivateKey};

use super::persist::make_private_dir;

/// Host key of every machine of the lab, and the one key that is let in.
#[derive(Clone)]
pub struct SshKeys {
    /// What hosts and guests prove themselves with.
    pub(super) host: PrivateKey,
    /// Whom they let in.
    pub(super) client: PrivateKey,
    identity: PathBuf,
    _directory: Option<Arc<Temporary>>,
}

/// A directory of a lab that is kept nowhere; it goes with the last of its users.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "the lab's temporary keys stay behind");
        }
    }
}

impl std::fmt::Debug for SshKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshKeys").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl SshKeys {
    /// Reads the keys of a directory, or makes them there, readable by us only.
    ///
    /// # Errors
    /// If the directory cannot be written, or a file in it is no key.
    pub fn in_directory(directory: &Path) -> io::Result<Self> {
        make_private_dir(directory)?;
        let identity = directory.join("id_ed25519");
        Ok(Self {
            host: load_or_make(&directory.join("ssh_host_ed25519_key"), "lab host")?,
            client: load_or_make(&identity, "lab client")?,
            identity,
            _directory: None,
        })
    }

    /// Makes keys that last as long as this value.
    ///
    /// # Errors
    /// If the system's directory for temporary files cannot be written.
    pub fn temporary() -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("infra-lab-{:016x}", fastrand::u64(..)));
        if directory.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a random name is taken"));
        }
        let keys = Self::in_directory(&directory)?;
        Ok(Self { _directory: Some(Arc::new(Temporary(directory))), ..keys })
    }

    /// The host key as an inventory holds it: `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn host_key(&self) -> String {
        let public = self.host.public_key().key_data().clone();
        russh::keys::PublicKey::from(public).to_openssh().expect("an Ed25519 key has a text form")
    }

    /// The file with the private key that is let in.
    #[must_use]
    pub fn identity(&self) -> &Path {
        &self.identity
    }
}

fn load_or_make(path: &Path, comment: &str) -> io::Result<PrivateKey> {
    match std::fs::read_to_string(path) {
        Ok(text) => PrivateKey::from_openssh(text).map_err(io::Error::other),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            let provider = rustls::crypto::ring::default_provider();
            provider
                .secure_random
                .fill(&mut seed)
                .map_err(|_| io::Error::other("the system gives no random numbers"))?;
            let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
            let key = PrivateKey::new(pair, comment).map_err(io::Error::other)?;
            let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
            write_private(path, text.as_bytes())?;
            Ok(key)
        }
        Err(e) => Err(e),
    }
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}
