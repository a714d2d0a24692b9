//! Several commands in one round trip.
//!
//! A [`Batch`] is a script for `sh -s` that is nothing but argument vectors, each followed by a
//! delimiter on both streams, and the reader of what comes back. It holds no logic: what to do about
//! an exit code is decided here, not there, except for the one question whether to stop at the first
//! failure.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Command, Output, quote_all};

/// What a batch does after a command that exits with anything but 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The next command runs all the same.
    Continue,
    /// No further command runs.
    Stop,
}

/// A list of commands without input, run one after the other by one `sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    nonce: String,
    on_failure: OnFailure,
    commands: Vec<Vec<String>>,
}

/// Why what came back is not the output of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The shell ended early. Whether the first missing command ran is unknown.
    #[error("the batch ended after {} of {of} commands with exit code {code}: {message}", .done.len())]
    Incomplete {
        /// The commands that did finish.
        done: Vec<Output>,
        /// How many there should be.
        of: usize,
        /// The shell's own exit code.
        code: i32,
        /// What it said last.
        message: String,
    },
    /// A command printed the batch's own delimiter, so the parts cannot be told apart.
    #[error("the output of a batch holds its own delimiter more often than it should")]
    Ambiguous,
}

impl Batch {
    /// An empty batch. `nonce` goes into the delimiters: a random number, or in tests a fixed one.
    #[must_use]
    pub fn new(nonce: u128, on_failure: OnFailure) -> Self {
        Self { nonce: format!("{nonce:032x}"), on_failure, commands: Vec::new() }
    }

    /// Adds a command; its output will be at the returned index.
    pub fn push<S: Into<String>>(&mut self, argv: impl IntoIterator<Item = S>) -> usize {
        self.commands.push(argv.into_iter().map(Into::into).collect());
        self.commands.len() - 1
    }

