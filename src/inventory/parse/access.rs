//! The insides of lists and blocks, without what was found wrong in an earlier pass.

use serde::de::value::{StringDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use super::decode::{Context, child, key};
use super::error::DecodeError;
use super::{Entry, Node, Value, spanned};
use crate::diag::{Diagnostic, Span, did_you_mean};

/// Items of a list.
pub(super) struct Items<'de, 'c> {
    items: std::slice::Iter<'de, Node>,
    context: &'c Context,
}

impl<'de, 'c> Items<'de, 'c> {
    pub(super) fn new(items: &'de [Node], context: &'c Context) -> Self {
        Self { items: items.iter(), context }
    }
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let context = self.context;
        match self.items.find(|item| !context.poisoned.borrow().contains(&item.id)) {
            Some(item) => child(seed, item, context).map(Some),
            None => Ok(None),
        }
    }
}

/// Entries of a block; of a struct only those that it knows.
pub(super) struct Fields<'de, 'c> {
    entries: std::slice::Iter<'de, Entry>,
    block: Span,
    fields: Option<&'static [&'static str]>,
    open: bool,
    value: Option<&'de Node>,
    context: &'c Context,
}

impl<'de, 'c> Fields<'de, 'c> {
    pub(super) fn of_map(entries: &'de [Entry], block: Span, context: &'c Context) -> Self {
        Self { entries: entries.iter(), block, fields: None, open: false, value: None, context }
    }

    pub(super) fn of_struct(
        entries: &'de [Entry],
        block: Span,
        fields: &'static [&'static str],
        context: &'c Context,
    ) -> Self {
        Self { entries: entries.iter(), block, fields: Some(fields), open: false, value: None, context }
    }

    pub(super) fn open(self, open: bool) -> Self {
        Self { open, ..self }
    }

    fn is_known(&self, entry: &Entry) -> bool {
        let Some(fields) = self.fields else { return true };
        let name = entry.name();
        if fields.contains(&name) {
            return true;
        }
        if self.open && name.starts_with("x-") {
            return false;
        }
        if self.context.unknown.borrow_mut().insert(entry.key.id) {
            let hint = did_you_mean(name, fields.iter().copied())
                .unwrap_or_else(|| format!("known here are {}", fields.join(", ")));
            self.context.problems.borrow_mut().push(
                Diagnostic::error(
                    "inventory.unknown-key",
                    format!("the key `{}` is not known here", name.escape_debug()),
                )
                .at(entry.key.span, "")
                .hint(hint),
            );
        }
        false
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        while let Some(entry) = self.entries.next() {
            if !self.is_known(entry) {
                continue;
            }
            let poisoned = self.context.poisoned.borrow();
            if poisoned.contains(&entry.value.id) || poisoned.contains(&entry.key.id) {
                self.context.broken.borrow_mut().insert(self.block, entry.name());
                continue;
            }
            if matches!(&entry.value.value, Value::List(items) if items.iter().any(|item| poisoned.contains(&item.id)))
            {
                // The list goes on without the item; whoever misses it need not complain.
                self.context.broken.borrow_mut().insert(self.block, entry.name());
            }
            drop(poisoned);
            self.value = Some(&entry.value);
            return key(seed, &entry.key, self.context).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        let node = self.value.take().expect("serde asks for a value only after its key");
        child(seed, node, self.context)
    }
}

/// The four parts of a `Spanned`.
pub(super) struct SpannedAccess<'de, 'c> {
    node: &'de Node,
    context: &'c Context,
    is_key: bool,
    next: usize,
}

impl<'de, 'c> SpannedAccess<'de, 'c> {
    pub(super) fn new(node: &'de Node, context: &'c Context, is_key: bool) -> Self {
        Self { node, context, is_key, next: 0 }
    }
}

impl<'de> MapAccess<'de> for SpannedAccess<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let Some(field) = spanned::FIELDS.get(self.next) else { return Ok(None) };
        self.next += 1;
        let field: StringDeserializer<DecodeError> = (*field).to_owned().into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        let Span { file, start, end } = self.node.span;
        let number = match self.next {
            1 => file.0,
            2 => start,
            3 => end,
            _ if self.is_key => return key(seed, self.node, self.context),
            _ => return child(seed, self.node, self.context),
        };
        let number: U32Deserializer<DecodeError> = number.into_deserializer();
        seed.deserialize(number)
    }
}

/// A block with one field that was written as the field's value alone.
pub(super) struct ShortForm<'de, 'c> {
    field: Option<&'static str>,
    node: &'de Node,
    context: &'c Context,
}

impl<'de, 'c> ShortForm<'de, 'c> {
    pub(super) fn new(field: &'static str, node: &'de Node, context: &'c Context) -> Self {
        Self { field: Some(field), node, context }
    }
}

impl<'de> MapAccess<'de> for ShortForm<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let Some(field) = self.field.take() else { return Ok(None) };
        let field: StringDeserializer<DecodeError> = field.to_owned().into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        child(seed, self.node, self.context)
    }
}
