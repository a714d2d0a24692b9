//! pass, the password store of Unix: `pass show PATH` (<https://www.passwordstore.org>). The first line is the secret, as
//! everywhere with pass.

use secrecy::{ExposeSecret as _, SecretString};

use super::error::Failure;
use super::provider::usable;
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What pass 1.7 and the gpg below it say.
const KNOWN: [Known; 5] = [
    Known {
        says: "no secret key",
        why: "it is encrypted for a key that is not on this machine",
        hint: "`gpg --list-secret-keys` shows those that are; `pass init` encrypts anew for others",
    },
    Known {
        says: "inappropriate ioctl",
        why: "gpg wants to ask for a passphrase, and has no terminal for it",
        hint: "`export GPG_TTY=$(tty)`, or unlock the key beforehand with `pass show` of anything",
    },
    Known {
        says: "no pinentry",
        why: "gpg wants to ask for a passphrase, and has no program for it",
        hint: "install a pinentry, such as `pinentry-curses`",
    },
    Known {
        says: "pass init",
        why: "there is no password store here",
        hint: "`pass init KEY`, or say where it is with PASSWORD_STORE_DIR",
    },
    Known { says: "decryption failed", why: "gpg cannot open it", hint: "see what `pass show` of it says" },
];

/// Entries of the password store.
#[derive(Debug)]
pub struct Pass {
    /// What stands before a secret's name.
    pub path: Option<String>,
}

impl Pass {
    fn entry(&self, name: &str, at: Option<&str>) -> String {
        match (at, &self.path) {
            (Some(at), _) => at.to_owned(),
            (None, Some(path)) => format!("{path}/{name}"),
            (None, None) => name.to_owned(),
        }
    }
}

impl Provider for Pass {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        format!("`pass show {}`", self.entry(name, at))
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        let entry = self.entry(name, at);
        let failed = |failure: Failure| failure.of(name, self.place(name, at));
        let said = Tool::new("pass").args(["show", &entry]).run(None).map_err(failed)?;
        if said.failed_with("is not in the password store") {
            return Ok(None);
        }
        let text = said.answer(&KNOWN).map_err(failed)?;
        let first = text.expose_secret().lines().next().unwrap_or_default();
        // pass lists what is below a directory, and calls that a success.
        if first == entry.trim_end_matches('/') {
            return Err(failed(Failure::new("that is a directory of the password store, not an entry")));
        }
        usable(name, &self.place(name, at), first.to_owned()).map(Some)
    }
}
