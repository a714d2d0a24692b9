//! Locks on guests' files that a process holds.

use serde::{Deserialize, Serialize};

/// A lock that is held. The files themselves stay for ever and mean nothing: what counts is who holds one
/// (`/proc/locks`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLock {
    /// Its file: `/run/lock/qemu-server/lock-100.conf`, `/run/lock/lxc/pve-config-104.lock`.
    pub path: String,
    /// The number in its file's name.
    pub vmid: Option<u32>,
    /// Who holds it.
    pub pid: u32,
    /// What that process is called; unknown if it ended meanwhile.
    pub command: Option<String>,
    /// For how many seconds that process has been running.
    pub running_s: Option<u64>,
}
