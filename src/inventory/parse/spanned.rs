//! How a [`Spanned`] is asked for: a struct with a name that only our deserializer knows.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::diag::{FileId, Span, Spanned};

pub(super) const NAME: &str = "$infra::Spanned";
pub(super) const FIELDS: [&str; 4] = ["$file", "$start", "$end", "$value"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(NAME, &FIELDS, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut number = |field| match map.next_entry::<Cow<'_, str>, u32>()? {
            Some((key, number)) if key == field => Ok(number),
            _ => Err(A::Error::missing_field(field)),
        };
        let span = Span { file: FileId(number(FIELDS[0])?), start: number(FIELDS[1])?, end: number(FIELDS[2])? };
        match map.next_entry::<Cow<'_, str>, T>()? {
            Some((key, value)) if key == FIELDS[3] => Ok(Spanned { value, span }),
            _ => Err(A::Error::missing_field(FIELDS[3])),
        }
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}
