//! A decrypted file with many secrets: a map in YAML or JSON, or lines `NAME=value`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use camino::Utf8Path;
use secrecy::{ExposeSecret as _, SecretString};

use super::SecretError;
use super::error::Failure;
use super::provider::{upper, usable};
use crate::diag::{Diagnostics, FileId};
use crate::inventory::parse::{Ids, Node, Value, parse};

/// Secrets by their keys; what is nested has a dot: `litellm.master_key`.
pub(super) type SecretMap = BTreeMap<String, SecretString>;

/// An encrypted file that is opened once, when it is first asked.
pub(super) struct MapFile {
    what: String,
    opened: OnceLock<Result<SecretMap, Failure>>,
}

impl MapFile {
    /// `what` it is, as a person would say it.
    pub fn new(what: String) -> Self {
        Self { what, opened: OnceLock::new() }
    }

    pub fn place(&self, name: &str, at: Option<&str>) -> String {
        format!("`{}` of {}", at.unwrap_or(name), self.what)
    }

    /// The secret called `name`, or at `at`; by its own name it may be written as a variable is.
    pub fn get(
        &self,
        name: &str,
        at: Option<&str>,
        open: impl FnOnce() -> Result<SecretMap, Failure>,
    ) -> Result<Option<SecretString>, SecretError> {
        let map =
            self.opened.get_or_init(open).as_ref().map_err(|failure| failure.clone().of(name, self.what.clone()))?;
        let found = match at {
            Some(at) => map.get(at),
            None => map.get(name).or_else(|| map.get(&upper(name))),
        };
        found.map(|text| usable(name, &self.place(name, at), text.expose_secret().to_owned())).transpose()
    }
}

/// Reads a map by the name of its file: lines for `.env`, else YAML, which JSON is, too.
pub(super) fn read(file: &Utf8Path, text: &SecretString) -> Result<SecretMap, Failure> {
    let inner = match file.extension() {
        Some("age" | "enc" | "vault") => file.file_stem().unwrap_or_default(),
        _ => file.file_name().unwrap_or_default(),
    };
    let text = text.expose_secret();
    if inner.ends_with(".env") { lines(text) } else { yaml(text) }
}

/// Messages say the line and nothing of what stands there.
fn yaml(text: &str) -> Result<SecretMap, Failure> {
    let mut problems = Diagnostics::new();
    let tree = parse(FileId(0), text, &mut Ids::default(), &mut problems);
    let line = problems.iter().next().and_then(|problem| problem.primary.as_ref()).map(|place| {
        let before = text.get(..place.span.start as usize).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    let Some(tree) = tree.filter(|_| !problems.has_errors()) else {
        return Err(Failure::new(match line {
            Some(line) => format!("what is in it is no YAML (line {line})"),
            None => "it is empty".to_owned(),
        }));
    };
    let mut map = SecretMap::new();
    match &tree.value {
        Value::Map(_) => flatten(&tree, "", &mut map),
        _ => return Err(Failure::new("what is in it is no map").hint("write `name: value` on each line")),
    }
    Ok(map)
}

fn flatten(node: &Node, path: &str, map: &mut SecretMap) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &node.value {
        Value::Scalar(scalar) => {
            map.insert(path.to_owned(), scalar.text.clone().into());
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &below(&index.to_string()), map);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                flatten(&entry.value, &below(entry.name()), map);
            }
        }
    }
}

fn lines(text: &str) -> Result<SecretMap, Failure> {
    let mut map = SecretMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(Failure::new(format!("line {} is not `NAME=value`", index + 1)));
        };
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        map.insert(name.trim().to_owned(), value.to_owned().into());
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(file: &str, text: &str) -> Result<Vec<(String, String)>, Failure> {
        let map = read(Utf8Path::new(file), &text.to_owned().into())?;
        Ok(map.into_iter().map(|(key, value)| (key, value.expose_secret().to_owned())).collect())
    }

    #[test]
    fn maps_are_read_as_they_are_written() {
        let read = |file: &str, text: &str| {
            let map = keys(file, text).unwrap();
            map.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        let yaml = "hq-token: 007\nlitellm: { master_key: 'a b', more: [x, y] }\n";
        assert_eq!(
            read("x.age", yaml),
            ["hq-token=007", "litellm.master_key=a b", "litellm.more.0=x", "litellm.more.1=y"]
        );
        assert_eq!(read("x.json", r#"{"hq-token": "é\"", "n": 5}"#), ["hq-token=é\"", "n=5"]);
        let env = "# c\nexport HQ_TOKEN=\"a=b\"\nX='1'\nY = z\n";
        assert_eq!(read("x.env.age", env), ["HQ_TOKEN=a=b", "X=1", "Y=z"]);
    }

    #[test]
    fn what_is_wrong_is_said_by_its_line_and_without_its_text() {
        for (file, text, line) in [("x.age", "a: b\nk9-canary: [\n", ""), ("x.env", "A=1\nk9-canary\n", "line 2")] {
            let failure = keys(file, text).unwrap_err();
            assert!(failure.why.contains(line) && !format!("{failure:?}").contains("canary"), "{failure:?}");
        }
        assert!(keys("x.age", "- k9-canary\n").unwrap_err().why.contains("no map"));
    }

    #[test]
    fn a_file_is_opened_once_and_its_failure_is_told_of_each_secret() {
        let file = MapFile::new("the age file x".to_owned());
        let mut opened = 0;
        for name in ["a", "b"] {
            let error = file.get(name, None, || {
                opened += 1;
                Err(Failure::new("no key"))
            });
            assert!(error.unwrap_err().to_string().starts_with(&format!("secret `{name}` in the age file x")));
        }
        assert_eq!(opened, 1);
    }
}
