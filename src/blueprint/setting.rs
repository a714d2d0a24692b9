//! Variables of services: what an operator may set, and what was set.

use std::fmt;

use crate::diag::{Invalid, Span, did_you_mean};
use crate::inventory::{RawSetting, VariableType};
use crate::model::{Period, Size};

/// What a variable is set to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(u64),
    /// A text of one line, or one of some words.
    Text(String),
    /// A size.
    Size(Size),
    /// A length of time.
    Duration(Period),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => value.escape_debug().fmt(f),
            Self::Size(value) => value.fmt(f),
            Self::Duration(value) => value.fmt(f),
        }
    }
}

/// Something that an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What it holds.
    pub kind: VariableType,
    /// What it is unless given.
    pub default: Option<Setting>,
    /// The least that it may be.
    pub min: Option<Setting>,
    /// The most that it may be.
    pub max: Option<Setting>,
    /// The words that an enum may be.
    pub values: Vec<String>,
    /// What it is for.
    pub description: String,
    /// Where it was declared.
    pub span: Span,
}

impl Variable {
    /// What was written, if it may be.
    ///
    /// # Errors
    /// When it is of another type, out of bounds, or none of the words.
    pub fn accept(&self, raw: &RawSetting) -> Result<Setting, Invalid> {
        let setting = typed(self.kind, raw)?;
        if self.kind == VariableType::Enum && !self.values.iter().any(|word| *word == setting.to_string()) {
            let words = || self.values.iter().map(String::as_str);
            let hint = did_you_mean(&setting.to_string(), words())
                .unwrap_or_else(|| format!("it is one of {}", words().collect::<Vec<_>>().join(", ")));
            return Err(Invalid::new(format!("`{setting}` is none of its words")).hint(hint));
        }
        for (bound, below, word) in [(&self.min, true, "least"), (&self.max, false, "most")] {
            if let Some(bound) =
                bound.as_ref().filter(|bound| if below { setting < **bound } else { setting > **bound })
            {
                return Err(
                    Invalid::new(format!("`{setting}` is out of range")).hint(format!("it is at {word} {bound}"))
                );
            }
        }
        Ok(setting)
    }
}

/// What was written, as the type that it shall be of.
pub(super) fn typed(kind: VariableType, raw: &RawSetting) -> Result<Setting, Invalid> {
    let wrong = |what: &str, hint: &str| Err(Invalid::new(format!("`{raw}` is not {what}")).hint(hint.to_owned()));
    match (kind, raw) {
        (VariableType::Boolean, RawSetting::Boolean(value)) => Ok(Setting::Boolean(*value)),
        (VariableType::Boolean, _) => wrong("`true` or `false`", "write `true` or `false`, without quotes"),
        (VariableType::Integer, RawSetting::Integer(value)) => Ok(Setting::Integer(*value)),
        (VariableType::Integer, _) => wrong("a whole number", "write it in digits, without quotes"),
        (VariableType::Size, RawSetting::Text(text)) => text.parse().map(Setting::Size),
        (VariableType::Size, _) => wrong("a size", "write a number and KiB, MiB, GiB or TiB, such as `20GiB`"),
        (VariableType::Duration, RawSetting::Text(text)) => text.parse().map(Setting::Duration),
        (VariableType::Duration, _) => wrong("a length of time", "write a number with s, m, h or d, such as `30s`"),
        // Characters for private use mark where secrets go.
        (VariableType::Text | VariableType::Enum | VariableType::Model, RawSetting::Text(text)) => {
            let odd = |c: char| c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c);
            if text.contains(odd) {
                wrong("a text of one line", "leave out line breaks and control characters")
            } else {
                Ok(Setting::Text(text.clone()))
            }
        }
        (VariableType::Text | VariableType::Enum | VariableType::Model, _) => {
            wrong("a text", &format!("put it in quotes: `\"{raw}\"`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::FileId;

    fn variable(kind: VariableType) -> Variable {
        let span = Span { file: FileId(0), start: 0, end: 0 };
        let words = ["low", "high"].map(str::to_owned).to_vec();
        Variable { kind, default: None, min: None, max: None, values: words, description: String::new(), span }
    }

    #[test]
    fn a_value_is_of_its_type_and_within_its_bounds() {
        let text = |text: &str| RawSetting::Text(text.to_owned());
        let integer = Variable {
            min: Some(Setting::Integer(1)),
            max: Some(Setting::Integer(8)),
            ..variable(VariableType::Integer)
        };
        assert_eq!(integer.accept(&RawSetting::Integer(8)), Ok(Setting::Integer(8)));
        for wrong in [RawSetting::Integer(0), RawSetting::Integer(9), text("5"), RawSetting::Boolean(true)] {
            assert!(integer.accept(&wrong).is_err(), "{wrong:?}");
        }
        let size = Variable { max: Some(Setting::Size(Size::gib(1))), ..variable(VariableType::Size) };
        assert_eq!(size.accept(&text("512MiB")), Ok(Setting::Size(Size::mib(512))));
        assert!(size.accept(&text("2GiB")).unwrap_err().hint.unwrap().contains("at most 1GiB"));
        let word = variable(VariableType::Enum);
        assert_eq!(word.accept(&text("low")), Ok(Setting::Text("low".to_owned())));
        assert!(word.accept(&text("hihg")).unwrap_err().hint.unwrap().contains("did you mean `high`?"));
        assert!(variable(VariableType::Text).accept(&text("a\nb")).is_err());
        assert!(variable(VariableType::Text).accept(&text("a\u{e000}b")).is_err(), "nobody writes a secret's mark");
    }
}
