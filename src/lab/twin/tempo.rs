//! How fast a twin's host is taken to be.

use std::time::Duration;

/// How fast a host is. What is measured is said so; the rest is an assumption, and to be shown as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// Tasks take this many percent of what the lab takes them to last.
    pub pace: u32,
    /// An API call.
    pub call: Duration,
    /// A command over SSH.
    pub command: Duration,
    /// `qm`, `pct`, `pvesh`, `pvesm`, `pveum`: each loads all of PVE first.
    pub tool: Duration,
    /// How long PVE waits for a lock before it says that it got none.
    pub lock: Duration,
}

impl Tempo {
    /// A fast host in the same room: what was measured on 9.2.11.
    pub const QUICK: Self = Self {
        pace: 100,
        call: Duration::from_micros(1_300),
        command: Duration::from_millis(20),
        tool: Duration::from_millis(500),
        lock: Duration::from_secs(10),
    };
    /// A host that is three times as slow and far away.
    pub const SLOW: Self = Self {
        pace: 300,
        call: Duration::from_millis(50),
        command: Duration::from_millis(200),
        tool: Duration::from_millis(700),
        lock: Duration::from_secs(10),
    };

    /// How long a command takes, by its name.
    #[must_use]
    pub fn of_command(&self, program: &str) -> Duration {
        let tools = ["pct", "pvesh", "pvesm", "pveum", "qm"];
        if tools.contains(&program) { self.tool } else { self.command }
    }
}
