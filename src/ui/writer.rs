//! The only thing that writes to stdout and stderr.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

use dialoguer::console::Term;

use super::{ColourChoice, Terminal};

/// Two streams: stdout is the answer; stderr is progress, logs, prompts and problems.
///
/// When nobody reads a stream any more (`infra plan | head -1`), what is left is dropped quietly.
pub struct Writer {
    out: Stream,
    err: Stream,
    /// Whether a person can be asked: stdin and stderr are terminals.
    interactive: bool,
}

struct Stream {
    sink: Box<dyn Write + Send>,
    terminal: Terminal,
    closed: bool,
}

impl Stream {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

impl Writer {
    /// Over the streams of this process.
    #[must_use]
    pub fn for_process(choice: ColourChoice) -> Self {
        let detect = |tty: bool, term: Term| {
            let columns = tty.then(|| term.size_checked().map_or(Terminal::USUAL, |(_, columns)| columns.into()));
            Terminal::detect(choice, columns, |name| std::env::var(name).ok())
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let out = detect(stdout.is_terminal(), Term::stdout());
        let err = detect(stderr.is_terminal(), Term::stderr());
        let mut writer = Self::new(stdout, out, stderr, err);
        writer.interactive = err.live && io::stdin().is_terminal();
        writer
    }

    /// Over any two sinks; nobody can be asked.
    pub fn new(
        out: impl Write + Send + 'static,
        out_terminal: Terminal,
        err: impl Write + Send + 'static,
        err_terminal: Terminal,
    ) -> Self {
        Self {
            out: Stream { sink: Box::new(out), terminal: out_terminal, closed: false },
            err: Stream { sink: Box::new(err), terminal: err_terminal, closed: false },
            interactive: false,
        }
    }

    /// Writes a part of the answer.
    ///
    /// # Errors
    /// When stdout cannot be written for another reason than that its reader left.
    pub fn answer(&mut self, text: &str) -> io::Result<()> {
        self.out.write(text)
    }

    /// Tells the person something beside the answer. That it cannot be told is no reason to stop.
    pub fn tell(&mut self, text: &str) {
        let _ = self.err.write(text);
    }

    /// What stdout can show.
    #[must_use]
    pub fn out(&self) -> Terminal {
        self.out.terminal
    }

    /// What stderr can show.
    #[must_use]
    pub fn err(&self) -> Terminal {
        self.err.terminal
    }

    /// Whether a person can be asked.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("out", &self.out.terminal).field("err", &self.err.terminal).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(kind: ErrorKind) -> Writer {
        Writer::new(Fails(kind), Terminal::plain(), Fails(kind), Terminal::plain())
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut writer = writer(ErrorKind::BrokenPipe);
        assert!(writer.answer("a\n").is_ok());
        assert!(writer.answer("b\n").is_ok());
    }

    #[test]
    fn a_full_disk_under_the_answer_is_an_error_but_not_under_the_telling() {
        let mut writer = writer(ErrorKind::StorageFull);
        writer.tell("progress\n");
        assert!(writer.answer("a\n").is_err());
    }
}
