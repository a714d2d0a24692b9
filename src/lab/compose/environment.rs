//! Variables: those of environment files, and `$NAME` in compose files.

use std::collections::BTreeMap;

use serde_json::Value;

/// Reads an environment file: `KEY=value`, quotes as godotenv takes them.
///
/// # Errors
/// What compose says of a line that is none.
pub fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else {
            if line.contains(' ') {
                return Err(format!("unexpected character \" \" in variable name near \"{line}\""));
            }
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if let Some(bad) = key.chars().find(|c| !c.is_ascii_alphanumeric() && !"_.-[]".contains(*c)) {
            return Err(format!("unexpected character \"{bad}\" in variable name near \"{line}\""));
        }
        let value = if let Some(rest) = value.strip_prefix('\'') {
            let Some((inner, _)) = rest.split_once('\'') else {
                return Err(format!("unterminated quoted value {value}"));
            };
            inner.to_owned()
        } else if let Some(rest) = value.strip_prefix('"') {
            let Some((inner, _)) = rest.split_once('"') else {
                return Err(format!("unterminated quoted value {value}"));
            };
            filled(&inner.replace("\\n", "\n"), &found).0
        } else {
            let value = value.split(" #").next().unwrap_or_default().trim_end();
            filled(value, &found).0
        };
        found.insert(key.to_owned(), value);
    }
    Ok(found)
}

/// Fills `$NAME`, `${NAME}`, `${NAME:-default}` and `$$` in every text of a value; names that are not set are given back.
pub fn interpolate(value: &mut Value, variables: &BTreeMap<String, String>, unset: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains('$') => {
            let (new, missing) = filled(text, variables);
            unset.extend(missing);
            *text = new;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| interpolate(item, variables, unset)),
        Value::Object(map) => map.values_mut().for_each(|value| interpolate(value, variables, unset)),
        _ => {}
    }
}

fn filled(text: &str, variables: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let (mut out, mut missing, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, default, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((inner, after)) => {
                let (name, default) = inner.split_once(":-").or_else(|| inner.split_once('-')).unwrap_or((inner, ""));
                (name, Some(default).filter(|default| !default.is_empty()), after)
            }
            None => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (&rest[..length], None, &rest[length..])
            }
        };
        if name.is_empty() {
            out.push('$');
            continue;
        }
        match (variables.get(name), default) {
            (Some(value), _) => out.push_str(value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => missing.push(name.to_owned()),
        }
        rest = after;
    }
    out.push_str(rest);
    (out, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_anything_in_single_quotes() {
        let found = read("# c\nA='x $Y #z'\nB=plain # note\nC=\"a$B\"\nD=\n").unwrap();
        let pairs: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("A", "x $Y #z"), ("B", "plain"), ("C", "aplain"), ("D", "")]);
        assert!(read("A B=1").is_err() && read("A='x").is_err());
    }

    #[test]
    fn dollars_are_written_twice() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let (text, missing) = filled("$$HOME ${A} $A ${B:-d} ${C}", &variables);
        assert_eq!((text.as_str(), missing), ("$HOME 1 1 d ", vec!["C".to_owned()]));
    }
}
