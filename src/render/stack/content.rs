//! A text with secrets in it, whose values are put in at the moment of delivery and are nowhere else.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

/// Marks where a secret goes, around its name. No value of an inventory can hold these (`blueprint::Setting`).
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A text, perhaps with secrets in it by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Secret(String),
}

/// A secret that is not there, or that the syntax around it could not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretNotFit {
    /// Nobody gave it.
    #[error("secret `{0}` is not there")]
    Missing(String),
    /// It would have to be quoted, which differs from file to file.
    #[error("secret `{0}` holds characters other than letters, digits and `-_.~+/=@%:,$`")]
    Characters(String),
}

/// Where the secret called `name` goes.
pub(super) fn mark(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

impl Content {
    /// A text with marks in it.
    pub(super) fn of(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (name, after) = after.split_once(CLOSE).unwrap_or((after, ""));
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Secret(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }

    /// One secret and nothing else.
    pub(super) fn secret(name: &str) -> Self {
        Self(vec![Piece::Secret(name.to_owned())])
    }

    /// What a person may read: names of secrets where they go.
    #[must_use]
    pub fn shown(&self) -> String {
        self.0.iter().fold(String::new(), |mut out, piece| {
            let _ = match piece {
                Piece::Text(text) => write!(out, "{text}"),
                Piece::Secret(name) => write!(out, "<secret:{name}>"),
            };
            out
        })
    }

    /// As a plan holds it: with holes where secrets go.
    #[must_use]
    pub fn pieces(&self) -> crate::model::Content {
        let alone = self.0.len() == 1;
        crate::model::Content::new(self.0.iter().map(|piece| match piece {
            Piece::Text(text) => crate::model::Piece::Text(text.clone()),
            Piece::Secret(name) if alone => crate::model::Piece::Secret(name.clone()),
            Piece::Secret(name) => crate::model::Piece::PlainSecret(name.clone()),
        }))
    }

    /// Names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with its secrets, for the one who delivers it.
    ///
    /// # Errors
    /// When a secret is not there, or holds a character that would have to be quoted where others stand beside it.
    pub fn filled(&self, value: impl Fn(&str) -> Option<SecretString>) -> Result<SecretString, SecretNotFit> {
        let alone = self.0.len() == 1;
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Secret(name) => {
                    let secret = value(name).ok_or_else(|| SecretNotFit::Missing(name.clone()))?;
                    let secret = secret.expose_secret();
                    // `$` is in every hash of a password. No file that secrets stand in replaces it: compose files hold
                    // none, and in environment files they are in single quotes.
                    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~+/=@%:,$".contains(c);
                    if !alone && !secret.chars().all(plain) {
                        return Err(SecretNotFit::Characters(name.clone()));
                    }
                    out.push_str(secret);
                }
            }
        }
        Ok(SecretString::from(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_its_name_and_filled_in_at_the_end() {
        let content = Content::of(&format!("a: \"{}\"\nb: 1\n", mark("x-key")));
        assert_eq!(content.shown(), "a: \"<secret:x-key>\"\nb: 1\n");
        assert_eq!(content.secrets().collect::<Vec<_>>(), ["x-key"]);
        let filled = content.filled(|_| Some(SecretString::from("k9-canary".to_owned()))).unwrap();
        assert_eq!(filled.expose_secret(), "a: \"k9-canary\"\nb: 1\n");
        assert!(!format!("{content:?} {filled:?}").contains("canary"));
        let quoted = content.filled(|_| Some(SecretString::from("a\"b".to_owned())));
        assert_eq!(quoted.unwrap_err(), SecretNotFit::Characters("x-key".to_owned()));
        assert_eq!(content.filled(|_| None).unwrap_err(), SecretNotFit::Missing("x-key".to_owned()));
        let alone = Content::secret("x").filled(|_| Some(SecretString::from("a\"b".to_owned()))).unwrap();
        assert_eq!(alone.expose_secret(), "a\"b", "a file of its own holds anything");
    }
}
