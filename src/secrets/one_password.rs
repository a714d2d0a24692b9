//! 1Password: `op read op://VAULT/ITEM/FIELD` (<https://developer.1password.com/docs/cli/reference/commands/read>).

use secrecy::{ExposeSecret as _, SecretString};

use super::error::Failure;
use super::provider::usable;
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What `op` 2 says.
const KNOWN: [Known; 7] = [
    Known {
        says: "not currently signed in",
        why: "nobody is signed in to 1Password",
        hint: "sign in: `eval $(op signin)`; without a person, set OP_SERVICE_ACCOUNT_TOKEN",
    },
    Known {
        says: "no accounts configured",
        why: "`op` knows no account on this machine",
        hint: "`op account add`, or turn on the app's integration; without a person, set OP_SERVICE_ACCOUNT_TOKEN",
    },
    Known {
        says: "session expired",
        why: "the session with 1Password has ended",
        hint: "sign in again: `eval $(op signin)`",
    },
    Known {
        says: "authorization prompt dismissed",
        why: "nobody allowed it in the 1Password app",
        hint: "allow it there, and try again",
    },
    Known {
        says: "isn't a vault",
        why: "there is no such vault, or this account may not see it",
        hint: "`op vault list` shows those that it sees",
    },
    Known {
        says: "invalid secret reference",
        why: "that is no reference of 1Password",
        hint: "write `op://VAULT/ITEM/FIELD` with letters, digits, spaces, `-`, `_`, `.`; else an id instead of a name",
    },
    Known {
        says: "does not have a field",
        why: "the item is there, and has no such field",
        hint: "name the field: `field: credential`, or in full with `at: op://VAULT/ITEM/FIELD`",
    },
];

/// Items of a vault of 1Password.
#[derive(Debug)]
pub struct OnePassword {
    /// The vault with an item per secret.
    pub vault: Option<String>,
    /// The account, where there are several.
    pub account: Option<String>,
    /// The field of an item.
    pub field: String,
}

impl OnePassword {
    fn reference(&self, name: &str, at: Option<&str>) -> Option<String> {
        match (at, &self.vault) {
            (Some(at), _) if at.starts_with("op://") => Some(at.to_owned()),
            (at, Some(vault)) => Some(format!("op://{vault}/{}/{}", at.unwrap_or(name), self.field)),
            (_, None) => None,
        }
    }
}

impl Provider for OnePassword {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        self.reference(name, at).unwrap_or_else(|| "1Password".to_owned())
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        let Some(reference) = self.reference(name, at) else { return Ok(None) };
        let failed = |failure: Failure| failure.of(name, self.place(name, at));
        let account = self.account.iter().flat_map(|account| ["--account", account]);
        let tool = Tool::new("op").args(["read", "--no-newline"]).args(account).args([&reference]);
        let said = tool.run(None).map_err(failed)?;
        if said.failed_with("isn't an item") || said.failed_with("could not find item") {
            return Ok(None);
        }
        let text = said.answer(&KNOWN).map_err(failed)?;
        usable(name, &self.place(name, at), text.expose_secret().to_owned()).map(Some)
    }
}
