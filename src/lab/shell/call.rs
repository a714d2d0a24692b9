//! One run of a program.

use crate::lab::world::World;

/// What carries a command out: reads its arguments, changes the world, prints, gives its exit code.
pub type Program = fn(&mut Call<'_>) -> i32;

/// A program's surroundings.
#[derive(Debug)]
pub struct Call<'a> {
    /// The site.
    pub world: &'a mut World,
    /// The node that it runs on.
    pub node: &'a str,
    /// What it was called as.
    pub name: &'a str,
    /// Its arguments, without the name.
    pub args: &'a [String],
    /// Standard input, as long as nobody has read it.
    pub stdin: &'a mut Vec<u8>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Call<'_> {
    /// Reads all of standard input.
    pub fn read_stdin(&mut self) -> Vec<u8> {
        std::mem::take(self.stdin)
    }

    /// Prints a line.
    pub fn print(&mut self, line: impl AsRef<str>) {
        self.stdout.extend_from_slice(line.as_ref().as_bytes());
        self.stdout.push(b'\n');
    }

    /// Prints a line to standard error.
    pub fn warn(&mut self, line: impl AsRef<str>) {
        self.stderr.extend_from_slice(line.as_ref().as_bytes());
        self.stderr.push(b'\n');
    }

    /// Prints `NAME: line` to standard error and gives `code` back.
    pub fn fail(&mut self, code: i32, line: impl std::fmt::Display) -> i32 {
        let line = format!("{}: {line}", self.name);
        self.warn(line);
        code
    }

    /// Says that an option is not modelled. A lab that ignored it would prove nothing.
    pub fn unknown(&mut self, what: &str) -> i32 {
        self.fail(2, format!("the lab does not know `{what}`"))
    }
}
