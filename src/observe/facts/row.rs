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

    /// A value as text; nothing if there is none.
    ///
    /// # Errors
    /// When it is a list or an object.
    pub fn text(&self, key: &str) -> Result<Option<String>, Invalid> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(_) | Value::Object(_)) => {
                Err(Invalid::new(format!("`{key}` of an entry of the answer is neither text nor number")))
            }
            Some(value) => Ok(Some(plain(value))),
        }
    }

    /// A value as text that must be there.
    pub fn need(&self, key: &str) -> Result<String, Invalid> {
        self.text(key)?.ok_or_else(|| Invalid::new(format!("an entry of the answer has no `{key}`")))
    }

    /// Whether a value is there and true.
    ///
    /// # Errors
    /// When it is neither true nor false; Perl's false is 0, an empty text or null.
    pub fn flag(&self, key: &str) -> Result<bool, Invalid> {
        match self.text(key)?.as_deref() {
            Some("1") => Ok(true),
            None | Some("0" | "") => Ok(false),
            Some(_) => Err(Invalid::new(format!("`{key}` of an entry of the answer is neither 0 nor 1"))),
        }
    }

    /// A number; nothing if there is none.
    ///
    /// # Errors
    /// When it is something else, or negative.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Invalid> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        // Perl prints what does not fit into 64 bits, or was divided, with a fraction or an exponent.
        let float = || text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0).map(|n| n as u64);
        let number = text.parse().ok().or_else(float);
        number.map(Some).ok_or_else(|| Invalid::new(format!("`{key}` of an entry of the answer is no number")))
    }

    /// The strings of an array; none if there is none.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Invalid> {
        let strange = || Invalid::new(format!("`{key}` of an entry of the answer is no list of texts"));
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(strange)).collect()
            }
            Some(_) => Err(strange()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_another_type_is_no_answer() {
        let data = json!([{"list": [1], "object": {}, "word": "x", "minus": -1, "big": 1.5e19, "yes": 1, "no": ""}]);
        let [row] = Row::all(&data).unwrap()[..] else { panic!("one row") };
        assert!(row.text("list").is_err() && row.text("object").is_err() && row.need("list").is_err());
        assert!(row.flag("word").is_err() && row.flag("minus").is_err() && row.flag("list").is_err());
        assert!(row.number("word").is_err() && row.number("minus").is_err() && row.number("object").is_err());
        assert!(row.texts("word").is_err() && row.texts("list").is_err());
        assert_eq!((row.flag("yes"), row.flag("no"), row.flag("absent")), (Ok(true), Ok(false), Ok(false)));
        assert_eq!((row.number("big"), row.number("absent")), (Ok(Some(15_000_000_000_000_000_000)), Ok(None)));
    }
}
