//! ansible-vault: a map in an encrypted YAML file, opened whole and once (`ansible-vault view`,
//! <https://docs.ansible.com/ansible/latest/cli/ansible-vault.html>).

use camino::Utf8PathBuf;
use secrecy::SecretString;

use super::error::Failure;
use super::map::{self, MapFile, SecretMap};
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What ansible-core 2.14 to 2.19 say.
const KNOWN: [Known; 4] = [
    Known {
        says: "decryption failed",
        why: "the password does not open it",
        hint: "name the file with its password: `password_file: …`",
    },
    Known {
        says: "not vault encrypted data",
        why: "it is not encrypted by ansible-vault as a whole file",
        hint: "encrypt it: `ansible-vault encrypt FILE`; single values (`!vault`) are not read",
    },
    Known {
        says: "vault password file",
        why: "the file with the password cannot be used",
        hint: "see that it is there, holds the password alone, and that only you can read it",
    },
    Known {
        says: "unable to read source file",
        why: "ansible-vault cannot read it",
        hint: "see that it is there and that you may read it",
    },
];

/// A map in a file that ansible-vault encrypted.
pub struct AnsibleVault {
    file: Utf8PathBuf,
    password_file: Option<Utf8PathBuf>,
    interactive: bool,
    map: MapFile,
}

impl AnsibleVault {
    /// `file`, opened with the password in `password_file`, else in the file that ANSIBLE_VAULT_PASSWORD_FILE names, else
    /// with the one that a person types, if somebody is there.
    #[must_use]
    pub fn new(file: Utf8PathBuf, password_file: Option<Utf8PathBuf>, interactive: bool) -> Self {
        let map = MapFile::new(format!("the ansible-vault file {file}"));
        Self { file, password_file, interactive, map }
    }

    fn open(&self) -> Result<SecretMap, Failure> {
        if !self.file.exists() {
            return Err(Failure::new(format!("there is no file {}", self.file)));
        }
        let named = std::env::var_os("ANSIBLE_VAULT_PASSWORD_FILE").is_some();
        let how: Vec<&str> = match &self.password_file {
            Some(file) if !file.exists() => {
                return Err(Failure::new(format!("there is no file {file} with its password")));
            }
            Some(file) => vec!["--vault-password-file", file.as_str()],
            None if named => Vec::new(),
            None if self.interactive => vec!["--ask-vault-pass"],
            None => {
                return Err(Failure::new("nobody says its password, and there is no terminal to ask on")
                    .hint("name the file with it: `password_file: …`, or ANSIBLE_VAULT_PASSWORD_FILE"));
            }
        };
        let tool = Tool::new("ansible-vault").env("ANSIBLE_NOCOLOR", "1").args(["view"]).args(how).args([&self.file]);
        let text = tool.run(None)?.answer(&KNOWN)?;
        map::read("opened.yaml".into(), &text)
    }
}

impl Provider for AnsibleVault {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        self.map.place(name, at)
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        self.map.get(name, at, || self.open())
    }
}
