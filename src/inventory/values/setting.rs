//! A value of a variable as it was written, before the variable's type is known.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A text, a whole number from 0, or `true` or `false`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawSetting {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(u64),
    /// Anything else.
    Text(String),
}

impl fmt::Display for RawSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => value.escape_debug().fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for RawSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Raw;

        impl Visitor<'_> for Raw {
            type Value = RawSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, `true` or `false`")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<RawSetting, E> {
                Ok(RawSetting::Boolean(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<RawSetting, E> {
                Ok(RawSetting::Integer(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<RawSetting, E> {
                Ok(RawSetting::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Raw)
    }
}

impl JsonSchema for RawSetting {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RawSetting".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "integer", "minimum": 0 }, { "type": "string" }] })
    }
}
