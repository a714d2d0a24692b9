//! Workers: what they do when their time has come, and what stays when they die.

use super::super::world::property::{is_disk, is_mount};
use super::super::world::{Guest, GuestKind, GuestSnapshot, Pending, TaskState, Volume, Work, World, split_volid};
use super::snapshot_work::{check_rollback, drop_snapshot, make_snapshot, roll_back, snapshot_of};
use super::{boot, disks, lxc, qemu, snapshots};
use crate::model::Size;

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
    if let Some(task) = world.tasks.iter_mut().find(|t| t.upid == upid && t.is_running()) {
        task.state = TaskState::Stopped { ended_ms: now, exit: "unexpected status".to_owned() };
    }
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
            if guest.lock().is_some() || guest.snapshots.contains_key(&name) || !snapshots::possible(world, guest) {
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

pub(super) fn locked(guest: &Guest) -> Result<(), String> {
    match guest.lock() {
        Some(lock) => Err(format!("{} is locked ({lock})", guest.kind.noun())),
        None => Ok(()),
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
                GuestKind::Qemu => qemu::build(world, node, *vmid, params, log),
                GuestKind::Lxc => lxc::build(world, node, *vmid, params, log),
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
            }
            if params.get("start").is_some_and(|s| s == "1") {
                if made.kind == GuestKind::Qemu {
                    log.push("Execute autostart".to_owned());
                }
                // The start is a worker of its own, and how it ends is not told here (9.2.11).
                let caller =
                    super::super::world::Caller { user: starter.0.to_owned(), token: starter.1.map(str::to_owned) };
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
            qemu::change(world, *vmid, params, log).map_err(|refusal| refusal.text())?;
            ok()
        }
        Work::Start { vmid } => boot::start(world, *vmid, log),
        Work::Stop { vmid } => {
            let found = guest(world, *vmid)?;
            locked(&found)?;
            halt(world, *vmid);
            ok()
        }
        Work::Shutdown { vmid, force } => {
            let found = guest(world, *vmid)?;
            locked(&found)?;
            if found.is_running() && !found.has_booted(world.now_ms) && !force {
                return deaf(&found, *vmid, log);
            }
            halt(world, *vmid);
            ok()
        }
        Work::Reboot { vmid } => {
            let found = guest(world, *vmid)?;
            locked(&found)?;
            if !found.has_booted(world.now_ms) {
                return deaf(&found, *vmid, log);
            }
            halt(world, *vmid);
            boot::start(world, *vmid, log)
        }
        Work::Reset { vmid } => {
            let found = guest(world, *vmid)?;
            locked(&found)?;
            let (now, pace) = (world.now_ms, i64::from(world.pace));
            if let Some(run) = world.guests.get_mut(vmid).and_then(|g| g.run.as_mut()) {
                run.booted_ms = run.booted_ms.map(|_| now + 12_000 * pace / 100);
            }
            ok()
        }
        Work::Resize { vmid, disk, size } => resize(world, &guest(world, *vmid)?, *vmid, disk, size, log),
        Work::Destroy { vmid, purge, force } => destroy(world, &guest(world, *vmid)?, *vmid, *purge, *force, log),
        Work::Snapshot { vmid, name, description } => {
            make_snapshot(world, &guest(world, *vmid)?, *vmid, name, description, log)
        }
        Work::Rollback { vmid, name, start } => roll_back(world, &guest(world, *vmid)?, *vmid, name, *start, log),
        Work::DeleteSnapshot { vmid, name, force } => drop_snapshot(world, &guest(world, *vmid)?, *vmid, name, *force),
        Work::Template { vmid } => template(world, &guest(world, *vmid)?, *vmid),
        Work::Download { storage, volume, url, checksum } => {
            super::downloads::fetch(world, node, storage, volume, url, checksum.as_ref(), log)
        }
        Work::FreeVolume { storage, volume } => {
            let volid = format!("{storage}:{volume}");
            if !world.free(node, &volid)? {
                let path = world.volume_path(&volid).unwrap_or_default();
                log.push(format!("disk image '{path}' does not exist"));
            }
            world.installed.remove(&volid);
            log.push(format!("Removed volume '{volid}'"));
            ok()
        }
        Work::Nothing => ok(),
    }
}

fn deaf(guest: &Guest, vmid: u32, log: &mut Vec<String>) -> Result<String, String> {
    if super::status::agent_enabled(guest) {
        log.push(format!("QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"));
    }
    Err(match guest.kind {
        GuestKind::Qemu => "VM quit/powerdown failed - got timeout".to_owned(),
        GuestKind::Lxc => "command 'lxc-stop' failed: exit code 1".to_owned(),
    })
}

/// Ends a guest's process; what was pending takes effect then.
fn halt(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    guest.run = None;
    match guest.kind {
        // Nothing is plugged in a machine that is off: this cannot be refused.
        GuestKind::Qemu => drop(qemu::settle(world, vmid, None)),
        GuestKind::Lxc => lxc::settle(world, vmid),
    }
}

