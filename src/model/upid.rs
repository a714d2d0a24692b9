//! The id of a task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// A unique process id: `UPID:node:pid:pstart:starttime:type:id:user:`, as every worker of PVE has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upid(String);

impl Upid {
    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }

    /// The node that runs it.
    #[must_use]
    pub fn node(&self) -> &str {
        self.part(1)
    }

    /// What it does, such as `qmcreate`.
    #[must_use]
    pub fn task_type(&self) -> &str {
        self.part(5)
    }

    /// What it does it to, such as a vmid; may be empty.
    #[must_use]
    pub fn id(&self) -> &str {
        self.part(6)
    }

    /// Who started it: a user, or a token such as `infra@pve!laptop`.
    #[must_use]
    pub fn user(&self) -> &str {
        self.part(7)
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Upid {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts: Vec<&str> = text.split(':').collect();
        let hex = |part: &str| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
        match parts[..] {
            ["UPID", node, pid, pstart, start, task, _, user, ""]
                if !node.is_empty()
                    && hex(pid)
                    && hex(pstart)
                    && hex(start)
                    && !task.is_empty()
                    && !user.is_empty() =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Invalid::new(format!("`{text}` is not a UPID"))),
        }
    }
}

impl TryFrom<String> for Upid {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Upid> for String {
    fn from(upid: Upid) -> Self {
        upid.0
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_empty_ids_are_read() {
        let upid: Upid = "UPID:pve1:00000145:0001EC48:6B01672F:qmcreate:100:infra@pve!tok:".parse().unwrap();
        assert_eq!((upid.node(), upid.task_type(), upid.id()), ("pve1", "qmcreate", "100"));
        assert_eq!(upid.user(), "infra@pve!tok");
        assert!("UPID:pve1:00000145:0001EC48:6B01672F:imgcopy::root@pam:".parse::<Upid>().is_ok());
        assert!("UPID:pve1:nope".parse::<Upid>().is_err());
    }
}
