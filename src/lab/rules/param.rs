//! Parameters: what PVE's schema says of them, and its complaints when they do not fit.

use std::collections::BTreeMap;

use super::super::world::Version;
use super::super::world::property::{Properties, indexed};
use super::Refusal;

/// One parameter of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name; `net[n]` stands for `net0`, `net1` …
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// Since when it exists.
    pub since: Version,
    /// Until when it is so.
    pub until: Version,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text of limited length.
    Short {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// A whole number.
    Int {
        /// Least value.
        min: Option<i64>,
        /// Greatest value.
        max: Option<i64>,
    },
    /// A number with fraction.
    Number {
        /// Least value.
        min: Option<i64>,
        /// Greatest value.
        max: Option<i64>,
    },
    /// 0 or 1: in a form nothing else is taken (9.2.11).
    Bool,
    /// One of these.
    Enum(&'static [&'static str]),
    /// Text of a format; the function says what is wrong with it.
    Format(fn(&str) -> Result<(), String>),
    /// A list of texts of a format in one text; sent as several values it is joined (9.2.11).
    List(fn(&str) -> Result<(), String>),
    /// Text of a pattern.
    Pattern(fn(&str) -> bool),
    /// Text of a pattern with limited length.
    ShortPattern(fn(&str) -> bool, usize, usize),
    /// The id of a guest.
    Vmid,
    /// A property string.
    Props(&'static Props),
    /// Several values under one name.
    Many(&'static Self),
}

/// The fields of a property string.
#[derive(Debug)]
pub struct Props {
    /// Key of the field that may stand without one.
    pub default: Option<&'static str>,
    /// Keys that may stand for the default one, with the key that their value then has.
    pub aliases: &'static [&'static str],
    /// Key that the value of an alias is checked as.
    pub alias_value: &'static str,
    /// Every other key.
    pub keys: &'static [(&'static str, Kind, bool)],
}

/// A parameter that may be left out.
pub const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, since: Version::V8_4, until: Version::V9_2 }
}

/// A parameter that must be there.
pub const fn required(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: true, since: Version::V8_4, until: Version::V9_2 }
}

/// A parameter that may be left out and that PVE 8 does not know.
pub const fn since_9(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, since: Version::V9_1, until: Version::V9_2 }
}

/// A parameter that may be left out and that 9.2 is the first to know.
pub const fn since_9_2(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, since: Version::V9_2, until: Version::V9_2 }
}

/// A parameter that is so up to PVE 9.1.
pub const fn until_9_1(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, since: Version::V8_4, until: Version::V9_1 }
}

/// A parameter that is so in PVE 8 only.
pub const fn until_8(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false, since: Version::V8_4, until: Version::V8_4 }
}

impl Param {
    /// Whether this version has it.
    #[must_use]
    pub fn is_in(&self, version: Version) -> bool {
        self.since <= version && version <= self.until
    }

    /// Whether `name` is this parameter or one of its numbers.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix("[n]") {
            None => self.name == name,
            Some(stem) => indexed(name).is_some_and(|(s, n)| s == stem && n < count(stem)),
        }
    }
}

fn count(stem: &str) -> u32 {
    match stem {
        "ide" => 4,
        "serial" => 4,
        "parallel" => 3,
        "sata" => 6,
        "hostpci" | "virtio" => 16,
        "numa" => 8,
        "virtiofs" => 10,
        "usb" => 14,
        "scsi" => 31,
        "net" | "ipconfig" => 32,
        _ => 256,
    }
}

/// Values of a request by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(pub BTreeMap<String, Vec<String>>);

impl Values {
    /// From the pairs of a form or query.
    #[must_use]
    pub fn new(pairs: &[(String, String)]) -> Self {
        let mut values = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in pairs {
            values.entry(name.clone()).or_default().push(value.clone());
        }
        Self(values)
    }

