//! Where secrets come from: an explicit, ordered list of providers, one file each, and a store of our own.
//!
//! Owns the way from a name (`secret:hq-token`) to its value ([`Secrets`]), which secrets an inventory needs ([`needs`]),
//! and the making of new ones. A secret lives in memory only: it is in no error, no log and no other process's arguments
//! or environment. Programs of others (age, SOPS, `op`, pass, Vault, ansible-vault) are called as programs, and what they
//! say is understood in one place each. Entry: [`Secrets::of`].

mod age;
mod ansible_vault;
mod environment;
mod error;
mod files;
mod make;
mod map;
mod needs;
mod of;
mod one_password;
mod own;
mod pass;
mod prompt;
mod provider;
mod sops;
mod stand_in;
mod store;
#[cfg(test)]
mod tests;
mod tool;
mod vault;

pub use environment::Environment;
pub use error::SecretError;
pub use files::Files;
pub use needs::{Need, User, needs};
pub use of::Surroundings;
pub use own::Own;
pub use prompt::{Asker, Prompt};
pub use provider::Provider;
pub use stand_in::StandIns;
pub use store::{Secrets, Source, Standing};
