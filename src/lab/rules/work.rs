//! Workers: what they do when their time has come, and what stays when they die.

use super::super::world::{Caller, GuestKind, GuestSnapshot, TaskState, Work, World};
use super::deeds::destroy::{destroy, forget};
use super::deeds::snapshot::{check_rollback, drop_snapshot, make_snapshot, roll_back, snapshot_of};
use super::deeds::{
    backup, clone, lxc_create, move_volume, power, qemu_change, qemu_create, resize, start, suspend, template,
};
use super::guest::status::{self, locked};
use super::guest::volumes;
use super::{downloads, migrate};

/// Ends every worker whose time has come, in the order of their ends; whether there was one.
pub fn advance(world: &mut World) -> bool {
    let mut any = false;
    while let Some(upid) = due(world) {
        finish(world, &upid);
        any = true;
    }
    any
}

fn due(world: &World) -> Option<String> {
    let running = world.tasks.iter().filter_map(|task| match &task.state {
        TaskState::Running { due_ms, .. } if *due_ms <= world.now_ms => Some((*due_ms, &task.upid)),
        _ => None,
    });
    running.min_by_key(|(due, _)| *due).map(|(_, upid)| upid.clone())
}

/// Ends one worker now, whatever time it would have taken.
pub fn finish(world: &mut World, upid: &str) {
    let Some(at) = world.tasks.iter().position(|t| t.upid == upid && t.is_running()) else { return };
    let task = world.tasks[at].clone();
    let TaskState::Running { due_ms, work, doom } = task.state else { return };
    let mut log = Vec::new();
    release(world, &work);
    let result = match doom {
        Some(text) => {
            abandon(world, &work);
            Err(text)
        }
        None => run(world, &task.node, &work, &mut log, (&task.user, task.token.as_deref())),
    };
    let exit = result.unwrap_or_else(|text| text);
    let ended_ms = due_ms.min(world.now_ms).max(task.started_ms);
    if let Some(task) = world.tasks.get_mut(at) {
        task.log.extend(log);
        task.state = TaskState::Stopped { ended_ms, exit };
    }
}

/// Kills a worker: `unexpected status`. What it had reserved stays, as on a real host: the configuration of
/// a guest that was being made holds `lock: create` and nothing else; a snapshot stays in `prepare`.
pub fn kill(world: &mut World, upid: &str) {
    let now = world.now_ms;
    let Some(at) = world.tasks.iter().position(|t| t.upid == upid && t.is_running()) else { return };
    if let TaskState::Running { work: Work::Shutdown { vmid, .. }, .. } = &world.tasks[at].state
        && let Some(guest) = world.guests.get(vmid)
        && status::agent_enabled(guest)
        && guest.is_running()
        && !guest.has_booted(now)
    {
        // It was asking the agent, which takes the signal for the agent's silence (9.2.11).
        world.tasks[at].log.push("QEMU Guest Agent is not running - received interrupt".to_owned());
    }
    world.tasks[at].state = TaskState::Stopped { ended_ms: now, exit: "unexpected status".to_owned() };
}

/// What the end of the process does: every worker dies, and what it left unfinished stays so.
pub fn kill_all(world: &mut World) {
    let running: Vec<String> = world.tasks.iter().filter(|t| t.is_running()).map(|t| t.upid.clone()).collect();
    for upid in running {
        kill(world, &upid);
    }
}

/// Takes the locks that a worker takes as its first deed; called right after it was started.
pub fn begin(world: &mut World) {
    let Some(TaskState::Running { work, .. }) = world.tasks.last().map(|t| t.state.clone()) else { return };
    let now = world.now();
    let lock = |world: &mut World, vmid: u32, lock: &str| {
        if let Some(guest) = world.guests.get_mut(&vmid).filter(|g| g.lock().is_none()) {
            guest.config.insert("lock".to_owned(), lock.to_owned());
        }
    };
    match work {
        Work::Snapshot { vmid, name, description } => {
            let Some(guest) = world.guests.get(&vmid) else { return };
            if guest.lock().is_some() || guest.snapshots.contains_key(&name) || !volumes::possible(world, guest) {
                return;
            }
            let section = snapshot_of(guest, &description, now);
            if let Some(guest) = world.guests.get_mut(&vmid) {
                guest.snapshots.insert(name, GuestSnapshot { state: Some("prepare".to_owned()), ..section });
            }
            lock(world, vmid, "snapshot");
        }
        Work::Rollback { vmid, name, .. } => {
            let blocked = world.guests.get(&vmid).is_none_or(|g| check_rollback(world, g, &name).is_err());
            if !blocked {
                lock(world, vmid, "rollback");
            }
        }
        Work::DeleteSnapshot { vmid, name, .. } => {
            let known = world.guests.get(&vmid).is_some_and(|g| g.lock().is_none() && g.snapshots.contains_key(&name));
            if known {
                lock(world, vmid, "snapshot-delete");
                if let Some(snapshot) = world.guests.get_mut(&vmid).and_then(|g| g.snapshots.get_mut(&name)) {
                    snapshot.state = Some("delete".to_owned());
                }
            }
        }
        Work::Clone { vmid, newid, .. } => clone::begin(world, vmid, newid),
        Work::Move { vmid, .. } => move_volume::begin(world, vmid),
        _ => {}
    }
}