    /// Makes one text of each list that came as several values.
    pub fn join_lists<'a>(&mut self, params: impl Iterator<Item = &'a Param> + Clone) {
        for (name, given) in self.0.iter_mut().filter(|(_, given)| given.len() > 1) {
            if params.clone().any(|p| p.is(name) && matches!(p.kind, Kind::List(_))) {
                *given = vec![given.join(",")];
            }
        }
    }

    /// The text of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|v| v.first()).map(String::as_str)
    }

    /// The text of a parameter that the check has seen to.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A number.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// Every value of a parameter.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Everything that occurs once, as plain text.
    #[must_use]
    pub fn plain(&self) -> BTreeMap<String, String> {
        self.0.iter().filter_map(|(k, v)| Some((k.clone(), v.first()?.clone()))).collect()
    }
}

/// Holds the values against the parameters, as PVE::JSONSchema does: all complaints at once.
///
/// # Errors
/// 400 with a text per parameter.
pub fn check<'a>(
    values: &Values,
    params: impl Iterator<Item = &'a Param> + Clone,
    version: Version,
) -> Result<(), Refusal> {
    let known = params.filter(|p| p.is_in(version));
    let mut errors = BTreeMap::new();
    for param in known.clone().filter(|p| p.required) {
        if !values.0.contains_key(param.name) {
            errors.insert(param.name.to_owned(), "property is missing and it is not optional".to_owned());
        }
    }
    for (name, given) in &values.0 {
        match known.clone().find(|p| p.is(name)) {
            None => {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                errors.insert(name.clone(), text.to_owned());
            }
            Some(Param { kind: Kind::Many(kind), .. }) => {
                for (index, value) in given.iter().enumerate() {
                    let at = format!("{name}[{index}]");
                    if let Err(text) = check_value(kind, &at, value) {
                        errors.insert(at, text);
                    }
                }
            }
            Some(Param { kind, .. }) if given.len() > 1 => {
                errors.insert(name.clone(), format!("type check ('{}') failed - got ARRAY", kind.type_name()));
            }
            Some(Param { kind, .. }) => {
                let value = given.first().map(String::as_str).unwrap_or_default();
                if let Err(text) = check_value(kind, name, value) {
                    errors.insert(name.clone(), text);
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Params(errors)) }
}

impl Kind {
    /// The type in the API description.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Int { .. } | Self::Vmid => "integer",
            Self::Number { .. } => "number",
            Self::Bool => "boolean",
            Self::Many(_) => "array",
            _ => "string",
        }
    }
}

fn range(value: f64, min: Option<i64>, max: Option<i64>) -> Result<(), String> {
    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    match (min, max) {
        (Some(min), _) if value < min as f64 => Err(format!("value must have a minimum value of {min}")),
        (_, Some(max)) if value > max as f64 => Err(format!("value must have a maximum value of {max}")),
        _ => Ok(()),
    }
}

fn integer(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Holds one value against its kind.
///
/// # Errors
/// PVE's text, with the newlines it has.
pub fn check_value(kind: &Kind, name: &str, value: &str) -> Result<(), String> {
    let type_error = || Err(format!("type check ('{}') failed - got '{value}'", kind.type_name()));
    let length = |min: usize, max: usize| match value.chars().count() {
        n if n > max => Err(format!("value may only be {max} characters long")),
        n if n < min => Err(format!("value must be at least {min} characters long")),
        _ => Ok(()),
    };
    match kind {
        Kind::Text => Ok(()),
        Kind::Short { min, max } => length(*min, *max),
        Kind::Int { .. } | Kind::Vmid if !integer(value) => type_error(),
        Kind::Vmid => {
            let looks = value.len() > 2 && !value.starts_with('0') && value.len() <= 9;
            let text = "invalid format - value does not look like a valid VM ID\n";
            if looks { Ok(()) } else { Err(text.to_owned()) }
        }
        Kind::Int { min, max } => range(value.parse().unwrap_or(f64::MAX), *min, *max),
        Kind::Number { min, max } => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => range(number, *min, *max),
            _ => type_error(),
        },
        Kind::Bool => {
            if matches!(value, "0" | "1") {
                Ok(())
            } else {
                type_error()
            }
        }
        Kind::Enum(values) if values.contains(&value) => Ok(()),
        Kind::Enum(values) => {
            Err(format!("value '{value}' does not have a value in the enumeration '{}'", values.join(", ")))
        }
        Kind::Format(format) | Kind::List(format) => format(value).map_err(|text| format!("invalid format - {text}\n")),
        Kind::Pattern(fits) => {
            if fits(value) {
                Ok(())
            } else {
                Err("value does not match the regex pattern".to_owned())
            }
        }
        Kind::ShortPattern(fits, min, max) => {
            if fits(value) {
                length(*min, *max)
            } else {
                Err("value does not match the regex pattern".to_owned())
            }
        }
        Kind::Props(props) => check_props(props, name, value),
        Kind::Many(kind) => check_value(kind, name, value),
    }
}

