//! Guests: ours with their configuration, those of others as far as lists show them.

use super::disks;
use super::original::{Original, Told, kind};
use crate::lab::world::{Guest, GuestKind, Pending, Run, World};
use crate::lab::{guest_edge, guest_tailscale};
use crate::model::observed::{GuestConfig, GuestListing, Power, Site};

/// Puts every guest there that was seen.
pub(super) fn seed(world: &mut World, site: &Site, told: &mut Told) {
    let Some(guests) = told.take("the list of guests", &site.guests) else { return };
    let mut foreign = Vec::new();
    for (vmid, listing) in guests {
        let read = site.configs.get(vmid);
        let config = read.and_then(|fact| told.take(&format!("the configuration of {vmid}"), fact));
        let mut guest = Guest::new(kind(listing.kind), listing.node.as_str(), Default::default());
        match config {
            Some(config) => configure(&mut guest, config),
            None => sketch(&mut guest, listing),
        }
        if read.is_none() {
            foreign.push(vmid.to_string());
        }
        if let Some(lock) = &listing.lock {
            guest.config.insert("lock".to_owned(), lock.clone());
        }
        match listing.status {
            Power::Running => {
                let (pid, now) = (world.next_pid(), world.now_ms);
                let run = Run { pid, started_ms: now, booted_ms: Some(now), paused: false };
                guest.run = Some(run);
            }
            Power::Stopped => {}
            Power::Unknown => {
                told.say(format!("whether {vmid} runs"), "its node does not tell; in the twin it does not")
            }
        }
        if guest.config.contains_key("parent") {
            told.say(format!("snapshots of {vmid}"), "they were not read");
        }
        world.guests.insert(vmid.get(), guest);
        if let Some(pool) = &listing.pool {
            world.pools.entry(pool.clone()).or_default().guests.insert(vmid.get());
        }
        disks::seed(world, vmid.get());
    }
    if !foreign.is_empty() {
        told.say(
            format!("disks, devices and addresses of guests that are not of this inventory ({})", foreign.join(", ")),
            "their configuration was not read: only number, name, lock and whether they run",
        );
    }
    let busy = told.take("running tasks", &site.tasks).into_iter().flatten();
    let busy: Vec<String> = busy.map(|upid| format!("{} {}", upid.task_type(), upid.id()).trim().to_owned()).collect();
    if !busy.is_empty() {
        told.say(format!("tasks that run right now ({})", busy.join(", ")), "in the twin none runs");
    }
}

/// Puts programs and files into the guests that they were seen in.
pub(super) fn seed_looks(world: &mut World, original: &Original<'_>) {
    for (vmid, read) in original.hosts.iter().flat_map(|host| &host.there.looks) {
        if let (Some(look), Some(guest)) = (read.value(), world.guests.get_mut(&vmid.get())) {
            guest_edge::seed(guest, look);
        }
    }
}

/// Puts Tailscale into the guests that it was seen in.
pub(super) fn seed_tailscale(world: &mut World, original: &Original<'_>) {
    for (vmid, read) in original.hosts.iter().flat_map(|host| &host.there.tailscale) {
        if let (Some(seen), Some(guest)) = (read.value(), world.guests.get_mut(&vmid.get())) {
            guest_tailscale::seed(guest, seen);
        }
    }
}

fn configure(guest: &mut Guest, read: &GuestConfig) {
    guest.config.clone_from(&read.current);
    for (key, coming) in &read.pending {
        let pending = coming.clone().map_or(Pending::Delete, Pending::Set);
        guest.pending.insert(key.clone(), pending);
    }
}

/// What a list tells of a guest.
fn sketch(guest: &mut Guest, listing: &GuestListing) {
    let name = if guest.kind == GuestKind::Qemu { "name" } else { "hostname" };
    if let Some(text) = &listing.name {
        guest.config.insert(name.to_owned(), text.clone());
    }
    if !listing.tags.is_empty() {
        guest.config.insert("tags".to_owned(), listing.tags.join(";"));
    }
    if listing.template {
        guest.config.insert("template".to_owned(), "1".to_owned());
    }
}
