//! Questions to the person; each has a flag that answers it.

use std::io::ErrorKind;

use dialoguer::{Confirm, Input, Password};
use secrecy::SecretString;

use super::Writer;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nobody is there to ask.
    #[error("this needs an answer, and there is no terminal to ask on")]
    NotInteractive {
        /// The flag that answers it.
        flag: String,
    },
    /// The person pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The terminal could not be used.
    #[error("the terminal cannot be read")]
    Io(#[source] std::io::Error),
}

impl From<dialoguer::Error> for PromptError {
    fn from(dialoguer::Error::IO(error): dialoguer::Error) -> Self {
        if error.kind() == ErrorKind::Interrupted { Self::Interrupted } else { Self::Io(error) }
    }
}

/// Asks for yes or no; no is the default. `flag` is what answers it without asking.
///
/// # Errors
/// When nobody can be asked, or nobody answers.
pub fn confirm(writer: &Writer, question: &str, flag: &str) -> Result<bool, PromptError> {
    interactive(writer, flag)?;
    Ok(Confirm::new().with_prompt(question).default(false).interact()?)
}

/// Asks to type `name`; anything else is a no.
///
/// # Errors
/// When nobody can be asked, or nobody answers.
pub fn type_name(writer: &Writer, question: &str, name: &str, flag: &str) -> Result<bool, PromptError> {
    interactive(writer, flag)?;
    let typed: String =
        Input::new().with_prompt(format!("{question} Type `{name}` to go on")).allow_empty(true).interact_text()?;
    Ok(typed.trim() == name)
}

/// Asks for something that is not shown while it is typed. Only where [`can_ask`].
///
/// # Errors
/// When nobody answers.
pub fn ask_secret(question: &str) -> Result<SecretString, PromptError> {
    Ok(Password::new().with_prompt(question).allow_empty_password(true).interact()?.into())
}

/// Whether a person is there to be asked: at a terminal, and not in CI, where nobody would answer.
#[must_use]
pub fn can_ask(writer: &Writer) -> bool {
    let ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    writer.is_interactive() && !ci
}

/// Asks for a line of text; Enter alone means `default`. `flag` is what answers it without asking.
///
/// # Errors
/// When nobody can be asked, or nobody answers.
pub fn ask(writer: &Writer, question: &str, default: Option<&str>, flag: &str) -> Result<String, PromptError> {
    interactive(writer, flag)?;
    let input = Input::<String>::new().with_prompt(question);
    let input = match default {
        Some(own) => input.default(own.to_owned()),
        None => input,
    };
    Ok(input.interact_text()?.trim().to_owned())
}

fn interactive(writer: &Writer, flag: &str) -> Result<(), PromptError> {
    if writer.is_interactive() { Ok(()) } else { Err(PromptError::NotInteractive { flag: flag.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::super::Terminal;
    use super::*;

    #[test]
    fn without_a_terminal_the_error_names_the_flag() {
        let writer = Writer::new(Vec::new(), Terminal::plain(), Vec::new(), Terminal::plain());
        for result in [confirm(&writer, "Apply?", "--yes"), type_name(&writer, "Destroys.", "ct.x", "--yes")] {
            assert!(matches!(result, Err(PromptError::NotInteractive { flag }) if flag == "--yes"));
        }
    }
}