    /// How many commands it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// The commands, in their order.
    #[must_use]
    pub fn commands(&self) -> &[Vec<String>] {
        &self.commands
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The command that runs all of them, within `limit` for all together.
    #[must_use]
    pub fn command(&self, limit: Duration) -> Command {
        Command::new(["sh", "-s"]).stdin(self.script()).limit(limit)
    }

    /// Without input of their own: the script is the shell's input, and a command that reads it would eat the rest.
    fn script(&self) -> String {
        // messages are parsed, and Perl complains about locales that the host does not have
        let mut script = String::from("export LC_ALL=C\n");
        for (index, argv) in self.commands.iter().enumerate() {
            let line = quote_all(argv);
            let nonce = &self.nonce;
            let written = writeln!(
                script,
                "{line} </dev/null\nc=$?\nprintf '\\n%s %s %s\\n' {nonce} {index} \"$c\"\nprintf '\\n%s %s\\n' {nonce} {index} >&2"
            );
            written.expect("writing to a String does not fail");
            if self.on_failure == OnFailure::Stop {
                script.push_str("test \"$c\" = 0 || exit 0\n");
            }
        }
        script
    }

    /// Takes the output apart. With [`OnFailure::Stop`] the last one may have failed and those after
    /// it are missing; otherwise there are as many as commands.
    pub fn read(&self, output: &Output) -> Result<Vec<Output>, BatchError> {
        let mut done = Vec::new();
        let (mut out, mut err) = (&output.stdout[..], &output.stderr[..]);
        for index in 0..self.commands.len() {
            let Some((stdout, code, rest)) = split_out(out, &self.nonce, index) else { break };
            let Some((stderr, rest_err)) = split(err, format!("\n{} {index}\n", self.nonce).as_bytes()) else { break };
            (out, err) = (rest, rest_err);
            done.push(Output { code, stdout: stdout.to_vec(), stderr: stderr.to_vec() });
        }
        let stopped = self.on_failure == OnFailure::Stop && done.last().is_some_and(|last| last.code != 0);
        if done.len() < self.commands.len() && !stopped {
            let message = String::from_utf8_lossy(err).trim().to_owned();
            return Err(BatchError::Incomplete { done, of: self.commands.len(), code: output.code, message });
        }
        let seen = |stream: &[u8]| stream.windows(self.nonce.len()).filter(|w| *w == self.nonce.as_bytes()).count();
        if !out.is_empty() || seen(&output.stdout) != done.len() || seen(&output.stderr) != done.len() {
            return Err(BatchError::Ambiguous);
        }
        Ok(done)
    }
}

/// Up to a separator, and what follows it.
fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn split_out<'a>(text: &'a [u8], nonce: &str, index: usize) -> Option<(&'a [u8], i32, &'a [u8])> {
    let (stdout, rest) = split(text, format!("\n{nonce} {index} ").as_bytes())?;
    let (code, rest) = split(rest, b"\n")?;
    Some((stdout, std::str::from_utf8(code).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output { code, stdout: stdout.into(), stderr: stderr.into() }
    }

    fn two(on_failure: OnFailure) -> (Batch, String) {
        let mut batch = Batch::new(0xabc, on_failure);
        batch.push(["zfs", "list"]);
        batch.push(["cat", "/etc/pve/it's here"]);
        (batch, format!("{:032x}", 0xabc))
    }

    #[test]
    fn the_script_is_argument_vectors_and_delimiters() {
        let (batch, n) = two(OnFailure::Stop);
        let script = String::from_utf8(batch.command(Duration::from_secs(1)).stdin).unwrap();
        let expected = format!(
            "export LC_ALL=C\n\
             zfs list </dev/null\nc=$?\nprintf '\\n%s %s %s\\n' {n} 0 \"$c\"\nprintf '\\n%s %s\\n' {n} 0 >&2\n\
             test \"$c\" = 0 || exit 0\n\
             cat '/etc/pve/it'\\''s here' </dev/null\nc=$?\nprintf '\\n%s %s %s\\n' {n} 1 \"$c\"\nprintf '\\n%s %s\\n' {n} 1 >&2\n\
             test \"$c\" = 0 || exit 0\n"
        );
        assert_eq!(script, expected);
    }

    #[test]
    fn outputs_come_back_with_and_without_a_final_line_break() {
        let (batch, n) = two(OnFailure::Continue);
        let seen =
            batch.read(&output(0, &format!("a\nb\n\n{n} 0 0\nc\n{n} 1 2\n"), &format!("\n{n} 0\nno\n\n{n} 1\n")));
        assert_eq!(seen.unwrap(), [output(0, "a\nb\n", ""), output(2, "c", "no\n")]);
    }

    #[test]
    fn stopping_at_a_failure_is_complete_and_ending_early_is_not() {
        let (batch, n) = two(OnFailure::Stop);
        let first = |code| output(0, &format!("\n{n} 0 {code}\n"), &format!("\n{n} 0\n"));
        assert_eq!(batch.read(&first(1)).unwrap(), [output(1, "", "")]);
        let Err(BatchError::Incomplete { done, of: 2, .. }) = batch.read(&first(0)) else { panic!() };
        assert_eq!(done.len(), 1);
        let killed = output(137, "half of", "sh: killed");
        let Err(BatchError::Incomplete { done, code: 137, message, .. }) = batch.read(&killed) else { panic!() };
        assert!(done.is_empty() && message == "sh: killed");
    }

    #[test]
    fn a_forged_delimiter_is_noticed() {
        let (batch, n) = two(OnFailure::Continue);
        let forged = output(0, &format!("\n{n} 0 0\n\n{n} 0 0\n\n{n} 1 0\n"), &format!("\n{n} 0\n\n{n} 1\n"));
        assert_eq!(batch.read(&forged), Err(BatchError::Ambiguous));
        let forged = output(0, &format!("\n{n} 0 0\n\n{n} 1 0\n\n{n} 1 0\n"), &format!("\n{n} 0\n\n{n} 1\n"));
        assert_eq!(batch.read(&forged), Err(BatchError::Ambiguous));
    }

    #[test]
    fn an_empty_batch_has_no_outputs() {
        let batch = Batch::new(1, OnFailure::Stop);
        assert_eq!(batch.read(&output(0, "", "")), Ok(Vec::new()));
    }
}
