//! The tree that a text becomes before it has a meaning.

use super::scalar::{Meaning, meaning};
use crate::diag::Span;

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Unique over all files of one load; what an alias repeats keeps its number.
    pub id: u32,
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// One word or text.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A block of keys, in the order of writing; no key occurs twice.
    Map(Vec<Entry>),
}

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// Its text without quotes.
    pub text: String,
    /// Whether it stood without quotes, so that `true` or `5` mean something.
    pub plain: bool,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key, always a scalar.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// The key's text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.text().unwrap_or_default()
    }
}

impl Node {
    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What was written, without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Number, Value as Json};
        match &self.value {
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.name().to_owned(), entry.value.to_json())).collect())
            }
            Value::Scalar(scalar) => match meaning(scalar) {
                Meaning::Null => Json::Null,
                Meaning::Bool(value) => Json::Bool(value),
                Meaning::Int(number) => match i64::try_from(number) {
                    Ok(number) => Json::from(number),
                    Err(_) => Json::String(scalar.text.clone()),
                },
                Meaning::Float => {
                    let number = scalar.text.parse().ok().and_then(Number::from_f64);
                    number.map_or_else(|| Json::String(scalar.text.clone()), Json::Number)
                }
                Meaning::Text(text) => Json::String(text.to_owned()),
            },
        }
    }

    /// The entry of a map by its key.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.name() == name),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }
}
