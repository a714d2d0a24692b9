//! Values as YAML, so that a person can read them: blocks for what has parts, every text in quotes.

use std::fmt::Write as _;

use serde_json::Value;

/// `value` as a YAML document.
///
/// Texts are in double quotes with JSON's escapes, which are YAML's too, and beyond: what YAML does not print is
/// escaped, and so is the second of two braces, as Traefik fills its files as templates first.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => block(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut out, value, 0),
        _ => {
            scalar(&mut out, value);
            out.push('\n');
        }
    }
    out
}

fn block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                out.push_str(&indent);
                out.push_str(&name(key));
                out.push(':');
                part(out, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                part(out, item, depth);
            }
        }
        other => scalar(out, other),
    }
}

fn part(out: &mut String, value: &Value, depth: usize) {
    let has_parts = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if has_parts {
        out.push('\n');
        block(out, value, depth + 1);
    } else {
        out.push(' ');
        scalar(out, value);
        out.push('\n');
    }
}

fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// A key: bare if it can be nothing but a text.
fn name(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let bare = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(plain)
        && !word.contains(&key.to_ascii_lowercase().as_str());
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut before = '\0';
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '{' if before == '{' => out.push_str("\\x7b"),
            '}' if before == '}' => out.push_str("\\x7d"),
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
        before = c;
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr_parser::{Event, Parser};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_reads_as_a_person_would_write_it() {
        let value = json!({ "http": { "routers": { "a": { "rule": "Host(`a`)", "on": [1, "x", {}], "tls": {} } }, "n": null } });
        insta::assert_snapshot!(yaml(&value), @r#"
        http:
          routers:
            a:
              rule: "Host(`a`)"
              "on":
                - 1
                - "x"
                - {}
              tls: {}
          "n": null
        "#);
    }

    fn texts(yaml: &str) -> Vec<String> {
        let events = Parser::new_from_str(yaml).map(|event| event.unwrap().0);
        events
            .filter_map(|event| match event {
                Event::Scalar(text, ..) => Some(text.into_owned()),
                _ => None,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_none_is_a_template(text in "\\PC{0,16}|[{}\"'\\\\\n\t:# a-c\u{85}\u{7f}\u{2028}-]{0,16}") {
            let written = yaml(&json!({ "a": text.clone(), "b": [text.clone()] }));
            prop_assert_eq!(texts(&written), vec!["a".to_owned(), text.clone(), "b".to_owned(), text], "{}", written);
            prop_assert!(!written.contains("{{") && !written.contains("}}"));
        }
    }
}
