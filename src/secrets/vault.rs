//! HashiCorp Vault: `vault kv get -field=FIELD -mount=MOUNT PATH` (<https://developer.hashicorp.com/vault/docs/commands/kv/get>).
//! Where Vault is and who asks (VAULT_ADDR, VAULT_TOKEN, `vault login`) is between the program and its user.

use secrecy::{ExposeSecret as _, SecretString};

use super::error::Failure;
use super::provider::usable;
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What Vault's client says.
const KNOWN: [Known; 8] = [
    Known {
        says: "missing client token",
        why: "nobody is signed in to Vault",
        hint: "`vault login`, or set VAULT_TOKEN",
    },
    Known {
        says: "invalid token",
        why: "the token for Vault has ended, or is none",
        hint: "`vault login` anew, or set another VAULT_TOKEN",
    },
    Known {
        says: "permission denied",
        why: "Vault does not let this token read it",
        hint: "sign in anew with `vault login`, or let a policy give `read` on that path (for version 2: MOUNT/data/PATH)",
    },
    Known { says: "vault is sealed", why: "Vault is sealed", hint: "`vault operator unseal`" },
    Known {
        says: "connection refused",
        why: "nobody answers where Vault should be",
        hint: "say where it is with VAULT_ADDR; without it, it is https://127.0.0.1:8200",
    },
    Known {
        says: "server gave http response to https client",
        why: "Vault answers without TLS there, and is asked with it",
        hint: "write VAULT_ADDR with the scheme that it has",
    },
    Known { says: "x509", why: "Vault's certificate is not trusted", hint: "name its CA with VAULT_CACERT" },
    Known {
        says: "not present in secret",
        why: "the path is there, and has no such key",
        hint: "name the key: `field: …` of the source, or `at: PATH#KEY`",
    },
];

/// Paths of a key/value engine.
#[derive(Debug)]
pub struct Vault {
    /// Where the engine is mounted.
    pub mount: String,
    /// What stands before a secret's name.
    pub path: Option<String>,
    /// The key below a path.
    pub field: String,
}

impl Vault {
    /// Path below the mount, and key.
    fn path<'a>(&'a self, name: &str, at: Option<&'a str>) -> (String, &'a str) {
        match (at, &self.path) {
            (Some(at), _) => match at.split_once('#') {
                Some((path, field)) => (path.to_owned(), field),
                None => (at.to_owned(), &self.field),
            },
            (None, Some(path)) => (format!("{path}/{name}"), &self.field),
            (None, None) => (name.to_owned(), &self.field),
        }
    }
}

impl Provider for Vault {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        let (path, field) = self.path(name, at);
        format!("`{field}` of {}/{path} in Vault", self.mount)
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        let (path, field) = self.path(name, at);
        let failed = |failure: Failure| failure.of(name, self.place(name, at));
        let options = [format!("-field={field}"), format!("-mount={}", self.mount), path];
        let said = Tool::new("vault").args(["kv", "get"]).args(options).run(None).map_err(failed)?;
        if said.failed_with("no value found at") {
            return Ok(None);
        }
        let text = said.answer(&KNOWN).map_err(failed)?;
        usable(name, &self.place(name, at), text.expose_secret().to_owned()).map(Some)
    }
}
