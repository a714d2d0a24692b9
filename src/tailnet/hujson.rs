//! HuJSON: JSON with comments and commas at the end (<https://github.com/tailscale/hujson>).
//!
//! Owns parsing to ranges of the text, so that whoever edits it touches nothing else. Knows nothing of policies.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// The text is no HuJSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

/// A HuJSON text whose value is an object.
#[derive(Debug)]
pub struct Hujson<'a> {
    /// The text itself.
    pub text: &'a str,
    /// Its root.
    pub(super) root: Object<'a>,
}

impl<'a> Hujson<'a> {
    /// Parses `text`.
    ///
    /// # Errors
    /// With the place of the first mistake, and when the value is no object.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let strict = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = parse_to_ast(text, &CollectOptions::default(), &strict).map_err(|error| Malformed {
            line: error.line_display(),
            column: error.column_display(),
            why: error.kind().to_string(),
        })?;
        match parsed.value {
            Some(Value::Object(root)) => Ok(Self { text, root }),
            _ => Err(Malformed { line: 1, column: 1, why: "a policy is an object: `{ … }`".to_owned() }),
        }
    }

    /// The value of a key of the root. The control plane takes any case of its keys, as Go's decoder does.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        let wanted = |name: &str| name.eq_ignore_ascii_case(key);
        self.root.properties.iter().find(|property| wanted(property.name.as_str())).map(|property| &property.value)
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    /// What is written from `value`'s first byte to its last.
    pub(super) fn source(&self, value: &impl Ranged) -> &'a str {
        &self.text[value.start()..value.end()]
    }
}

/// A HuJSON value as JSON without comments and white space, the order of keys kept: equal for texts that say the
/// same, however they are laid out.
///
/// # Errors
/// When it is none.
pub fn normalised(text: &str) -> Result<String, Malformed> {
    let wrapped = format!("{{\"v\":{text}\n}}");
    let parsed = Hujson::parse(&wrapped)?;
    Ok(parsed.get("v").map(plain).unwrap_or_default())
}

/// A value as compact JSON.
pub(super) fn plain(value: &Value<'_>) -> String {
    to_json(value).to_string()
}

/// A value as serde has it.
pub(super) fn to_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::StringLit(text) => serde_json::Value::String(text.value.to_string()),
        Value::NumberLit(number) => {
            serde_json::from_str(number.value).unwrap_or_else(|_| serde_json::Value::String(number.value.to_owned()))
        }
        Value::BooleanLit(boolean) => serde_json::Value::Bool(boolean.value),
        Value::NullKeyword(_) => serde_json::Value::Null,
        Value::Array(array) => serde_json::Value::Array(array.elements.iter().map(to_json).collect()),
        Value::Object(object) => serde_json::Value::Object(
            object
                .properties
                .iter()
                .map(|property| (property.name.as_str().to_owned(), to_json(&property.value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_commas_at_the_end_are_read_and_nothing_looser() {
        assert!(Hujson::parse("// a\n{ \"a\": [1, /* b */ 2,], }\n").is_ok());
        for wrong in ["{a: 1}", "{'a': 1}", "{\"a\": 1 \"b\": 2}", "[1]", "", "{\"a\": }", "{\"a\": 0x1}"] {
            assert!(Hujson::parse(wrong).is_err(), "{wrong}");
        }
        let error = Hujson::parse("{\n  \"a\": [1,\n  \"b\n}").unwrap_err();
        assert_eq!(error.line, 3, "{error}");
    }

    #[test]
    fn layout_does_not_count() {
        assert_eq!(normalised("{ \"a\" : [ 1,2, ], // x\n}").unwrap(), normalised("{\"a\":[1,2]}").unwrap());
    }
}
