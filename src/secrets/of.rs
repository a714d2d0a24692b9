//! The providers that an inventory lists, made.

use camino::{Utf8Path, Utf8PathBuf};

use super::age::AgeFile;
use super::ansible_vault::AnsibleVault;
use super::one_password::OnePassword;
use super::pass::Pass;
use super::sops::Sops;
use super::vault::Vault;
use super::{Asker, Environment, Files, Own, Prompt, Provider, Secrets, Source, StandIns, needs};
use crate::blueprint::{Blueprint, SecretProvider};
use crate::diag::Span;

/// What is around an inventory.
pub struct Surroundings<'a> {
    /// Directories in which `secrets/` is looked for, in this order.
    pub directories: Vec<Utf8PathBuf>,
    /// Where encrypted secrets of our own are unless the inventory says otherwise.
    pub sealed: Utf8PathBuf,
    /// Where those are that are not encrypted.
    pub open: Utf8PathBuf,
    /// The file that a part of the inventory was written in: paths in it are beside that file.
    pub file: &'a dyn Fn(Span) -> Utf8PathBuf,
    /// How a person is asked, if one is there.
    pub asker: Option<Asker>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("sealed", &self.sealed).field("open", &self.open).finish_non_exhaustive()
    }
}

impl Secrets {
    /// As an inventory says.
    #[must_use]
    pub fn of(blueprint: &Blueprint, around: &Surroundings<'_>) -> Self {
        let said = &blueprint.secrets;
        let sources = said.sources.iter().map(|source| {
            let path = |path: &Utf8PathBuf| beside(path, source.span, around);
            let paths = |all: &[Utf8PathBuf]| all.iter().map(path).collect::<Vec<_>>();
            let provider: Box<dyn Provider> = match &source.provider {
                SecretProvider::Environment => Box::new(Environment::of_process()),
                SecretProvider::Files => Box::new(Files::new(around.directories.iter().map(|own| own.join("secrets")))),
                SecretProvider::Age { file, identities } => Box::new(AgeFile::new(path(file), paths(identities))),
                SecretProvider::Sops { file } => Box::new(Sops::new(path(file))),
                SecretProvider::OnePassword { vault, account, field } => {
                    let (vault, account, field) = (vault.clone(), account.clone(), field.clone());
                    Box::new(OnePassword { vault, account, field })
                }
                SecretProvider::Pass { path } => Box::new(Pass { path: path.clone() }),
                SecretProvider::Vault { mount, path, field } => {
                    let (mount, path, field) = (mount.clone(), path.clone(), field.clone());
                    Box::new(Vault { mount, path, field })
                }
                SecretProvider::AnsibleVault { file, password_file } => {
                    let password_file = password_file.as_ref().map(path);
                    Box::new(AnsibleVault::new(path(file), password_file, around.asker.is_some()))
                }
                SecretProvider::Prompt => Box::new(Prompt::new(around.asker.clone())),
            };
            Source { name: source.name.clone(), provider }
        });
        let store = &said.store;
        let own = if store.recipients.is_empty() {
            Own::open(around.open.clone())
        } else {
            let directory = store.directory.as_ref();
            let directory = directory.map_or_else(|| around.sealed.clone(), |path| beside(path, store.span, around));
            let identities = match store.identities.as_slice() {
                [] => usual_identity().into_iter().collect(),
                named => named.iter().map(|path| beside(path, store.span, around)).collect(),
            };
            Own::sealed(directory, store.recipients.clone(), identities)
        };
        Self::new(sources.collect()).with_own(own).with_settings(said.names.clone()).with_makes(makes(blueprint))
    }

    /// As the lab has them: what is made is made there, too, and kept in `directory`; everything else has a value that
    /// means nothing anywhere else.
    #[must_use]
    pub fn of_lab(blueprint: &Blueprint, directory: Utf8PathBuf) -> Self {
        let own = Own::open(directory);
        Self::new(Vec::new()).with_own(own).with_makes(makes(blueprint)).with_fallback(Box::new(StandIns))
    }
}

fn makes(blueprint: &Blueprint) -> std::collections::BTreeMap<String, crate::blueprint::Generate> {
    needs(blueprint).into_iter().filter_map(|(name, need)| Some((name, need.generate?))).collect()
}

/// A path as it was written in a file: at home, beside that file, or as it is.
fn beside(path: &Utf8Path, span: Option<Span>, around: &Surroundings<'_>) -> Utf8PathBuf {
    if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), home()) {
        return home.join(rest);
    }
    match span.map(|span| (around.file)(span)) {
        Some(file) => file.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path)),
        None => path.to_owned(),
    }
}

fn usual_identity() -> Option<Utf8PathBuf> {
    let configured = std::env::var("XDG_CONFIG_HOME").ok().filter(|path| path.starts_with('/')).map(Utf8PathBuf::from);
    Some(configured.or_else(|| Some(home()?.join(".config")))?.join("infra/age.txt"))
}

fn home() -> Option<Utf8PathBuf> {
    Utf8PathBuf::from_path_buf(std::env::home_dir()?).ok()
}
