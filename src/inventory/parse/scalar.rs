//! What a plain scalar means: the core schema of YAML 1.2, where `no` is a text.

use super::{Node, Scalar, Value};

/// A scalar's meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning<'a> {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction or an exponent.
    Float,
    /// Anything else.
    Text(&'a str),
}

/// Reads a scalar.
pub(super) fn meaning(scalar: &Scalar) -> Meaning<'_> {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return Meaning::Text(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "true" | "True" | "TRUE" => Meaning::Bool(true),
        "false" | "False" | "FALSE" => Meaning::Bool(false),
        _ => match integer(text) {
            Some(number) => Meaning::Int(number),
            None if is_float(text) => Meaning::Float,
            None => Meaning::Text(text),
        },
    }
}

fn integer(text: &str) -> Option<i128> {
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    match text.strip_prefix('-') {
        Some(rest) => digits(rest, 10).map(|n| -n),
        None => digits(text.strip_prefix('+').unwrap_or(text), 10),
    }
}

fn digits(text: &str, radix: u32) -> Option<i128> {
    let all = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if all { i128::from_str_radix(text, radix).ok() } else { None }
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    starts && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) && text.parse::<f64>().is_ok()
}

/// Says in words what stands there.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a block of keys".to_owned(),
        Value::Scalar(scalar) => match meaning(scalar) {
            Meaning::Null => "nothing".to_owned(),
            Meaning::Bool(_) => format!("`{}`", scalar.text),
            Meaning::Int(_) | Meaning::Float => format!("the number {}", scalar.text),
            Meaning::Text(text) => {
                let short: String = text.chars().take(40).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                format!("the text `{}{more}`", short.escape_debug())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_yaml_1_2_says() {
        let plain = |text: &str| Scalar { text: text.to_owned(), plain: true };
        for (text, expected) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("true", Meaning::Bool(true)),
            ("no", Meaning::Text("no")),
            ("0x1F", Meaning::Int(31)),
            ("0o17", Meaning::Int(15)),
            ("-5", Meaning::Int(-5)),
            ("010", Meaning::Int(10)),
            ("1.5", Meaning::Float),
            ("1e3", Meaning::Float),
            (".inf", Meaning::Float),
            ("10.0.0.1", Meaning::Text("10.0.0.1")),
            ("10de:2684", Meaning::Text("10de:2684")),
            ("--5", Meaning::Text("--5")),
        ] {
            assert_eq!(meaning(&plain(text)), expected, "{text}");
        }
        assert_eq!(meaning(&Scalar { text: "5".to_owned(), plain: false }), Meaning::Text("5"));
    }
}
