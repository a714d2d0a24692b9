//! From tree to typed value: a `serde::Deserializer` that finds every problem.
//!
//! Decoding stops at the first error, as serde does; the node in error is then left out and decoding
//! starts again, until nothing new goes wrong. Inventories are small enough for that.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::access::{Fields, Items, ShortForm, SpannedAccess};
use super::error::DecodeError;
use super::scalar::{Meaning, found, meaning};
use super::{Node, Scalar, Value, spanned};
use crate::diag::{Diagnostic, Diagnostics, Invalid, Span};

/// As many problems as a person wants to see at once.
const MAX_PROBLEMS: usize = 60;

/// Structs that may be written as one word, and the field that the word is for.
const SHORT_FORMS: [(&str, &str); 8] = [
    ("Device", "path"),
    ("Jump", "name"),
    ("Outbound", "to"),
    ("Route", "port"),
    ("SecretSource", "provider"),
    ("ServiceEntry", "name"),
    ("TailnetAccess", "from"),
    ("Tls", "by"),
];

/// Structs that leave keys alone which start with `x-`.
const OPEN: [&str; 1] = ["Document"];

/// What was left out because it was wrong: whoever misses it later need not complain again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broken {
    keys: BTreeSet<(Span, String)>,
}

impl Broken {
    /// Whether `key` of the block at `block` was there but wrong.
    #[must_use]
    pub fn key(&self, block: Span, key: &str) -> bool {
        self.keys.contains(&(block, key.to_owned()))
    }

    /// Whether anything of that name, wherever, was there but wrong.
    #[must_use]
    pub fn name(&self, name: &str) -> bool {
        self.keys.iter().any(|(_, key)| key == name)
    }

    /// Remembers a key as wrong.
    pub fn insert(&mut self, block: Span, key: &str) {
        self.keys.insert((block, key.to_owned()));
    }

    /// Adds what `other` left out.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
    }

    /// Keys of the block at `block` that were wrong.
    pub fn keys_of(&self, block: Span) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(move |(span, _)| *span == block).map(|(_, key)| key.as_str())
    }
}

/// What decoding gives.
#[derive(Debug)]
pub struct Decoded<T> {
    /// The value without what was wrong in it.
    pub value: Option<T>,
    /// What was left out.
    pub broken: Broken,
}

/// Decodes a tree and reports every problem in it.
pub fn decode<'de, T: Deserialize<'de>>(root: &'de Node, diagnostics: &mut Diagnostics) -> Decoded<T> {
    let context = Context::default();
    let mut value = None;
    for _ in 0..MAX_PROBLEMS {
        match child(std::marker::PhantomData::<T>, root, &context) {
            Ok(decoded) => {
                value = Some(decoded);
                break;
            }
            Err(error) => {
                let (id, span) = error.place.unwrap_or((root.id, root.span));
                let silent = error.missing.is_some_and(|field| context.broken.borrow().key(span, field));
                if !silent {
                    context.problems.borrow_mut().push(
                        Diagnostic::error(error.code, error.what.problem).at(span, "").hint_maybe(error.what.hint),
                    );
                }
                if !context.poisoned.borrow_mut().insert(id) || id == root.id {
                    break;
                }
            }
        }
    }
    diagnostics.extend(context.problems.into_inner());
    Decoded { value, broken: context.broken.into_inner() }
}

/// What all passes over one tree share.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) poisoned: RefCell<BTreeSet<u32>>,
    pub(super) unknown: RefCell<BTreeSet<u32>>,
    pub(super) broken: RefCell<Broken>,
    pub(super) problems: RefCell<Diagnostics>,
}

/// Decodes one node and gives its place to what goes wrong in it.
pub(super) fn child<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &'de Node,
    context: &Context,
) -> Result<S::Value, DecodeError> {
    decode_as(seed, node, context, false)
}

/// Decodes a key; there a number is as good as a text.
pub(super) fn key<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &'de Node,
    context: &Context,
) -> Result<S::Value, DecodeError> {
    decode_as(seed, node, context, true)
}

fn decode_as<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &'de Node,
    context: &Context,
    is_key: bool,
) -> Result<S::Value, DecodeError> {
    let coerced = Cell::new(false);
    let decoder = Decoder { node, context, coerced: &coerced, is_key };
    let result = match seed.deserialize(decoder) {
        // The type took the text of a number; what it says against it is better than what we could
        // say, but if it says nothing, a number is still no text.
        Ok(_) if coerced.get() && !is_key => {
            let text = node.text().unwrap_or_default();
            let hint = format!("put it in quotes if a text is meant: `\"{text}\"`");
            Err(DecodeError::mismatch("a text", &found(node), Some(hint)))
        }
        other => other,
    };
    result.map_err(|error| error.at(node.id, node.span))
}

struct Decoder<'de, 'c> {
    node: &'de Node,
    context: &'c Context,
    coerced: &'c Cell<bool>,
    is_key: bool,
}

