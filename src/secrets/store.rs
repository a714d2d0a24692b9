//! From a name to its value: who is asked in which order, what is made, and what is remembered for the rest of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use camino::Utf8PathBuf;
use secrecy::SecretString;

use super::make::make;
use super::{Environment, Files, Own, Provider, SecretError};
use crate::blueprint::{Generate, SecretSettings};
use crate::ports::SecretStore;

/// Somebody who is asked, by the name that the inventory has for it.
pub struct Source {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub provider: Box<dyn Provider>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How it stands with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It can be had.
    There {
        /// Where.
        place: String,
    },
    /// Nobody has it, and it is made when it is needed.
    ToMake(Generate),
    /// A person is asked for it when it is needed.
    Asked,
}

/// Everybody who is asked for secrets, in this order: sources, our own store, and then those who ask a person.
pub struct Secrets {
    sources: Vec<Source>,
    own: Option<Own>,
    settings: BTreeMap<String, SecretSettings>,
    makes: BTreeMap<String, Generate>,
    fallback: Option<Box<dyn SecretStore>>,
    /// So that nobody is asked twice in a run.
    known: Mutex<BTreeMap<String, SecretString>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Asks these, in this order.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
            own: None,
            settings: BTreeMap::new(),
            makes: BTreeMap::new(),
            fallback: None,
            known: Mutex::default(),
        }
    }

    /// The usual order: the environment, then a `secrets` directory in each of `directories`.
    #[must_use]
    pub fn standard(directories: impl IntoIterator<Item = Utf8PathBuf>) -> Self {
        let files = Files::new(directories.into_iter().map(|directory| directory.join("secrets")));
        Self::new(vec![
            Source { name: "environment".to_owned(), provider: Box::new(Environment::of_process()) },
            Source { name: "files".to_owned(), provider: Box::new(files) },
        ])
    }

    /// With a store of our own after them.
    #[must_use]
    pub fn with_own(mut self, own: Own) -> Self {
        self.own = Some(own);
        self
    }

    /// With what is different for single secrets.
    #[must_use]
    pub fn with_settings(mut self, settings: BTreeMap<String, SecretSettings>) -> Self {
        self.settings = settings;
        self
    }

    /// With secrets that may be made, and how.
    #[must_use]
    pub fn with_makes(mut self, makes: BTreeMap<String, Generate>) -> Self {
        self.makes = makes;
        self
    }

    /// With somebody who has a value for every name that is not made: the lab.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Box<dyn SecretStore>) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// The store of our own.
    #[must_use]
    pub fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// How a secret is made, if it is.
    #[must_use]
    pub fn makes(&self, name: &str) -> Option<Generate> {
        self.makes.get(name).copied()
    }

    /// Sources that are asked for a secret, with the place that the inventory names.
    fn asked<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a Source, Option<&'a str>)> {
        let own = self.settings.get(name);
        let only = own.and_then(|own| own.from.as_deref());
        let at = own.and_then(|own| own.at.as_deref());
        self.sources.iter().filter(move |source| only.is_none_or(|only| source.name == only)).map(move |one| (one, at))
    }

    /// Every place that is looked at, in order.
    #[must_use]
    pub fn places(&self, name: &str) -> Vec<String> {
        let (people, others): (Vec<_>, Vec<_>) = self.asked(name).partition(|(source, _)| source.provider.asks());
        let place = |(source, at): (&Source, Option<&str>)| source.provider.place(name, at);
        let own = self.own.iter().map(|own| own.place(name));
        others.into_iter().map(place).chain(own).chain(people.into_iter().map(place)).collect()
    }

    /// How it stands with a secret; no person is asked, and nothing is made.
    ///
    /// # Errors
    /// When nobody has it, or who has it cannot give it.
    pub fn standing(&self, name: &str) -> Result<Standing, SecretError> {
        well_named(name)?;
        if let Some((value, place)) = self.look(name)? {
            self.remember(name, value);
            return Ok(Standing::There { place });
        }
        if let Some(how) = self.makes(name) {
            return Ok(Standing::ToMake(how));
        }
        if let Some(value) = self.fallback.as_ref().and_then(|fallback| fallback.reveal(name).ok()) {
            self.remember(name, value);
            return Ok(Standing::There { place: "the lab".to_owned() });
        }
        let asks = self.asked(name).any(|(source, _)| source.provider.asks());
        if asks { Ok(Standing::Asked) } else { Err(self.missing(name)) }
    }

    /// The value, from the first who has it; a person is asked if nobody has. Nothing is made.
    ///
    /// # Errors
    /// When nobody has it, or the first who has it cannot use it: a later one is not asked then, since
    /// it would hide the mistake.
    pub fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        well_named(name)?;
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let found = match self.look(name)? {
            Some((value, _)) => Some(value),
            None if self.makes(name).is_some() => return Err(SecretError::NotMade { name: name.to_owned() }),
            None => self.ask(name)?,
        };
        let value = found.ok_or_else(|| self.missing(name))?;
        self.remember(name, value.clone());
        Ok(value)
    }

    /// The value, made and kept if nobody has it and it may be made; whether it was.
    ///
    /// # Errors
    /// As [`Self::resolve`], and when it cannot be made or kept.
    pub fn ensure(&self, name: &str) -> Result<bool, SecretError> {
        match (self.resolve(name), self.makes(name), &self.own) {
            (Ok(_), ..) => Ok(false),
            (Err(SecretError::NotMade { .. }), Some(how), Some(own)) => {
                let value = make(how).map_err(|failure| failure.of(name, own.place(name)))?;
                let added = own.add(name, &value)?;
                // Whoever was faster has the say.
                let kept = if added { Some(value) } else { own.get(name)? };
                self.remember(name, kept.ok_or_else(|| self.missing(name))?);
                Ok(added)
            }
            (Err(error), ..) => Err(error),
        }
    }

    /// Keeps another value in our own store, and the one before it until it is let go. A new one is made if none is given.
    ///
    /// # Errors
    /// When somebody else has it, who comes before our store, or when it cannot be made or kept.
    pub fn replace(&self, name: &str, given: Option<SecretString>) -> Result<(), SecretError> {
        well_named(name)?;
        let Some(own) = &self.own else { return Err(self.missing(name)) };
        for (source, at) in self.asked(name).filter(|(source, _)| !source.provider.asks()) {
            if source.provider.get(name, at)?.is_some() {
                let place = source.provider.place(name, at);
                let failure = super::error::Failure::new("it comes from there, and not from what infra keeps itself");
                return Err(failure.hint(format!("change it in {place}, or take it away there first")).of(name, place));
            }
        }
        let value = match (given, self.makes(name)) {
            (Some(value), _) => value,
            (None, Some(how)) => make(how).map_err(|failure| failure.of(name, own.place(name)))?,
            (None, None) => {
                let failure = super::error::Failure::new("nobody says how it is made");
                return Err(failure.hint("give the new value on standard input").of(name, own.place(name)));
            }
        };
        own.replace(name, &value)?;
        self.remember(name, value);
        Ok(())
    }

    /// Who has it beside a person, and what it is.
    fn look(&self, name: &str) -> Result<Option<(SecretString, String)>, SecretError> {
        for (source, at) in self.asked(name).filter(|(source, _)| !source.provider.asks()) {
            if let Some(value) = source.provider.get(name, at)? {
                return Ok(Some((value, source.provider.place(name, at))));
            }
        }
        let Some(own) = &self.own else { return Ok(None) };
        Ok(own.get(name)?.map(|value| (value, own.place(name))))
    }

    fn ask(&self, name: &str) -> Result<Option<SecretString>, SecretError> {
        if let Some(fallback) = &self.fallback {
            return Ok(fallback.reveal(name).ok());
        }
        for (source, at) in self.asked(name).filter(|(source, _)| source.provider.asks()) {
            if let Some(value) = source.provider.get(name, at)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn remember(&self, name: &str, value: SecretString) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    fn missing(&self, name: &str) -> SecretError {
        SecretError::Missing { name: name.to_owned(), places: self.places(name) }
    }
}

/// A name becomes a file and an argument, so it leads nowhere else.
fn well_named(name: &str) -> Result<(), SecretError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(['-', '.']) {
        return Err(SecretError::Name { name: name.to_owned() });
    }
    Ok(())
}

impl SecretStore for Secrets {
    fn reveal(&self, name: &str) -> Result<SecretString, String> {
        self.resolve(name).map_err(|error| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    }
}
