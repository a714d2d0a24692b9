//! What happened and when, on stdout and in a file.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Writes lines with the seconds since it was opened.
pub struct Log {
    start: Instant,
    file: RefCell<File>,
}

impl Log {
    /// Begins a new file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { start: Instant::now(), file: RefCell::new(file) })
    }

    /// Seconds since it was opened.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// One line, or several that belong together.
    pub fn line(&self, text: impl AsRef<str>) {
        let text = text.as_ref().trim_end();
        for (index, line) in text.lines().enumerate() {
            let line = match index {
                0 => format!("{:6.1} s  {line}", self.elapsed().as_secs_f64()),
                _ => format!("          {line}"),
            };
            println!("{line}");
            // The terminal has it; a full disk is noticed by what needs it.
            let _ = writeln!(self.file.borrow_mut(), "{line}");
        }
    }

    /// What is being done, done, and how long it took.
    pub fn timed<T>(&self, what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.line(format!("{what} …"));
        let start = Instant::now();
        let result = run().with_context(|| what.to_owned())?;
        self.line(format!("{what}: {:.1} s", start.elapsed().as_secs_f64()));
        Ok(result)
    }
}
