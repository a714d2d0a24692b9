//! Operations under guard (safety rule 6): armed on the host before, disarmed only after connecting anew.
//!
//! Owns how long a guard holds and how it is put around operations; `plan::lint` refuses a plan in which something
//! that can cut our own path stands outside of one.

use crate::model::HostName;
use crate::model::guard::{Guard, GuardAct, GuardedFile};
use crate::model::step::Op;

/// Seconds after which a host takes a change back. Nothing is begun in the second half of it, and whatever waits for
/// a lock gives up within two minutes, so that nothing comes after the revert.
const SECONDS: u32 = 300;
/// Seconds until the kernel surely has what the files say: pve-firewall looks at them every ten seconds, and takes
/// some for a large ruleset; proxmox-firewall looks more often.
const SETTLE_S: u32 = 25;
/// Seconds in which new connections must succeed.
const RECONNECT_S: u32 = 45;

/// What a change to a firewall is guarded by.
#[derive(Debug, Clone)]
pub struct FirewallGuard {
    /// Every file that the change may alter, and whether it is there.
    pub files: Vec<(String, bool)>,
    /// Whether rules are in force already: only then is there anything to wait for.
    pub in_force: bool,
    /// The hosts that must be reached anew.
    pub hosts: Vec<HostName>,
}

impl FirewallGuard {
    /// Puts the guard around `ops`. The files are as they are now before it, and as the change left them before
    /// its undo.
    pub fn around(&self, ops: Vec<Op>) -> Vec<Op> {
        let files = self.files.iter().map(|(path, present)| GuardedFile { path: path.clone(), present: *present });
        let guard = Guard {
            // One for all of a host's firewall, whichever inventory it is of: a second one has to wait.
            name: "firewall".to_owned(),
            files: files.collect(),
            // The daemon follows its files by itself.
            then: Vec::new(),
            seconds: SECONDS,
        };
        let part = |act| Op::Guard { guard: guard.clone(), act };
        let after_s = if self.in_force { SETTLE_S } else { 0 };
        let reconnect = GuardAct::Reconnect { hosts: self.hosts.clone(), after_s, within_s: RECONNECT_S };
        std::iter::once(part(GuardAct::Arm)).chain(ops).chain([part(reconnect), part(GuardAct::Disarm)]).collect()
    }
}
