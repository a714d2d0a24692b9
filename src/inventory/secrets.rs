//! Where the values of secrets come from, and which are made by themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{LocalPath, ProviderName, Recipient, SecretKey, SecretKind, SecretPlace};
use crate::diag::Spanned;

/// Where the values of secrets come from. Without it the environment is asked, then `secrets/` beside the inventory and
/// in the state directory, then the store of this program.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SecretsSection {
    /// Who is asked for a secret, in this order; `environment`, then `files` unless given. What this program keeps
    /// itself (`store`) comes after them, and `prompt` last of all.
    #[schemars(example = &serde_json::json!(["environment", { "provider": "sops", "file": "vrooli.sops.yaml" }]))]
    pub from: Option<Vec<Spanned<SecretSource>>>,
    /// Where this program keeps secrets that it made or was given by `infra secrets set`.
    pub store: Option<Spanned<SecretStoreSection>>,
    /// What is different for single secrets, by name without `secret:`.
    pub names: Option<BTreeMap<Spanned<SecretKey>, Spanned<SecretEntry>>>,
}

/// Somebody who is asked for secrets. The provider's name alone will do where it needs nothing else.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct SecretSource {
    /// Who.
    #[schemars(required)]
    pub provider: Option<Spanned<ProviderName>>,
    /// What `names` calls it; the provider's name unless given. Needed where one provider is listed twice.
    pub name: Option<Spanned<String>>,
    /// `age`, `sops`, `ansible-vault`: the encrypted file, beside this file unless the path is absolute. One that lies
    /// in an inventory's directory ends in `.sops.yaml`, `.vault.yaml` or `.age`, so that it is not read as a part of it.
    pub file: Option<Spanned<LocalPath>>,
    /// `age`: files with identities (`age-keygen`, or a private SSH key).
    pub identities: Option<Vec<Spanned<LocalPath>>>,
    /// `ansible-vault`: the file with the password; without one `ANSIBLE_VAULT_PASSWORD_FILE` counts, else it is asked
    /// for on the terminal.
    pub password_file: Option<Spanned<LocalPath>>,
    /// `op`: the vault with an item per secret.
    pub vault: Option<Spanned<String>>,
    /// `op`: the account, where there are several.
    pub account: Option<Spanned<String>>,
    /// `vault`: the mount of the key/value engine; `secret` unless given.
    pub mount: Option<Spanned<String>>,
    /// `pass`, `vault`: what stands before the secret's name, such as `infra/vrooli`.
    pub path: Option<Spanned<SecretPlace>>,
    /// `op`: the field of an item (`password` unless given); `vault`: the key below a path (`value` unless given).
    pub field: Option<Spanned<String>>,
}

/// Where this program keeps secrets itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SecretStoreSection {
    /// Whom secrets are encrypted for with age: `age1…` or the public key of an SSH pair, one for each operator. Without
    /// any, secrets are kept in the state directory for nobody but their owner to read, and not encrypted.
    #[schemars(example = &["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"])]
    pub recipients: Option<Vec<Spanned<Recipient>>>,
    /// Files with the identities that open them; `~/.config/infra/age.txt` unless given. Those that are not there are
    /// left out, so each operator's may be listed.
    pub identities: Option<Vec<Spanned<LocalPath>>>,
    /// The directory with one encrypted file per secret, safe to commit; `secrets.store` beside the inventory unless
    /// given.
    pub directory: Option<Spanned<LocalPath>>,
}

/// What is different for one secret.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SecretEntry {
    /// The only one of `from` that is asked for it, by its name.
    pub from: Option<Spanned<String>>,
    /// Where it is there, instead of under its own name: a variable, a path, a key (`litellm.master_key`), an
    /// `op://…` reference.
    pub at: Option<Spanned<SecretPlace>>,
    /// It is made when it is needed and nobody has it: how many characters it gets (of `base64`: how many bytes).
    #[schemars(range(min = 16, max = 128))]
    pub generate: Option<Spanned<u32>>,
    /// Of which characters it is made; letters and digits unless given.
    pub kind: Option<Spanned<SecretKind>>,
}
