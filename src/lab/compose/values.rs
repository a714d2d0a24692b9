//! Values of compose files: durations, sizes, lists that may be texts.

use serde_json::Value;

/// `1m30s` in milliseconds.
pub fn duration(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "us" => 0.001,
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        total += number * factor;
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "durations of compose files are far below")]
    Some(total as i64)
}

/// `512m` in bytes: docker counts in powers of two.
pub fn bytes(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let text = value.as_str()?.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A scalar as text; nothing for null.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A list of words, or a line that is split as a shell would.
pub fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(line) => Some(split(line)),
        _ => None,
    }
}

/// Splits a line at blanks outside of quotes.
pub fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

/// `{a: b}` or `["a=b"]`, in order.
pub fn pairs(value: &Value) -> Vec<(String, Option<String>)> {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(text)
            .map(|item| match item.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (item, None),
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(
            (duration("1m30s"), duration("500ms"), duration("5"), duration("x")),
            (Some(90_000), Some(500), None, None)
        );
        assert_eq!(
            (bytes(&json!("64m")), bytes(&json!("2GiB")), bytes(&json!(7))),
            (Some(64 << 20), Some(2 << 30), Some(7))
        );
        assert_eq!(split("sh -c 'a b' \"\""), ["sh", "-c", "a b", ""]);
    }
}
