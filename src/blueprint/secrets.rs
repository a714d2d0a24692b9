//! Where the values of secrets come from. What they are, nobody here knows.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::diag::Span;
use crate::inventory::SecretKind;

/// Who is asked for secrets, and what is kept by ourselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Who is asked, in this order.
    pub sources: Vec<SecretSource>,
    /// Where what was made is kept.
    pub store: OwnStore,
    /// What is different for single secrets, by their names.
    pub names: BTreeMap<String, SecretSettings>,
}

/// Somebody who is asked for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// What it is called where one is meant.
    pub name: String,
    /// Who it is.
    pub provider: SecretProvider,
    /// Where it was listed; nowhere if it is there by itself. Paths are beside that file.
    pub span: Option<Span>,
}

/// Who is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretProvider {
    /// Variables of the environment.
    Environment,
    /// Files that nobody else can read.
    Files,
    /// A map encrypted with age.
    Age {
        /// The encrypted file.
        file: Utf8PathBuf,
        /// Files with identities.
        identities: Vec<Utf8PathBuf>,
    },
    /// A file of SOPS.
    Sops {
        /// The file.
        file: Utf8PathBuf,
    },
    /// 1Password's `op`.
    OnePassword {
        /// The vault with an item per secret.
        vault: Option<String>,
        /// The account.
        account: Option<String>,
        /// The field of an item.
        field: String,
    },
    /// The password store of Unix.
    Pass {
        /// What stands before a name.
        path: Option<String>,
    },
    /// HashiCorp Vault.
    Vault {
        /// Where the key/value engine is mounted.
        mount: String,
        /// What stands before a name.
        path: Option<String>,
        /// The key below a path.
        field: String,
    },
    /// A map encrypted by ansible-vault.
    AnsibleVault {
        /// The encrypted file.
        file: Utf8PathBuf,
        /// The file with its password.
        password_file: Option<Utf8PathBuf>,
    },
    /// The person at the terminal.
    Prompt,
}

/// Where we keep secrets ourselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnStore {
    /// Whom they are encrypted for; not encrypted where there is nobody.
    pub recipients: Vec<String>,
    /// Files with the identities that open them.
    pub identities: Vec<Utf8PathBuf>,
    /// Where the encrypted files are, unless beside the inventory.
    pub directory: Option<Utf8PathBuf>,
    /// Where it was declared, if it was.
    pub span: Option<Span>,
}

/// What is different for one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSettings {
    /// The only one who is asked.
    pub from: Option<String>,
    /// Where it is there.
    pub at: Option<String>,
    /// What it is made of if nobody has it.
    pub generate: Option<Generate>,
    /// Where this was written.
    pub span: Span,
}

/// What a secret is made of that is made by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generate {
    /// How many characters; of [`SecretKind::Base64`], how many bytes.
    pub length: u32,
    /// Which.
    pub kind: SecretKind,
}