fn check_props(props: &Props, name: &str, value: &str) -> Result<(), String> {
    let mut errors = Vec::new();
    let fields = Properties::parse(value);
    let mut has_default = false;
    for (key, text) in &fields.0 {
        let key = if key.is_empty() {
            match props.default {
                Some(default) => {
                    has_default = true;
                    // A bare model name stands for the model; the value is checked as such.
                    if props.aliases.contains(&text.as_str()) {
                        continue;
                    }
                    default
                }
                None => {
                    return Err(
                        "invalid format - format error\nvalue without key, but schema does not define a default key\n"
                            .to_owned(),
                    );
                }
            }
        } else if props.aliases.contains(&key.as_str()) {
            has_default = true;
            props.alias_value
        } else {
            key
        };
        match props.keys.iter().find(|(k, _, _)| *k == key) {
            None => errors.push(format!(
                "{name}.{key}: property is not defined in schema and the schema does not allow additional properties"
            )),
            Some((_, Kind::Bool, _)) => {
                let known = ["0", "1", "on", "off", "yes", "no", "true", "false"];
                if !known.iter().any(|k| text.eq_ignore_ascii_case(k)) {
                    errors.push(format!("{name}.{key}: type check ('boolean') failed - got '{text}'"));
                }
            }
            Some((_, kind, _)) => {
                if let Err(error) = check_value(kind, &format!("{name}.{key}"), text) {
                    errors.push(format!("{name}.{key}: {error}"));
                }
            }
        }
    }
    for (key, _, needed) in props.keys {
        let given = fields.get(key).is_some() || (has_default && props.default == Some(*key));
        if *needed && !given {
            errors.push(format!("{name}.{key}: property is missing and it is not optional"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(format!("invalid format - format error\n{}\n", errors.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[Param] = &[
        required("vmid", Kind::Vmid),
        optional("cores", Kind::Int { min: Some(1), max: None }),
        optional("onboot", Kind::Bool),
        since_9("allow-ksm", Kind::Bool),
    ];

    fn complaints(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        match check(&Values::new(&pairs), PARAMS.iter(), Version::V8_4) {
            Err(Refusal::Params(errors)) => errors,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn complaints_are_proxmoxs_and_come_all_at_once() {
        let errors = complaints(&[("cores", "0"), ("onboot", "yes"), ("bogus", "1")]);
        assert_eq!(errors["vmid"], "property is missing and it is not optional");
        assert_eq!(errors["cores"], "value must have a minimum value of 1");
        assert_eq!(errors["onboot"], "type check ('boolean') failed - got 'yes'");
        assert!(errors["bogus"].starts_with("property is not defined in schema"));
        assert_eq!(complaints(&[("vmid", "99")])["vmid"], "invalid format - value does not look like a valid VM ID\n");
    }

    #[test]
    fn a_scalar_sent_twice_is_an_array() {
        let errors = complaints(&[("vmid", "100"), ("cores", "1"), ("cores", "2")]);
        assert_eq!(errors["cores"], "type check ('integer') failed - got ARRAY");
    }

    #[test]
    fn a_list_may_come_as_several_values() {
        const TAGS: &[Param] = &[optional("tags", Kind::List(|_| Ok(()))), optional("name", Kind::Text)];
        let pairs = [("tags", "a"), ("tags", "b"), ("name", "x"), ("name", "y")];
        let mut values = Values::new(&pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        values.join_lists(TAGS.iter());
        assert_eq!((values.text("tags"), values.all("name").len()), ("a,b", 2));
    }

    #[test]
    fn a_parameter_of_a_later_version_is_unknown() {
        assert!(complaints(&[("vmid", "100"), ("allow-ksm", "1")]).contains_key("allow-ksm"));
    }
}
