//! Objects of a list answer.

use serde_json::{Map, Value};

use crate::diag::Invalid;
use crate::proxmox::answer::plain;

/// One object of a list; scalars are read as text, since PVE prints the same number now as a number,
/// now as a string.
#[derive(Clone, Copy)]
pub(super) struct Row<'a>(&'a Map<String, Value>);

impl<'a> Row<'a> {
    /// The objects of a list.
    pub fn all(data: &'a Value) -> Result<Vec<Self>, Invalid> {
        let list = data.as_array().ok_or_else(|| Invalid::new("the answer is not a list"))?;
        list.iter()
            .map(|item| item.as_object().map(Self).ok_or_else(|| Invalid::new("the answer is not a list of objects")))
            .collect()
    }

    /// A value as text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|value| !value.is_null()).map(plain)
    }

    /// A value as text that must be there.
    pub fn need(&self, key: &str) -> Result<String, Invalid> {
        self.text(key).ok_or_else(|| Invalid::new(format!("an entry of the answer has no `{key}`")))
    }

    /// Whether a value is there and true.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text == "1")
    }

    /// A number; nothing if there is none.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    /// The strings of an array.
    pub fn texts(&self, key: &str) -> Vec<String> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().map(plain).collect()
    }
}
