//! How the doors get at the world: [`Site`] hands it out, one command or request at a time.

use std::sync::Mutex;

use super::world::World;

/// Where a connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Before the command has run.
    Before,
    /// After it has run, before its result is out.
    After,
}

/// Who keeps the world. Time, persistence and faults are its business, not the doors'.
pub trait Site: Send + Sync {
    /// Lends the world, up to date; what was done to it stands when this comes back.
    fn act(&self, work: &mut dyn FnMut(&mut World));

    /// Whether a new connection to a TCP port of a node gets through its firewall; those that stand are not asked.
    fn admits(&self, node: &str, port: u16) -> bool {
        let _ = (node, port);
        true
    }

    /// Whether the SSH connection is to be lost at this command; of a batch, `line` is the whole script.
    fn loss(&self, node: &str, line: &str) -> Option<Loss> {
        let _ = (node, line);
        None
    }
}

/// What a fault is matched against: the command line, or the script that it only introduces.
pub(super) fn struck<'a>(line: &'a str, stdin: &'a [u8]) -> &'a str {
    if line == "sh -s" { std::str::from_utf8(stdin).unwrap_or(line) } else { line }
}

/// A world without time, persistence and faults.
impl Site for Mutex<World> {
    fn act(&self, work: &mut dyn FnMut(&mut World)) {
        // a test that panicked while it held the world has failed anyway
        let mut world = self.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut world);
    }
}