/// Gives the worker's own lock back before its deed, so that its checks see other locks only.
fn release(world: &mut World, work: &Work) {
    let (vmid, own) = match work {
        Work::Create { vmid, .. } => (vmid, "create"),
        Work::Snapshot { vmid, .. } => (vmid, "snapshot"),
        Work::Rollback { vmid, .. } => (vmid, "rollback"),
        Work::DeleteSnapshot { vmid, .. } => (vmid, "snapshot-delete"),
        Work::Clone { vmid, .. } | Work::Move { vmid, .. } => (vmid, "disk"),
        Work::Migrate { vmid, .. } => (vmid, "migrate"),
        _ => return,
    };
    let Some(guest) = world.guests.get_mut(vmid).filter(|g| g.lock() == Some(own)) else { return };
    guest.config.remove("lock");
    if let Work::Snapshot { name, .. } = work
        && guest.snapshots.get(name).is_some_and(|s| s.state.as_deref() == Some("prepare"))
    {
        guest.snapshots.remove(name);
    }
}

/// What a worker that fails half-way leaves behind.
fn abandon(world: &mut World, work: &Work) {
    match work {
        // A creation that fails cleans up after itself.
        Work::Create { vmid, .. } => forget(world, *vmid),
        Work::Clone { newid, .. } => forget(world, *newid),
        Work::Snapshot { vmid, name, description } => {
            let now = world.now();
            let Some(guest) = world.guests.get_mut(vmid) else { return };
            let section = snapshot_of(guest, description, now);
            guest.snapshots.insert(name.clone(), GuestSnapshot { state: Some("prepare".to_owned()), ..section });
            guest.config.insert("lock".to_owned(), "snapshot".to_owned());
        }
        Work::Rollback { vmid, .. } => {
            if let Some(guest) = world.guests.get_mut(vmid) {
                guest.config.insert("lock".to_owned(), "rollback".to_owned());
            }
        }
        _ => {}
    }
}

