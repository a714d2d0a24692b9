//! Filling one template of a service: strict about names, each text written by the syntax of its file.

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::model::{Period, Size};

/// A template that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("templates/{service}/{file}{}: {problem}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct TemplateError {
    /// Whose.
    pub service: String,
    /// Which.
    pub file: String,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

/// How a text is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// A compose file: a JSON string, which is YAML's too, and `$` twice, as compose replaces `$NAME`.
    Compose,
    /// YAML, JSON, TOML, Alloy: a JSON string.
    Quoted,
    /// An environment file of compose: single quotes, in which nothing means anything.
    Environment,
    /// Anything else: as it is, if nothing in it can mean anything.
    Plain,
}

impl Syntax {
    /// The syntax of the file that a template makes.
    pub(super) fn of(file: &str) -> Self {
        let ends = |end: &str| file.trim_end_matches(".j2").ends_with(end);
        let quoted = [".yaml", ".yml", ".json", ".toml", ".alloy"];
        if ends(".env") {
            return Self::Environment;
        }
        if quoted.into_iter().any(ends) { Self::Quoted } else { Self::Plain }
    }

    fn write(self, text: &str) -> Option<String> {
        match self {
            Self::Quoted => Some(json_string(text)),
            Self::Compose => Some(json_string(&text.replace('$', "$$"))),
            Self::Environment => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,=".contains(c);
                let hidden = |c: char| c == '\'' || c.is_control();
                if text.chars().all(plain) {
                    return Some(text.to_owned());
                }
                (!text.contains(hidden)).then(|| format!("'{text}'"))
            }
            Self::Plain => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,=* \u{e000}\u{e001}".contains(c);
                text.chars().all(plain).then(|| text.to_owned())
            }
        }
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Fills `text`, the template `file` of `service`.
pub(super) fn fill(
    service: &str,
    file: &str,
    text: &str,
    values: &Value,
    syntax: Syntax,
) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(move |out, state, value| {
        if value.is_none() {
            return Err(Error::new(ErrorKind::InvalidOperation, "there is none here; ask with `if` first"));
        }
        match value.as_str() {
            Some(text) if !value.is_safe() => {
                let written = syntax.write(text).ok_or_else(|| {
                    let problem = format!("`{}` cannot be written here", text.escape_debug());
                    Error::new(ErrorKind::BadSerialization, problem)
                })?;
                out.write_str(&written).map_err(Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        }
    });
    environment.add_filter("bytes", |text: String| size(&text).map(Size::as_bytes));
    environment.add_filter("mib", |text: String| size(&text).map(|size| size.as_bytes() >> 20));
    environment.add_filter("seconds", |text: String| period(&text).map(Period::as_seconds));
    environment.add_filter("milliseconds", |text: String| period(&text).map(|period| period.as_seconds() * 1000));
    environment.add_filter("raw", |text: String| Value::from_safe_string(text));
    environment.add_filter("text", |value: Value| value.as_str().unwrap_or_default().to_owned());
    environment.add_filter("json", move |value: Value| {
        let text = serde_json::to_string(&value).map_err(|error| invalid(&error.to_string()))?;
        let text = if syntax == Syntax::Compose { text.replace('$', "$$") } else { text };
        Ok::<_, Error>(Value::from_safe_string(text))
    });
    environment
        .render_str(text, values)
        .map(|filled| if filled.ends_with('\n') { filled } else { filled + "\n" })
        .map_err(|error| TemplateError {
            service: service.to_owned(),
            file: file.to_owned(),
            line: error.line(),
            problem: match error.detail() {
                Some(detail) => format!("{}: {detail}", error.kind()),
                None => error.kind().to_string(),
            },
        })
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}

fn size(text: &str) -> Result<Size, Error> {
    text.parse().map_err(|wrong: crate::diag::Invalid| invalid(&wrong.problem))
}

fn period(text: &str) -> Result<Period, Error> {
    text.parse().map_err(|wrong: crate::diag::Invalid| invalid(&wrong.problem))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn filled(text: &str, syntax: Syntax) -> Result<String, String> {
        let values =
            context! { a => "x: [\"$HOME\"", size => "2GiB", wait => "5m", none => Value::from(()), list => ["a b"] };
        fill("mine", "f.j2", text, &values, syntax).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_cannot_leave_its_place() {
        assert_eq!(filled("{{ a }}", Syntax::Compose).unwrap(), "\"x: [\\\"$$HOME\\\"\"\n");
        assert_eq!(filled("{{ a }}", Syntax::Quoted).unwrap(), "\"x: [\\\"$HOME\\\"\"\n");
        assert_eq!(filled("A={{ a }}", Syntax::Environment).unwrap(), "A='x: [\"$HOME\"'\n");
        assert!(filled("{{ a }}", Syntax::Plain).unwrap_err().contains("cannot be written here"));
        assert!(filled("A={{ \"it's\" }}", Syntax::Environment).is_err());
    }

    #[test]
    fn units_are_turned_into_what_a_program_wants() {
        assert_eq!(
            filled("{{ size|mib }} {{ wait|seconds }} {{ wait|milliseconds }}", Syntax::Plain).unwrap(),
            "2048 300 300000\n"
        );
        assert_eq!(filled("{{ list|json }}", Syntax::Quoted).unwrap(), "[\"a b\"]\n");
    }

    #[test]
    fn what_is_not_there_is_an_error_with_its_place() {
        assert_eq!(
            filled("\n{{ nothing }}", Syntax::Plain).unwrap_err().split(": ").next().unwrap(),
            "templates/mine/f.j2:2"
        );
        assert!(filled("{{ none }}", Syntax::Plain).unwrap_err().contains("ask with `if` first"));
    }
}
