//! YAML as values: what compose files need of it.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Reads one document.
///
/// # Errors
/// `yaml: line N: …`, as go-yaml says it.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => events.push((event, span.start.line())),
            Err(error) => {
                return Err(format!("yaml: line {}: did not find expected key", error.marker().line()));
            }
        }
    }
    let mut reader = Reader { events: &events, at: 0, anchors: BTreeMap::new() };
    while let Some((event, _)) = reader.events.get(reader.at) {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => reader.at += 1,
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            _ => return reader.value(),
        }
    }
    Ok(Value::Null)
}

struct Reader<'a, 't> {
    events: &'a [(Event<'t>, usize)],
    at: usize,
    anchors: BTreeMap<usize, Value>,
}

impl Reader<'_, '_> {
    fn value(&mut self) -> Result<Value, String> {
        let Some((event, line)) = self.events.get(self.at) else { return Ok(Value::Null) };
        self.at += 1;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (if *style == ScalarStyle::Plain { plain(text) } else { Value::from(text.as_ref()) }, *anchor)
            }
            Event::Alias(anchor) => (self.anchors.get(anchor).cloned().unwrap_or_default(), 0),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                while !matches!(self.events.get(self.at), Some((Event::SequenceEnd, _)) | None) {
                    items.push(self.value()?);
                }
                self.at += 1;
                (Value::Array(items), *anchor)
            }
            Event::MappingStart(anchor, _) => {
                let mut map = Map::new();
                while !matches!(self.events.get(self.at), Some((Event::MappingEnd, _)) | None) {
                    let line = self.events[self.at].1;
                    let key = match self.value()? {
                        Value::String(key) => key,
                        other => other.to_string(),
                    };
                    let value = self.value()?;
                    if map.contains_key(&key) {
                        return Err(format!(
                            "yaml: unmarshal errors:\n  line {line}: mapping key \"{key}\" already defined"
                        ));
                    }
                    map.insert(key, value);
                }
                self.at += 1;
                (Value::Object(map), *anchor)
            }
            _ => return Err(format!("yaml: line {line}: did not find expected node content")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }
}

/// YAML 1.2's core schema, as go-yaml resolves plain scalars.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let float = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b".-+eE".contains(&b));
    match text.parse::<f64>() {
        Ok(number) if float => Value::from(number),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_those_of_yaml() {
        let text = "a: [1, \"2\", true]\nb: {c: ~, d: 1.5, e: 10m}\nf: |\n  x\n  y\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": [1, "2", true], "b": {"c": null, "d": 1.5, "e": "10m"}, "f": "x\ny\n"})
        );
        assert_eq!(parse("").unwrap(), Value::Null);
        assert!(parse("a: [").unwrap_err().starts_with("yaml: line "));
        assert!(parse("a: 1\na: 2\n").unwrap_err().contains("already defined"));
    }
}
