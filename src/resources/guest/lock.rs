//! What a lock in a guest's configuration means: who holds it, and how it goes away.
//!
//! Proxmox refuses to change or start a locked guest. A task takes the lock off when it ends; one that was
//! cut off (power, `kill -9`) leaves it. Entry: [`reason`].

use super::{Located, tool};
use crate::model::observed::{Fact, GuestKind};
use crate::model::{NodeName, Upid, Vmid};

/// Why a guest that is locked cannot be changed, and what to do.
///
/// A task about this very guest is known before; what is looked for here are those that are about another
/// one by name, or about none.
pub(super) fn reason(lock: &str, vmid: Vmid, located: &Located, tasks: &Fact<Vec<Upid>>) -> String {
    let (tool, node) = (tool(located.kind), &located.node);
    let locked = format!("its configuration is locked ({lock}), so that Proxmox refuses to change it");
    match (located.kind, lock) {
        (GuestKind::Qemu, "suspended") => {
            return format!("{locked}: it is suspended to disk; on `{node}`: `qm resume {vmid}`");
        }
        (GuestKind::Lxc, "mounted") => {
            return format!("{locked}: its disk is mounted on its host; on `{node}`: `pct unmount {vmid}`");
        }
        _ => {}
    }
    if let Some(task) = tasks.value().and_then(|all| all.iter().find(|task| may_hold(task, lock, &located.node))) {
        return format!(
            "{locked}: {} runs on {} and may hold it; plan again when that has ended",
            task.task_type(),
            task.node()
        );
    }
    let unlock = format!("on `{node}`: `{tool} unlock {vmid}`");
    match tasks.why() {
        None => format!("{locked}; no task that holds it was running, so that one was cut off: {unlock}"),
        Some(why) => format!(
            "{locked}; whether a task holds it is not known ({why}): wait for its end, and if there is none, {unlock}"
        ),
    }
}

/// Whether a task holds the lock of a guest that it does not name: a backup of several guests names none, and a
/// clone names what it is made from.
#[must_use]
pub fn may_hold(task: &Upid, lock: &str, node: &NodeName) -> bool {
    match lock {
        "backup" => task.task_type() == "vzdump" && task.id().is_empty() && task.node() == node.as_str(),
        "clone" => matches!(task.task_type(), "qmclone" | "vzclone"),
        _ => false,
    }
}
