//! Snapshots of guests, as workers make, roll back and remove them.

use super::start;
use crate::lab::rules::guest::config;
use crate::lab::rules::guest::status::locked;
use crate::lab::rules::guest::volumes::{self, owned_volumes};
use crate::lab::world::{Guest, GuestKind, GuestSnapshot, World, split_volid};

/// The section that a snapshot of a guest becomes.
pub fn snapshot_of(guest: &Guest, description: &str, now: i64) -> GuestSnapshot {
    let mut config = guest.config.clone();
    config.remove("lock");
    config.remove("description");
    let parent = config.remove("parent");
    GuestSnapshot { config, parent, time: now, description: description.to_owned(), state: None }
}

/// Makes a snapshot of a guest and its volumes.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn make_snapshot(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    name: &str,
    description: &str,
    log: &mut Vec<String>,
) -> Result<String, String> {
    locked(guest)?;
    if guest.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    if !volumes::possible(world, guest) {
        return Err("snapshot feature is not available".to_owned());
    }
    let now = world.now();
    for (key, volid) in volumes::volumes(guest) {
        if guest.kind == GuestKind::Qemu {
            log.push(format!("snapshotting 'drive-{key}' ({volid})"));
        }
        let dataset = world.dataset_of(&volid);
        let Some(host) = world.nodes.get_mut(&guest.node) else { continue };
        match (dataset, split_volid(&volid)) {
            (Some(dataset), _) => {
                host.zfs
                    .snapshot(&[(dataset, name.to_owned())], now)
                    .map_err(|e| format!("zfs error: {}", e.message))?;
            }
            (None, Some((storage, file))) => {
                if let Some(volume) = host.volumes.get_mut(storage).and_then(|v| v.get_mut(file)) {
                    volume.snapshots.push((name.to_owned(), volume.size));
                }
            }
            _ => {}
        }
    }
    let section = snapshot_of(guest, description, now);
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.snapshots.insert(name.to_owned(), section);
        guest.config.insert("parent".to_owned(), name.to_owned());
    }
    Ok("OK".to_owned())
}

/// Whether a guest can go back to a snapshot: on ZFS only to the newest one of every volume.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn check_rollback(world: &World, guest: &Guest, name: &str) -> Result<(), String> {
    let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    if found.state.is_some() {
        return Err(format!(
            "unable to rollback to incomplete snapshot (snapstate = {})",
            found.state.as_deref().unwrap_or_default()
        ));
    }
    // A torso is told before the lock that it left (9.2.11).
    locked(guest)?;
    let then = Guest { config: found.config.clone(), ..guest.clone() };
    for (_, volid) in volumes::volumes(&then) {
        if let Some(dataset) = world.dataset_of(&volid) {
            let newest = world.nodes.get(&guest.node).and_then(|n| n.zfs.newest(&dataset));
            match newest {
                Some(newest) if newest == name => {}
                Some(_) => return Err(format!("can't rollback, '{name}' is not most recent snapshot on '{volid}'")),
                None => return Err(format!("can't rollback, snapshot '{name}' does not exist on '{volid}'")),
            }
        }
    }
    Ok(())
}

/// Goes back to a snapshot; the guest's process ends first.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn roll_back(
    world: &mut World,
    guest: &Guest,
    vmid: u32,
    name: &str,
    start: bool,
    log: &mut Vec<String>,
) -> Result<String, String> {
    check_rollback(world, guest, name)?;
    let Some(section) = guest.snapshots.get(name).cloned() else {
        return Err(format!("snapshot '{name}' does not exist"));
    };
    // The guest's process ends first.
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.run = None;
    }
    let then = Guest { config: section.config.clone(), ..guest.clone() };
    for (_, volid) in volumes::volumes(&then) {
        let dataset = world.dataset_of(&volid);
        let Some(host) = world.nodes.get_mut(&guest.node) else { continue };
        if let Some(dataset) = dataset {
            host.zfs.rollback(&dataset, name, false).map_err(|e| format!("zfs error: {}", e.message))?;
        } else if let Some((storage, file)) = split_volid(&volid)
            && let Some(volume) = host.volumes.get_mut(storage).and_then(|v| v.get_mut(file))
            && let Some((_, size)) = volume.snapshots.iter().find(|(n, _)| n == name).cloned()
        {
            volume.size = size;
        }
    }
    let genid = world.next_uuid();
    if let Some(found) = world.guests.get_mut(&vmid) {
        let description = found.config.remove("description");
        let mut config = section.config;
        config.insert("parent".to_owned(), name.to_owned());
        if let Some(description) = description {
            config.insert("description".to_owned(), description);
        }
        // Volumes that were made since are not in the snapshot: they stay as unused ones.
        let kept = owned_volumes(&Guest { config: config.clone(), snapshots: Default::default(), ..guest.clone() });
        let lost: Vec<String> = owned_volumes(guest).into_iter().filter(|v| !kept.contains(v)).collect();
        if found.kind == GuestKind::Qemu && config.contains_key("vmgenid") {
            config.insert("vmgenid".to_owned(), genid);
        }
        found.config = config;
        found.pending.clear();
        for volid in lost {
            let key = config::unused_key(found);
            found.config.insert(key, volid);
        }
    }
    if start {
        return start::start(world, vmid, log);
    }
    Ok("OK".to_owned())
}

/// Removes a snapshot; what came after it gets its parent.
///
/// # Errors
/// PVE's text, as the task ends with it.
pub fn drop_snapshot(world: &mut World, guest: &Guest, vmid: u32, name: &str, force: bool) -> Result<String, String> {
    locked(guest)?;
    let section = guest.snapshots.get(name).cloned().ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    let then = Guest { config: section.config.clone(), ..guest.clone() };
    for (_, volid) in volumes::volumes(&then) {
        let dataset = world.dataset_of(&volid);
        let Some(host) = world.nodes.get_mut(&guest.node) else { continue };
        if let Some(dataset) = dataset {
            let gone = host.zfs.destroy_snapshot(&dataset, name);
            if let Err(error) = gone.as_ref().map_err(|e| e.message.clone())
                && !force
            {
                if let Some(guest) = world.guests.get_mut(&vmid) {
                    guest.config.insert("lock".to_owned(), "snapshot-delete".to_owned());
                }
                return Err(format!("zfs error: {error}"));
            }
        } else if let Some((storage, file)) = split_volid(&volid)
            && let Some(volume) = host.volumes.get_mut(storage).and_then(|v| v.get_mut(file))
        {
            volume.snapshots.retain(|(n, _)| n != name);
        }
    }
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.snapshots.remove(name);
        // What came after it has its parent for a parent now.
        for other in guest.snapshots.values_mut().filter(|s| s.parent.as_deref() == Some(name)) {
            other.parent.clone_from(&section.parent);
        }
        if guest.config.get("parent").is_some_and(|p| p == name) {
            match section.parent {
                Some(parent) => guest.config.insert("parent".to_owned(), parent),
                None => guest.config.remove("parent"),
            };
        }
    }
    Ok("OK".to_owned())
}
