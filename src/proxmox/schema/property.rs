//! What the description says of one value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::pattern::Pattern;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// Anything: the description says nothing that we understand.
    #[default]
    Any,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// 0 or 1.
    Boolean,
    /// Several values under one name.
    Array,
}

impl Type {
    /// The word of the description.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
        }
    }
}

/// What the description says of one value.
#[derive(Debug, Clone, Default)]
pub struct Property {
    /// What it is.
    pub kind: Type,
    /// Whether it may be left out.
    pub optional: bool,
    /// All values that it may have, if they are listed.
    pub values: Vec<String>,
    /// Least value of a number.
    pub minimum: Option<f64>,
    /// Greatest value of a number.
    pub maximum: Option<f64>,
    /// Fewest characters.
    pub min_length: Option<usize>,
    /// Most characters.
    pub max_length: Option<usize>,
    /// What it must match.
    pub pattern: Option<Pattern>,
    /// How it is to be read.
    pub format: Option<Format>,
    /// What each value of an array is.
    pub items: Option<Box<Property>>,
    /// Another parameter that must be there if this one is.
    pub requires: Option<String>,
    /// Inside a property string: the key that it stands for.
    pub alias: Option<String>,
    /// Inside a property string: the key that gets this key's name as its value.
    pub key_alias: Option<String>,
    /// Inside a property string: whether a value without a key belongs to it.
    pub is_default_key: bool,
    /// Whether what it takes depends on another parameter, so that its value is not checked.
    pub varies: bool,
}

/// How a text is to be read.
#[derive(Debug, Clone)]
pub enum Format {
    /// By a rule of which the description has only the name.
    Named(String),
    /// As a property string, `key=value,key=value`, with these keys.
    Properties(BTreeMap<String, Property>),
}

impl Property {
    /// Reads it; what is not understood says nothing and so forbids nothing.
    pub(super) fn read(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let varies = map.contains_key("oneOf");
        Self {
            kind: kind(map),
            // What belongs to one variant of a call is needed by that variant only.
            optional: flag(map, "optional") || map.contains_key("type-property"),
            values: map.get("enum").and_then(Value::as_array).into_iter().flatten().map(plain).collect(),
            minimum: number(map, "minimum"),
            maximum: number(map, "maximum"),
            min_length: length(map, "minLength"),
            max_length: length(map, "maxLength"),
            pattern: text("pattern").map(Pattern::new),
            format: match map.get("format") {
                Some(Value::String(name)) => Some(Format::Named(name.clone())),
                Some(Value::Object(keys)) => {
                    Some(Format::Properties(keys.iter().map(|(key, of)| (key.clone(), Self::read(of))).collect()))
                }
                _ => None,
            },
            items: map.get("items").filter(|items| items.is_object()).map(|items| Box::new(Self::read(items))),
            requires: text("requires"),
            alias: text("alias"),
            key_alias: text("keyAlias"),
            is_default_key: flag(map, "default_key"),
            varies,
        }
    }
}

fn kind(map: &Map<String, Value>) -> Type {
    match map.get("type").and_then(Value::as_str) {
        Some("string") => Type::String,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("boolean") => Type::Boolean,
        Some("array") => Type::Array,
        _ => Type::Any,
    }
}

/// Perl's booleans: `1`, `"1"` and JSON's own all occur.
pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).is_some_and(|value| !matches!(plain(value).as_str(), "" | "0" | "false" | "null"))
}

/// Limits are numbers or texts with a number.
fn number(map: &Map<String, Value>, key: &str) -> Option<f64> {
    let value = map.get(key)?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn length(map: &Map<String, Value>, key: &str) -> Option<usize> {
    plain(map.get(key)?).parse().ok()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
