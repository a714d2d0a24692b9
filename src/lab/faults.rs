//! Faults as data: what goes wrong, and when.
//!
//! A fault names the request, command or task that it strikes and which occurrence of it, so that the
//! same list replays the same way. It changes what the lab does at its doors; the rules know nothing of it,
//! except for a task's doom. Entry type: [`Faults`].

use serde::{Deserialize, Serialize};

use super::site::Loss;
use crate::ports::Method;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Fault {
    /// At an HTTP request.
    Request {
        /// Its verb; any, if not given.
        #[serde(default)]
        method: Option<Method>,
        /// Its path below `/api2/json`, decoded; `*` stands for any text.
        path: String,
        /// Which occurrence, from 1; 0 = every one.
        #[serde(default)]
        nth: u32,
        /// What happens.
        effect: RequestEffect,
    },
    /// At a command over SSH.
    Command {
        /// The command line; `*` stands for any text.
        line: String,
        /// Which occurrence, from 1; 0 = every one.
        #[serde(default)]
        nth: u32,
        /// What happens.
        effect: CommandEffect,
    },
    /// A worker fails with this text at its end.
    Task {
        /// Its type, such as `qmcreate`.
        kind: String,
        /// Which one that is started from now on, from 1.
        nth: u32,
        /// Its exit status.
        text: String,
    },
    /// A node is off from the start: what runs on it stops.
    Offline {
        /// Node.
        node: String,
    },
    /// The cluster may not write, as too few nodes see one another.
    NoQuorum,
    /// A storage has no space left from the start.
    Full {
        /// Node.
        node: String,
        /// Storage.
        storage: String,
    },
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "snake_case")]
pub enum RequestEffect {
    /// The answer comes late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection drops before the request is carried out.
    DropBefore,
    /// The request is carried out, the connection drops before the answer.
    DropAfter,
    /// Another answer, without carrying the request out: 500, 595, 596, 599 …
    Answer {
        /// HTTP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The request is carried out, the answer is another one: 596 while the work goes on.
    AnswerAfter {
        /// HTTP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Somebody else takes the lock file of a guest just before: nothing of it shows, but all who want to change
    /// the guest have to wait.
    LockFile {
        /// The guest.
        vmid: u32,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// Somebody else locks a guest just before.
    Lock {
        /// The guest.
        vmid: u32,
        /// `backup`, `snapshot` …
        lock: String,
        /// For how long, in milliseconds.
        ms: u64,
    },
}

/// Where the connection of a command is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandEffect {
    /// Before the command runs.
    LostBefore,
    /// After it has run, before its end is known.
    LostAfter,
}

/// Faults with how often each has been met.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    list: Vec<(Fault, u32)>,
}

impl Faults {
    /// Faults that have not been met yet.
    #[must_use]
    pub fn new(list: Vec<Fault>) -> Self {
        Self { list: list.into_iter().map(|fault| (fault, 0)).collect() }
    }

    /// Every fault, as it was given.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.list.iter().map(|(fault, _)| fault)
    }

    /// What strikes this request; counts it.
    pub fn at_request(&mut self, verb: &str, request_path: &str) -> Vec<RequestEffect> {
        let mut effects = Vec::new();
        for (fault, met) in &mut self.list {
            let Fault::Request { method, path, nth, effect } = fault else { continue };
            if method.is_none_or(|m| m.as_str() == verb) && glob(path, request_path) {
                *met += 1;
                if *nth == 0 || *met == *nth {
                    effects.push(effect.clone());
                }
            }
        }
        effects
    }

    /// Where the connection of this command is lost; counts it.
    pub fn at_command(&mut self, command_line: &str) -> Option<Loss> {
        let mut loss = None;
        for (fault, met) in &mut self.list {
            let Fault::Command { line, nth, effect } = fault else { continue };
            if glob(line, command_line) {
                *met += 1;
                if *nth == 0 || *met == *nth {
                    loss = Some(match effect {
                        CommandEffect::LostBefore => Loss::Before,
                        CommandEffect::LostAfter => Loss::After,
                    });
                }
            }
        }
        loss
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        assert!(glob("/nodes/*/qemu", "/nodes/pve1/qemu"));
        assert!(glob("*", ""));
        assert!(glob("/a/*/b/*", "/a/x/b/y"));
        assert!(!glob("/nodes/*/qemu", "/nodes/pve1/qemu/100"));
        assert!(!glob("ab*ba", "aba"));
    }

    #[test]
    fn only_the_named_occurrence_is_struck() {
        let effect = RequestEffect::DropAfter;
        let mut faults = Faults::new(vec![Fault::Request {
            method: Some(Method::Post),
            path: "/pools".into(),
            nth: 2,
            effect: effect.clone(),
        }]);
        assert_eq!(faults.at_request("POST", "/pools"), []);
        assert_eq!(faults.at_request("GET", "/pools"), []);
        assert_eq!(faults.at_request("POST", "/pools"), [effect]);
        assert_eq!(faults.at_request("POST", "/pools"), []);
    }
}
