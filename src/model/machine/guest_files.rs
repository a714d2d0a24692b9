//! What stands about guests in `/etc/pve`, whoever owns them: no token's sight limits it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::observed::GuestKind;
use crate::model::{NodeName, Vmid};

/// Every guest of a site, as its cluster file system knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFiles {
    /// Guests by number.
    pub guests: BTreeMap<Vmid, GuestFile>,
    /// Guests that Proxmox's high availability looks after.
    pub highly_available: BTreeSet<Vmid>,
}

/// The lines of a guest's file that something is concluded from. Passwords, keys and notes are not among
/// them: the host does not even send them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFile {
    /// VM or container.
    pub kind: GuestKind,
    /// Where it is.
    pub node: NodeName,
    /// What is set: keys with their values, in the order of the file.
    pub lines: Vec<(String, String)>,
    /// What waits for a restart.
    pub pending: Vec<(String, String)>,
    /// The same of its snapshots, by their names.
    pub snapshots: BTreeMap<String, Vec<(String, String)>>,
}

impl GuestFile {
    /// The value of a key; the last one, as Proxmox reads it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.get("name").or_else(|| self.get("hostname"))
    }

    /// Its file.
    #[must_use]
    pub fn path(&self, vmid: Vmid) -> String {
        let folder = match self.kind {
            GuestKind::Qemu => "qemu-server",
            GuestKind::Lxc => "lxc",
        };
        format!("/etc/pve/nodes/{}/{folder}/{vmid}.conf", self.node)
    }

    /// Values of numbered keys: `net0`, `net1`, …
    pub fn numbered<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let lines = self.lines.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        lines.filter(move |(key, _)| key.strip_prefix(prefix).is_some_and(|n| n.parse::<u16>().is_ok()))
    }
}
