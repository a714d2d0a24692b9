//! age: a map in an encrypted file, and how something is encrypted and opened at all.
//!
//! The program is called (`age`, <https://age-encryption.org>), never a library: identities may be on hardware, or SSH
//! keys with a passphrase, and the program knows them all.

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::error::Failure;
use super::map::{self, MapFile};
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What age 1.1 and 1.2 say.
const KNOWN: [Known; 6] = [
    Known {
        says: "no identity matched",
        why: "it is encrypted for somebody else: none of the identities opens it",
        hint: "name the identity whose public key it was encrypted for, or let somebody who can open it encrypt it anew",
    },
    Known {
        says: "could not read passphrase",
        why: "it, or an identity, has a passphrase, and there is no terminal to ask for it",
        hint: "use an identity without a passphrase here, such as one that only this machine has",
    },
    Known {
        says: "unexpected intro",
        why: "it is not encrypted with age",
        hint: "encrypt it: `age --encrypt --armor --recipient age1… --output FILE.age FILE`",
    },
    Known {
        says: "failed to read header",
        why: "it is not encrypted with age, or damaged",
        hint: "take it from version control again",
    },
    Known {
        says: "reading identities",
        why: "a file of identities holds none",
        hint: "make one with `age-keygen -o FILE`, or name a private SSH key",
    },
    Known {
        says: "malformed secret key",
        why: "a file of identities holds none that age understands",
        hint: "make one with `age-keygen -o FILE`, or name a private SSH key",
    },
];

/// A map in a file that is encrypted with age.
pub struct AgeFile {
    file: Utf8PathBuf,
    identities: Vec<Utf8PathBuf>,
    map: MapFile,
}

impl AgeFile {
    /// `file`, opened with any of `identities`.
    #[must_use]
    pub fn new(file: Utf8PathBuf, identities: Vec<Utf8PathBuf>) -> Self {
        let map = MapFile::new(format!("the age file {file}"));
        Self { file, identities, map }
    }
}

impl Provider for AgeFile {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        self.map.place(name, at)
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        self.map.get(name, at, || map::read(&self.file, &decrypt(&self.file, &self.identities)?))
    }
}

/// What is in an encrypted file.
pub(super) fn decrypt(file: &Utf8Path, identities: &[Utf8PathBuf]) -> Result<SecretString, Failure> {
    if !file.exists() {
        return Err(Failure::new(format!("there is no file {file}")));
    }
    let there: Vec<&Utf8PathBuf> = identities.iter().filter(|identity| identity.exists()).collect();
    if there.is_empty() {
        let names: Vec<&str> = identities.iter().map(|identity| identity.as_str()).collect();
        return Err(Failure::new(format!("no identity is there to open it with: {}", names.join(", "))).hint(
            "name yours under `identities`, or make one with `age-keygen -o FILE` and let an operator add its public key",
        ));
    }
    let identities = there.into_iter().flat_map(|identity| ["--identity", identity.as_str()]);
    Tool::new("age").args(["--decrypt"]).args(identities).args([file]).run(None)?.answer(&KNOWN)
}

/// A text encrypted for all of `recipients`, as text.
pub(super) fn encrypt(text: &SecretString, recipients: &[String]) -> Result<String, Failure> {
    use secrecy::ExposeSecret as _;
    let recipients = recipients.iter().flat_map(|recipient| ["--recipient", recipient]);
    let sealed = Tool::new("age").args(["--encrypt", "--armor"]).args(recipients).run(Some(text))?.answer(&KNOWN)?;
    Ok(sealed.expose_secret().to_owned())
}
