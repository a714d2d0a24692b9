//! Filling one template: every text is written by the rule of its target's syntax.

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

/// A value that the syntax of its target cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` cannot be written into {target}")]
pub struct Unwritable {
    /// What it was to be written into, such as `a Caddyfile`.
    pub target: &'static str,
    /// The value, with control characters escaped.
    pub value: String,
}

/// A syntax: its name in messages, and how a text is written in it, if it can be.
pub(super) struct Syntax {
    pub(super) target: &'static str,
    pub(super) write: fn(&str) -> Option<String>,
}

/// Fills `template`; each text is written by `syntax`, numbers and what was marked as written already as they are.
///
/// # Panics
/// If the template itself is wrong; templates are part of the program, and tests fill each one.
pub(super) fn fill(template: &str, values: Value, syntax: &Syntax) -> Result<String, Unwritable> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let (write, target) = (syntax.write, syntax.target);
    environment.set_formatter(move |out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => {
            let written = write(text)
                .ok_or_else(|| minijinja::Error::new(ErrorKind::BadSerialization, text.escape_debug().to_string()))?;
            out.write_str(&written).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    let filled = environment.render_str(template, values).map_err(|error| match (error.kind(), error.detail()) {
        (ErrorKind::BadSerialization, Some(value)) => Unwritable { target, value: value.to_owned() },
        _ => panic!("templates are part of the program: {error:#}"),
    })?;
    // The template's own last line break is not filled in.
    Ok(if filled.ends_with('\n') { filled } else { filled + "\n" })
}