/// Removes every trace of a guest but its volumes: configuration, firewall, ACLs, pool membership.
fn forget(world: &mut World, vmid: u32) {
    world.guests.remove(&vmid);
    world.guest_firewalls.remove(&vmid);
    let path = format!("/vms/{vmid}");
    world.access.acls.retain(|acl| acl.path != path);
    for pool in world.pools.values_mut() {
        pool.guests.remove(&vmid);
    }
}

pub(super) fn owned_volumes(guest: &Guest) -> Vec<String> {
    let sections = std::iter::once(&guest.config).chain(guest.snapshots.values().map(|s| &s.config));
    let mut volids: Vec<String> = sections
        .flat_map(|config| config.iter())
        .filter(|(key, _)| is_disk(key) || is_mount(key) || key.starts_with("unused"))
        .filter_map(|(_, value)| value.split(',').next())
        .map(|head| head.trim_start_matches("file=").trim_start_matches("volume=").to_owned())
        .chain(guest.pending.values().filter_map(|p| match p {
            Pending::Set(value) => value.split(',').next().map(str::to_owned),
            Pending::Delete => None,
        }))
        .filter(|volid| {
            split_volid(volid).is_some_and(|(_, name)| !name.starts_with("iso/") && !name.starts_with("snippets/"))
        })
        .collect();
    volids.sort();
    volids.dedup();
    volids
}

fn destroy(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    purge: bool,
    force: bool,
    log: &mut Vec<String>,
) -> Result<String, String> {
    if guest.kind == GuestKind::Qemu {
        locked(guest)?;
    }
    if guest.is_running() && force {
        log.push(format!("forced to stop CT {vmid} before destroying!"));
        halt(world, vmid);
    } else if guest.is_running() {
        return Err(format!("{} {vmid} is running - destroy failed", guest.kind.noun()));
    }
    for volid in owned_volumes(guest) {
        // A volume of somebody else that is merely mentioned stays.
        if world.volume(&guest.node, &volid).is_some_and(|v| v.vmid == Some(vmid)) {
            world.free(&guest.node, &volid)?;
            world.installed.remove(&volid);
        }
    }
    if purge {
        log.push(format!("purging {} {vmid} from related configurations..", guest.kind.noun()));
    }
    forget(world, vmid);
    Ok("OK".to_owned())
}

fn resize(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    disk: &str,
    size: &str,
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    let value = guest.config.get(disk).ok_or_else(|| format!("disk '{disk}' does not exist"))?;
    let head = if guest.kind == GuestKind::Qemu { "file" } else { "volume" };
    let mut fields = disks::normal(value, head);
    let volid = fields.take("").unwrap_or_default();
    let old = world.volume(&guest.node, &volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
    let new = disks::resized(old.size, size).ok_or("unable to parse size")?;
    if new < old.size {
        return Err("shrinking disks is not supported".to_owned());
    }
    world.resize(&guest.node, &volid, new)?;
    if !world.is_zfs(volid.split(':').next().unwrap_or_default()) {
        log.push("Image resized.".to_owned());
    }
    fields.set("size", Size::bytes(new).to_pve());
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.config.insert(disk.to_owned(), fields.print(&volid, &["mp"]));
    }
    Ok("OK".to_owned())
}

fn template(world: &mut World, guest: &Guest, vmid: u32) -> Result<String, String> {
    let mut config = guest.config.clone();
    for (key, volid) in snapshots::volumes(guest) {
        let Some((storage, name)) = split_volid(&volid) else { continue };
        let based = name.replace("subvol-", "basevol-").replace("vm-", "base-");
        let (from, to) = (world.dataset_of(&volid), world.dataset_of(&format!("{storage}:{based}")));
        let was_installed = world.installed.remove(&volid);
        let Some(host) = world.nodes.get_mut(&guest.node) else { continue };
        if let (Some(from), Some(to)) = (from, to) {
            if let Some(dataset) = host.zfs.datasets.remove(&from) {
                host.zfs.datasets.insert(to.clone(), dataset);
                let _ = host.zfs.snapshot(&[(to, "__base__".to_owned())], world.now_ms / 1000);
            }
        } else if let Some(volumes) = host.volumes.get_mut(storage)
            && let Some(volume) = volumes.remove(name)
        {
            volumes.insert(based.clone(), Volume { ..volume });
        }
        let new = format!("{storage}:{based}");
        if was_installed {
            world.installed.insert(new.clone());
        }
        if let Some(value) = config.get_mut(&key) {
            *value = value.replacen(&volid, &new, 1);
        }
    }
    config.insert("template".to_owned(), "1".to_owned());
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.config = config;
    }
    Ok("OK".to_owned())
}
