//! HuJSON into a value: comments and commas at the end are let pass, nothing else that JSON does not have.

use serde_json::{Map, Value};

/// Reads a text.
///
/// # Errors
/// With line and column, as the hujson library words it.
pub fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader.gap()?;
    let value = reader.value(0)?;
    reader.gap()?;
    if reader.at < reader.text.len() { Err(reader.wrong("invalid character after top-level value")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, why: &str) -> String {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        format!("hujson: line {line}, column {column}: {why}")
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn gap(&mut self) -> Result<(), String> {
        loop {
            match (self.peek(), self.text.get(self.at + 1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r'), _) => self.at += 1,
                (Some(b'/'), Some(b'/')) => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                (Some(b'/'), Some(b'*')) => {
                    let end = self.text[self.at + 2..].windows(2).position(|pair| pair == b"*/");
                    self.at += 4 + end.ok_or_else(|| self.wrong("parsing comment: unexpected EOF"))?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > 64 {
            return Err(self.wrong("nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(_) => {
                let rest = &self.text[self.at..];
                let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
                let value = values.next().and_then(Result::ok).ok_or_else(|| self.wrong("invalid literal"))?;
                self.at += values.byte_offset();
                Ok(value)
            }
            None => Err(self.wrong("unexpected EOF")),
        }
    }

    /// The comma between entries, or the end.
    fn next(&mut self, end: u8) -> Result<bool, String> {
        self.gap()?;
        let comma = self.peek() == Some(b',');
        if comma {
            self.at += 1;
            self.gap()?;
        }
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if comma => Ok(true),
            Some(_) => Err(self.wrong("invalid character, expecting a comma or the end")),
            None => Err(self.wrong("unexpected EOF")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut values = Vec::new();
        self.gap()?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if !self.next(b']')? {
                return Ok(Value::Array(values));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut entries = Map::new();
        self.gap()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("invalid character at start of object name"));
            }
            let Value::String(name) = self.value(depth + 1)? else { return Err(self.wrong("no object name")) };
            self.gap()?;
            if self.peek() != Some(b':') {
                return Err(self.wrong("invalid character after object name"));
            }
            self.at += 1;
            self.gap()?;
            let value = self.value(depth + 1)?;
            if entries.keys().any(|key| key.eq_ignore_ascii_case(&name)) {
                return Err(self.wrong(&format!("duplicate object member name {name:?}")));
            }
            entries.insert(name, value);
            if !self.next(b'}')? {
                return Ok(Value::Object(entries));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_commas_pass_and_nothing_looser() {
        let value = read("// a\n{\"a\": [1, /* ] */ \"//\",], \"b\": {},} // end").unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, "//"], "b": {}}));
        for wrong in ["", "{", "{a: 1}", "{\"a\": 1 \"b\": 2}", "{\"a\": 1, \"A\": 2}", "[,]", "{} {}", "/* "] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("{\n  \"a\": x}").unwrap_err().starts_with("hujson: line 2, column 8"));
    }
}