fn run(
    world: &mut World,
    node: &str,
    work: &Work,
    log: &mut Vec<String>,
    starter: (&str, Option<&str>),
) -> Result<String, String> {
    let ok = || Ok("OK".to_owned());
    let guest = |world: &World, vmid: u32| {
        world.guests.get(&vmid).cloned().ok_or_else(|| format!("Configuration file for guest {vmid} does not exist"))
    };
    match work {
        Work::Create { vmid, params } => {
            let made = guest(world, *vmid)?;
            let built = match made.kind {
                GuestKind::Qemu => qemu_create::build(world, node, *vmid, params, log),
                GuestKind::Lxc => lxc_create::build(world, node, *vmid, params, log),
            };
            let config = match built {
                Ok(config) => config,
                Err(text) => {
                    forget(world, *vmid);
                    return Err(text);
                }
            };
            if let Some(guest) = world.guests.get_mut(vmid) {
                guest.config = config;
                // What its disk holds is told by the name of what it was made from.
                let sources =
                    params.values().filter(|value| value.contains("import-from=") || value.contains(":vztmpl/"));
                guest.inside.system =
                    sources.filter_map(|value| crate::lab::guest_packages::system_of(value)).next().unwrap_or_default();
            }
            if params.get("start").is_some_and(|s| s == "1") {
                if made.kind == GuestKind::Qemu {
                    log.push("Execute autostart".to_owned());
                }
                // The start is a worker of its own, and how it ends is not told here (9.2.11).
                let caller = Caller { user: starter.0.to_owned(), token: starter.1.map(str::to_owned) };
                let kind = if made.kind == GuestKind::Qemu { "qmstart" } else { "vzstart" };
                world.spawn(node, kind, &vmid.to_string(), &caller, 2000, Work::Start { vmid: *vmid });
            }
            ok()
        }
        Work::Configure { vmid, params } => {
            locked(&guest(world, *vmid)?)?;
            let shown: Vec<String> = params
                .iter()
                .filter(|(k, _)| !matches!(k.as_str(), "digest" | "background_delay"))
                .map(|(k, v)| if k == "cipassword" { "-cipassword <hidden>".to_owned() } else { format!("-{k} {v}") })
                .collect();
            log.push(format!("update VM {vmid}: {}", shown.join(" ")));
            qemu_change::change(world, *vmid, params, log).map_err(|refusal| refusal.text())?;
            ok()
        }
        Work::Start { vmid } => start::start(world, *vmid, log),
        Work::Stop { vmid } => power::stop(world, &guest(world, *vmid)?, *vmid),
        Work::Shutdown { vmid, force, timeout } => {
            power::shutdown(world, &guest(world, *vmid)?, *vmid, (!force).then_some(*timeout), log)
        }
        Work::Reboot { vmid } => power::reboot(world, &guest(world, *vmid)?, *vmid, log),
        Work::Reset { vmid } => power::reset(world, &guest(world, *vmid)?, *vmid),
        Work::Suspend { vmid, to } => suspend::suspend(world, &guest(world, *vmid)?, *vmid, to.as_deref()),
        Work::Resume { vmid } => suspend::resume(world, &guest(world, *vmid)?, *vmid, log),
        Work::Resize { vmid, disk, size } => resize::resize(world, &guest(world, *vmid)?, *vmid, disk, size, log),
        Work::Destroy { vmid, purge, force } => destroy(world, &guest(world, *vmid)?, *vmid, *purge, *force, log),
        Work::Snapshot { vmid, name, description } => {
            make_snapshot(world, &guest(world, *vmid)?, *vmid, name, description, log)
        }
        Work::Rollback { vmid, name, start } => roll_back(world, &guest(world, *vmid)?, *vmid, name, *start, log),
        Work::DeleteSnapshot { vmid, name, force } => drop_snapshot(world, &guest(world, *vmid)?, *vmid, name, *force),
        Work::Migrate { vmid, target, restart } => migrate::finish(world, *vmid, target, *restart, log, starter),
        Work::Template { vmid, disk } => template::template(world, &guest(world, *vmid)?, *vmid, disk.as_deref()),
        Work::Clone { vmid, newid, params } => clone::clone(world, &guest(world, *vmid)?, (*vmid, *newid), params, log),
        Work::Move { vmid, key, storage, format, delete } => {
            let to = (key.as_str(), storage.as_str(), format.as_deref());
            move_volume::to_storage(world, &guest(world, *vmid)?, *vmid, to, *delete, log)
        }
        Work::Reassign { vmid, key, target, target_key } => {
            move_volume::to_guest(world, &guest(world, *vmid)?, (*vmid, key), (*target, target_key), log)
        }
        Work::Download { storage, volume, url, checksum } => {
            downloads::fetch(world, node, storage, volume, url, checksum.as_ref(), log)
        }
        Work::FreeVolumes { storage, volumes } => {
            for volume in volumes {
                world.free(node, &format!("{storage}:{volume}"))?;
                log.push(format!("removing backup '{storage}:{volume}'"));
            }
            ok()
        }
        Work::Upload { storage, volume, from, entry, checksum } => {
            super::storage::import(world, node, &format!("{storage}:{volume}"), from, entry, checksum.as_ref(), log)
        }
        Work::ReloadNetwork => {
            super::network::reload(world, node);
            ok()
        }
        Work::FreeVolume { storage, volume } => {
            let volid = format!("{storage}:{volume}");
            if world.volume(node, &volid).is_some_and(|v| v.protected) {
                return Err(format!("cannot remove protected volume '{volume}' on '{storage}'"));
            }
            if !world.free(node, &volid)? {
                let path = world.volume_path(&volid).unwrap_or_default();
                log.push(format!("disk image '{path}' does not exist"));
            }
            world.installed.remove(&volid);
            log.push(format!("Removed volume '{volid}'"));
            ok()
        }
        Work::Backup { vmids, all, params } => {
            let caller = Caller { user: starter.0.to_owned(), token: starter.1.map(str::to_owned) };
            backup::backup(world, node, (vmids, *all), params, &caller, log)
        }
        Work::Fail { text } => Err(text.clone()),
        Work::Nothing => ok(),
    }
}