impl<'de> Decoder<'de, '_> {
    fn meaning(&self) -> Option<Meaning<'de>> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(meaning(scalar)),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn mismatch(&self, expected: &str, hint: Option<String>) -> DecodeError {
        let hint =
            hint.or_else(|| (self.meaning() == Some(Meaning::Null)).then(|| "fill it in, or remove it".to_owned()));
        DecodeError::mismatch(expected, &found(self.node), hint)
    }

    /// The text of a scalar; a number's text is handed over with a note.
    fn text(&self) -> Result<&'de str, DecodeError> {
        match (&self.node.value, self.meaning()) {
            (Value::Scalar(Scalar { text, .. }), Some(meaning)) => match meaning {
                Meaning::Text(_) => Ok(text),
                Meaning::Null if !self.is_key => Err(self.mismatch("a text", None)),
                _ => {
                    self.coerced.set(true);
                    Ok(text)
                }
            },
            _ => Err(self.mismatch("a text", None)),
        }
    }

    fn integer<T: TryFrom<i128>>(&self, from: i128, to: i128) -> Result<T, DecodeError> {
        let number = match self.meaning() {
            Some(Meaning::Int(number)) => number,
            Some(Meaning::Text(text)) => {
                let quoted = text.parse::<i128>().is_ok();
                let hint = if quoted { "leave out the quotes" } else { "write it in digits" };
                return Err(self.mismatch("a whole number", Some(hint.to_owned())));
            }
            _ => return Err(self.mismatch("a whole number", None)),
        };
        T::try_from(number).map_err(|_| {
            let hint = if number < from { format!("it is at least {from}") } else { format!("it is at most {to}") };
            let problem = format!("the number {number} is out of range");
            DecodeError::new("inventory.value", Invalid::new(problem).hint(hint))
        })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident),+ $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.integer::<$type>($type::MIN.into(), $type::MAX.into())?)
        })+
    };
}

impl<'de> Deserializer<'de> for Decoder<'de, '_> {
    type Error = DecodeError;

    integers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match (&self.node.value, self.meaning()) {
            (Value::List(_), _) => self.deserialize_seq(visitor),
            (Value::Map(_), _) => self.deserialize_map(visitor),
            (_, Some(Meaning::Bool(value))) => visitor.visit_bool(value),
            (_, Some(Meaning::Int(number))) => match u64::try_from(number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => Err(self.mismatch("a number from 0", None)),
            },
            (_, Some(Meaning::Float)) => self.deserialize_f64(visitor),
            (_, Some(Meaning::Text(text))) => visitor.visit_borrowed_str(text),
            (_, Some(Meaning::Null) | None) => visitor.visit_unit(),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.meaning() {
            Some(Meaning::Bool(value)) => visitor.visit_bool(value),
            Some(Meaning::Text("yes" | "Yes" | "on" | "On" | "y")) => {
                Err(self.mismatch("`true` or `false`", Some("write `true`".to_owned())))
            }
            Some(Meaning::Text("no" | "No" | "off" | "Off" | "n")) => {
                Err(self.mismatch("`true` or `false`", Some("write `false`".to_owned())))
            }
            _ => Err(self.mismatch("`true` or `false`", None)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.meaning() {
            Some(Meaning::Int(_) | Meaning::Float) => {
                match self.node.text().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite()) {
                    Some(number) => visitor.visit_f64(number),
                    None => Err(self.mismatch("a number", None)),
                }
            }
            _ => Err(self.mismatch("a number", None)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.node.text().unwrap_or_default())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.meaning() {
            Some(Meaning::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.meaning() {
            Some(Meaning::Null) => visitor.visit_unit(),
            _ => Err(self.mismatch("nothing", None)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items::new(items, self.context)),
            Value::Map(_) => Err(self.mismatch("a list", Some("start each item with `- `".to_owned()))),
            Value::Scalar(scalar) if !scalar.text.is_empty() => {
                Err(self.mismatch("a list", Some(format!("write `[{}]`", scalar.text.escape_debug()))))
            }
            Value::Scalar(_) => Err(self.mismatch("a list", Some("write `[]` for an empty one".to_owned()))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Fields::of_map(entries, self.node.span, self.context)),
            Value::List(_) => Err(self.mismatch(
                "a block of keys",
                Some("write each entry as `name:` with its keys below, without `- `".to_owned()),
            )),
            Value::Scalar(_) => Err(self.mismatch("a block of keys", Some("write `{}` for an empty one".to_owned()))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == spanned::NAME {
            return visitor.visit_map(SpannedAccess::new(self.node, self.context, self.is_key));
        }
        match &self.node.value {
            Value::Map(entries) => {
                let open = OPEN.contains(&name);
                visitor.visit_map(Fields::of_struct(entries, self.node.span, fields, self.context).open(open))
            }
            Value::Scalar(_) if self.meaning() != Some(Meaning::Null) => {
                match SHORT_FORMS.iter().find(|(short, _)| *short == name) {
                    Some((_, field)) => visitor.visit_map(ShortForm::new(field, self.node, self.context)),
                    None => {
                        let keys = format!("it has keys of its own: {}", fields.join(", "));
                        Err(self.mismatch("a block of keys", Some(keys)))
                    }
                }
            }
            Value::Scalar(_) => Err(self.mismatch("a block of keys", None)),
            Value::List(_) => Err(self.mismatch("a block of keys", Some("write `key: value` without `- `".to_owned()))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let words = variants.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        match &self.node.value {
            Value::Scalar(Scalar { text, .. }) if self.meaning() != Some(Meaning::Null) => {
                visitor.visit_enum(IntoDeserializer::<DecodeError>::into_deserializer(text.as_str()))
            }
            _ => Err(self.mismatch(&words, None)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}
