//! A VM or container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::node::File;
use super::{Docker, Inside};

/// Which of the two kinds a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl GuestKind {
    /// The word in URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// The directory of its configuration below `nodes/NODE/`.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-server",
            Self::Lxc => "lxc",
        }
    }

    /// What messages call it.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }
}

/// A guest as its configuration file and its process are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    /// VM or container.
    pub kind: GuestKind,
    /// Where it is.
    pub node: String,
    /// Keys in effect, with `lock`, `parent`, `template` and `description` among them, as text.
    pub config: BTreeMap<String, String>,
    /// What waits for the next start.
    #[serde(default)]
    pub pending: BTreeMap<String, Pending>,
    /// Snapshots by name.
    #[serde(default)]
    pub snapshots: BTreeMap<String, GuestSnapshot>,
    /// Its process, if it runs.
    #[serde(default)]
    pub run: Option<Run>,
    /// When pvestatd reports it first, in milliseconds: until then lists say `unknown`.
    #[serde(default)]
    pub reported_ms: i64,
    /// Files in it, as far as they are modelled, by path.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    /// Directories in it that were made, or have bits of their own.
    #[serde(default)]
    pub directories: BTreeMap<String, File>,
    /// Ports on which something in it listens beside sshd, and until when, in milliseconds.
    #[serde(default)]
    pub listeners: BTreeMap<u16, i64>,
    /// Its own system: packages, units, the driver of its GPU.
    #[serde(default)]
    pub inside: Inside,
    /// Docker, if it is installed.
    #[serde(default)]
    pub docker: Option<Docker>,
}

/// A change that waits for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pending {
    /// Will be this.
    Set(String),
    /// Will be gone; a volume stays as an unused one.
    Delete,
    /// Will be gone with its volume.
    Destroy,
}

/// A snapshot's section of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestSnapshot {
    /// Configuration at that time, without snapshot keys.
    pub config: BTreeMap<String, String>,
    /// The snapshot before it.
    pub parent: Option<String>,
    /// When it was made, in seconds.
    pub time: i64,
    /// What was said about it.
    pub description: String,
    /// Set while it is being made or removed: `prepare`, `delete`.
    pub state: Option<String>,
}

/// A running guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Process id.
    pub pid: u32,
    /// When it was started, in milliseconds.
    pub started_ms: i64,
    /// From when its system inside answers (agent, SSH, shutdown), in milliseconds; never, if `None`.
    pub booted_ms: Option<i64>,
    /// Whether its CPUs stand still.
    #[serde(default)]
    pub paused: bool,
}

impl Guest {
    /// A guest without a process.
    #[must_use]
    pub fn new(kind: GuestKind, node: &str, config: BTreeMap<String, String>) -> Self {
        Self {
            kind,
            node: node.to_owned(),
            config,
            pending: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            run: None,
            reported_ms: 0,
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
            listeners: BTreeMap::new(),
            inside: Inside::default(),
            docker: None,
        }
    }

    /// The text of a file in it.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        self.files.get(path).map(|file| String::from_utf8_lossy(&file.content).into_owned())
    }

    /// Puts a text into a file in it; one that is there keeps its bits.
    pub fn put(&mut self, path: &str, text: impl Into<String>) {
        let file = self.files.entry(path.to_owned()).or_insert_with(|| File { mode: 0o644, ..File::default() });
        file.content = text.into().into_bytes();
    }

    /// Whether its process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// Whether the system inside has come up and is not paused.
    #[must_use]
    pub fn has_booted(&self, now_ms: i64) -> bool {
        self.run.as_ref().filter(|run| !run.paused).and_then(|run| run.booted_ms).is_some_and(|at| at <= now_ms)
    }

    /// Whether something in it listens on a port.
    #[must_use]
    pub fn listens(&self, port: u16, now_ms: i64) -> bool {
        port == 22 || self.listeners.get(&port).is_some_and(|until| *until > now_ms)
    }

    /// Whether its CPUs stand still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.paused)
    }

    /// Its name, as lists show it.
    #[must_use]
    pub fn name(&self, vmid: u32) -> String {
        let key = if self.kind == GuestKind::Qemu { "name" } else { "hostname" };
        self.config.get(key).cloned().unwrap_or_else(|| match self.kind {
            GuestKind::Qemu => format!("VM {vmid}"),
            GuestKind::Lxc => format!("CT{vmid}"),
        })
    }

    /// The lock that its configuration holds.
    #[must_use]
    pub fn lock(&self) -> Option<&str> {
        self.config.get("lock").map(String::as_str)
    }

    /// The configuration with what is pending put into effect.
    #[must_use]
    pub fn wanted(&self) -> BTreeMap<String, String> {
        let mut config = self.config.clone();
        for (key, pending) in &self.pending {
            match pending {
                Pending::Set(value) => config.insert(key.clone(), value.clone()),
                Pending::Delete | Pending::Destroy => config.remove(key),
            };
        }
        config
    }

    /// Forgets what is pending and is so already: PVE does before it puts anything into effect.
    pub fn clean_up_pending(&mut self) {
        let config = &self.config;
        self.pending.retain(|key, pending| match pending {
            Pending::Set(value) => config.get(key) != Some(value),
            Pending::Delete | Pending::Destroy => config.contains_key(key),
        });
    }

    /// A number of the configuration.
    #[must_use]
    pub fn number(&self, key: &str, default: u64) -> u64 {
        self.config.get(key).and_then(|v| v.parse().ok()).unwrap_or(default)
    }
}
