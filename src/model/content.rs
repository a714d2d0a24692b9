//! What a file is to hold, with secrets left out.

use serde::{Deserialize, Serialize};

/// One piece of a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// As it is.
    Text(String),
    /// A secret of the inventory, by its name; its value is put in on the way out.
    Secret(String),
    /// A secret beside text whose syntax would have to quote it: letters, digits and `-_.~+/=@%:,` alone, or it is
    /// refused.
    PlainSecret(String),
    /// What an earlier call of the same step answered, by the name that it was kept under ([`Keep`]); put in on the way
    /// out, and gone with the step.
    Kept(String),
}

/// What a file is to hold. A secret is a hole in it, so a plan, a journal or a saved plan that holds a content holds no
/// secret: there is nowhere for its value to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Content(Vec<Piece>);

/// As it is written: mostly there is no hole.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Pieces(Vec<Piece>),
}

impl Content {
    /// Made of pieces, in this order.
    #[must_use]
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self(pieces.into_iter().collect())
    }

    /// Its pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The whole content, if no secret is in it.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Names of the inventory's secrets that are in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) | Piece::PlainSecret(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Kept(_) => None,
        })
    }

    /// The content with each hole said by name: `<secret hq-token>`.
    #[must_use]
    pub fn shown(&self) -> String {
        let show = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Secret(name) | Piece::PlainSecret(name) => format!("<secret {name}>"),
            Piece::Kept(name) => format!("<{name}>"),
        };
        self.0.iter().map(show).collect()
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self(vec![Piece::Text(text)])
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Written> for Content {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => text.into(),
            Written::Pieces(pieces) => Self(pieces),
        }
    }
}

impl From<Content> for Written {
    fn from(content: Content) -> Self {
        match content.text() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Pieces(content.0),
        }
    }
}

/// Something of a call's answer that is kept in memory while its step runs, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Where it is in the answer's `data`: a key.
    pub key: String,
    /// The name that a [`Piece::Kept`] asks for.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_without_holes_is_written_as_its_text_and_one_with_holes_shows_their_names() {
        let plain = Content::from("a\nb");
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#""a\nb""#);
        let holed =
            Content::new([Piece::Text("key=".into()), Piece::Secret("api".into()), Piece::Kept("login".into())]);
        for content in [plain, holed.clone()] {
            let written = serde_json::to_string(&content).unwrap();
            assert_eq!(serde_json::from_str::<Content>(&written).unwrap(), content);
        }
        assert_eq!(holed.text(), None);
        assert_eq!(holed.shown(), "key=<secret api><login>");
        assert_eq!(holed.secrets().collect::<Vec<_>>(), ["api"]);
    }
}
