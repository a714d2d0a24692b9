//! The lock file that everybody takes who changes a guest: for how long it is waited for, and who finds out when.
//!
//! `PVE::AbstractConfig::lock_config` tries for ten seconds. What is changed by the call itself answers 500 then;
//! what is changed by a worker has answered long before, and its task fails.

use std::collections::BTreeMap;

use super::super::world::{GuestKind, TaskState, Work, World};
use super::{Endpoint, Refusal};
use crate::ports::Method;

/// How long is waited for it, in milliseconds.
pub const PATIENCE_MS: i64 = 10_000;

/// What is said when it was in vain.
fn timed_out(kind: GuestKind, vmid: u32) -> String {
    let file = match kind {
        GuestKind::Qemu => format!("/var/lock/qemu-server/lock-{vmid}.conf"),
        GuestKind::Lxc => format!("/run/lock/lxc/pve-config-{vmid}.lock"),
    };
    format!("can't lock file '{file}' - got timeout")
}

/// Whether an answer comes only after all the patience.
#[must_use]
pub fn was_in_vain(text: &str) -> bool {
    text.starts_with("can't lock file '") && text.ends_with("' - got timeout")
}

/// Until when somebody holds the lock file of a guest longer than anybody waits for it.
fn held(world: &World, vmid: u32) -> bool {
    let patience = PATIENCE_MS * i64::from(world.pace) / 100;
    world.lock_files.get(&vmid).is_some_and(|until| *until > world.now_ms + patience)
}

/// Refuses a call that takes the lock file itself.
///
/// # Errors
/// 500 that names the file.
pub fn check(world: &World, endpoint: &Endpoint, vars: &BTreeMap<&'static str, String>) -> Result<(), Refusal> {
    let at_once = match (endpoint.method, endpoint.path.split_once("/{vmid}/").map_or("", |(_, rest)| rest)) {
        (Method::Put, "config" | "unlink" | "cloudinit" | "snapshot/{snapname}/config") => true,
        (Method::Post, "config" | "move_volume" | "template") => true,
        (Method::Post, "clone") => endpoint.path.contains("/lxc/"),
        _ => false,
    };
    let vmid = vars.get("vmid").and_then(|id| id.parse().ok()).unwrap_or_default();
    match world.guests.get(&vmid) {
        Some(guest) if at_once && held(world, vmid) => Err(timed_out(guest.kind, vmid).into()),
        _ => Ok(()),
    }
}

/// Makes workers that have just been started wait for the lock file, and fail when it is in vain.
pub fn hold_up(world: &mut World, first: usize) {
    let patience = PATIENCE_MS * i64::from(world.pace) / 100;
    for at in first..world.tasks.len() {
        let TaskState::Running { work, .. } = &world.tasks[at].state else { continue };
        let Some(vmid) = guest_of(work) else { continue };
        let Some(kind) = world.guests.get(&vmid).map(|guest| guest.kind) else { continue };
        let Some(until) = world.lock_files.get(&vmid).copied().filter(|until| *until > world.now_ms) else { continue };
        let (vain, now) = (held(world, vmid), world.now_ms);
        let task = &mut world.tasks[at];
        task.log.push("trying to acquire lock...".to_owned());
        let TaskState::Running { due_ms, work, .. } = &mut task.state else { continue };
        if vain {
            *due_ms = now + patience;
            *work = Work::Fail { text: timed_out(kind, vmid) };
        } else {
            *due_ms += until - now;
            task.log.push(" OK".to_owned());
        }
    }
}

/// The guest whose lock file a worker takes.
fn guest_of(work: &Work) -> Option<u32> {
    match work {
        Work::Start { vmid }
        | Work::Stop { vmid }
        | Work::Shutdown { vmid, .. }
        | Work::Reboot { vmid }
        | Work::Reset { vmid }
        | Work::Suspend { vmid, .. }
        | Work::Resume { vmid }
        | Work::Resize { vmid, .. }
        | Work::Destroy { vmid, .. }
        | Work::Configure { vmid, .. }
        | Work::Snapshot { vmid, .. }
        | Work::Rollback { vmid, .. }
        | Work::DeleteSnapshot { vmid, .. }
        | Work::Template { vmid, .. }
        | Work::Clone { vmid, .. }
        | Work::Move { vmid, .. }
        | Work::Reassign { vmid, .. } => Some(*vmid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::world::{Caller, Guest, Node};
    use super::super::{Request, answer_as, work};
    use super::*;

    fn world(until: i64) -> World {
        let mut world = World { pace: 100, ..World::default() };
        world.nodes.insert("pve1".into(), Node { online: true, cpus: 4, memory: 8 << 30, ..Node::default() });
        world.guests.insert(100, Guest::new(GuestKind::Qemu, "pve1", BTreeMap::new()));
        world.lock_files.insert(100, until);
        world
    }

    fn send(
        world: &mut World,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<super::super::Answer, Refusal> {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let request = Request { method: method.into(), path: path.into(), params, ..Request::default() };
        answer_as(world, &Caller::root_pam(), &request)
    }

    const TEXT: &str = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";

    #[test]
    fn a_change_is_refused_after_ten_seconds_and_a_start_fails_in_its_task() {
        let mut world = world(60_000);
        let refusal = send(&mut world, "PUT", "/nodes/pve1/qemu/100/config", &[("cores", "1")]).unwrap_err();
        assert_eq!((refusal.status(), refusal.text().as_str()), (500, TEXT));
        assert!(was_in_vain(&refusal.text()));
        send(&mut world, "POST", "/nodes/pve1/qemu/100/status/start", &[]).unwrap();
        world.now_ms = 10_000;
        work::advance(&mut world);
        assert_eq!(world.tasks[0].exit(), Some(TEXT));
        assert_eq!(world.tasks[0].log, ["trying to acquire lock..."]);
        assert!(!world.guests[&100].is_running());
    }

    #[test]
    fn what_is_let_go_in_time_is_waited_for() {
        let mut world = world(4_000);
        send(&mut world, "POST", "/nodes/pve1/qemu/100/status/start", &[]).unwrap();
        world.now_ms = 3_500;
        work::advance(&mut world);
        assert!(world.tasks[0].is_running());
        world.now_ms = 8_000;
        work::advance(&mut world);
        assert_eq!(world.tasks[0].exit(), Some("OK"));
        assert_eq!(world.tasks[0].log[..2], ["trying to acquire lock...", " OK"]);
    }
}
