//! Storages: what they take, how full they are, and the files on them.

use std::collections::{BTreeMap, BTreeSet};

use super::original::{Original, OriginalHost, Told};
use crate::lab::world::{Capacity, Dataset, File, Storage, StorageKind, Volume, World, Zpool, content_of, split_volid};
use crate::model::observed::{self, StorageEntry};

/// The disk in a cloud image is larger than its file; how much is not known. This is an usual one.
const USUAL_DISK: u64 = 2252 << 20;
/// What a file of unknown content is filled up to, so that it is as long as the original.
const LONGEST: u64 = 1 << 20;

/// Puts every storage there.
pub(super) fn seed(world: &mut World, original: &Original<'_>, told: &mut Told) {
    for host in &original.hosts {
        let Some(storages) = told.take(&format!("storages of {}", host.name), &host.there.storages) else { continue };
        let entries = host.there.storage_entries.value();
        if let Some(why) = host.there.storage_entries.why() {
            told.say(format!("where the storages of {} are, and whether they are thin", host.name), why);
        }
        for (name, seen) in storages {
            let entry = entries.and_then(|entries| entries.get(name));
            place(world, host, name.as_str(), seen, entry, told);
        }
    }
    // A storage that only some nodes have is limited to them.
    let online: BTreeSet<String> = world.nodes.iter().filter(|(_, n)| n.online).map(|(name, _)| name.clone()).collect();
    for (name, storage) in &mut world.storages {
        let having = online.iter().filter(|node| world.nodes[*node].capacities.contains_key(name));
        let having: BTreeSet<String> = having.cloned().collect();
        if storage.nodes.is_empty() && having != online && world.nodes.len() > 1 {
            storage.nodes = having;
        }
    }
    for host in &original.hosts {
        for (storage, volumes) in &host.there.volumes {
            let Some(volumes) = told.take(&format!("files on {storage} of {}", host.name), volumes) else { continue };
            for (volid, volume) in volumes {
                file(world, host.node.as_str(), volid, volume);
            }
        }
        fill(world, host);
    }
}

fn place(
    world: &mut World,
    host: &OriginalHost<'_>,
    name: &str,
    seen: &observed::Storage,
    entry: Option<&StorageEntry>,
    told: &mut Told,
) {
    let mut options = entry.map(|entry| entry.options.clone()).unwrap_or_default();
    let kind = kind(name, seen, entry.is_some(), &mut options, told);
    if seen.active {
        back(world, host.node.as_str(), &kind, seen);
    } else {
        told.say(format!("storage {name} of {}", host.name), "it is not active");
    }
    let nodes = options.remove("nodes").map(|nodes| nodes.split(',').map(str::to_owned).collect());
    let disabled = options.remove("disable").is_some() || (!seen.active && matches!(kind, StorageKind::Dir { .. }));
    // Whether its directory is mounted is not modelled: it was active, or it was not.
    for told_above in ["content", "is_mountpoint", "mkdir", "create-base-path"] {
        options.remove(told_above);
    }
    let made = Storage {
        content: seen.content.iter().cloned().collect(),
        nodes: nodes.unwrap_or_default(),
        disabled,
        options,
        ..Storage::new(kind, &[])
    };
    world.storages.entry(name.to_owned()).or_insert(made);
    if let Some(node) = world.nodes.get_mut(host.node.as_str()) {
        // How much of it is taken by what is not modelled is reckoned when all else is there.
        node.capacities.insert(name.to_owned(), Capacity { total: seen.total, other: 0 });
    }
}

/// What a storage is made of. Where `storage.cfg` could not be read, that is made up; that it was not read is said.
fn kind(
    name: &str,
    seen: &observed::Storage,
    known: bool,
    options: &mut BTreeMap<String, String>,
    told: &mut Told,
) -> StorageKind {
    let mut take = |key: &str, or: &str| options.remove(key).unwrap_or_else(|| or.to_owned());
    let usual = if name == "local" { "/var/lib/vz".to_owned() } else { format!("/mnt/pve/{name}") };
    match seen.kind.as_str() {
        "zfspool" => StorageKind::ZfsPool {
            pool: take("pool", &format!("twin/{name}")),
            sparse: take("sparse", if known { "0" } else { "1" }) != "0",
        },
        "lvm" => StorageKind::Lvm { vgname: take("vgname", name) },
        "lvmthin" => StorageKind::LvmThin { vgname: take("vgname", name), thinpool: take("thinpool", "data") },
        "nfs" => StorageKind::Nfs {
            server: take("server", "twin"),
            export: take("export", name),
            path: take("path", &usual),
        },
        "cifs" => {
            StorageKind::Cifs { server: take("server", "twin"), share: take("share", name), path: take("path", &usual) }
        }
        "pbs" => StorageKind::Pbs { server: take("server", "twin"), datastore: take("datastore", name) },
        other => {
            if other != "dir" {
                told.say(
                    format!("what is particular about {name}, a storage of type {other}"),
                    "in the twin it is a directory of the same size",
                );
            }
            StorageKind::Dir { path: take("path", &usual), size: None }
        }
    }
}

/// What a storage stands on.
fn back(world: &mut World, node: &str, kind: &StorageKind, seen: &observed::Storage) {
    if let StorageKind::ZfsPool { pool, .. } = kind {
        zpool(world, node, pool, seen.available);
    }
    if let Some(share) = Storage::new(kind.clone(), &[]).share() {
        world.shares.insert(share, seen.total);
    }
    let Some(node) = world.nodes.get_mut(node) else { return };
    match kind {
        StorageKind::Lvm { vgname } => {
            node.volume_groups.entry(vgname.clone()).or_default().size = seen.total;
        }
        StorageKind::LvmThin { vgname, thinpool } => {
            let group = node.volume_groups.entry(vgname.clone()).or_default();
            group.thin_pools.insert(thinpool.clone(), seen.total);
        }
        _ => {}
    }
}

/// Makes a pool large enough that a dataset of it has this much left.
fn zpool(world: &mut World, node: &str, dataset: &str, available: u64) {
    let Some(node) = world.nodes.get_mut(node) else { return };
    let mut at = String::new();
    for part in dataset.split('/') {
        at = if at.is_empty() { part.to_owned() } else { format!("{at}/{part}") };
        let bare = || Dataset { mode: 0o755, mounted: true, ..Dataset::default() };
        node.zfs.datasets.entry(at.clone()).or_insert_with(bare);
    }
    let pool = dataset.split('/').next().unwrap_or(dataset);
    let size = node.zfs.used(pool) + available;
    let health = || "ONLINE".to_owned();
    let entry = node.zfs.pools.entry(pool.to_owned()).or_insert_with(|| Zpool { size, health: health() });
    // A quota between pool and dataset makes one storage see less than another: the largest is the pool's.
    entry.size = entry.size.max(size);
}

/// A file on a storage: an image, a template, a snippet.
fn file(world: &mut World, node: &str, volid: &str, seen: &observed::Volume) {
    let Some((storage, name)) = split_volid(volid) else { return };
    if world.is_zfs(storage) {
        return;
    }
    let Some(path) = world.volume_path(volid) else { return };
    let Some(host) = world.nodes.get_mut(node) else { return };
    if content_of(name) == "snippets" {
        let file = host.files.entry(path).or_insert_with(|| File { mode: 0o644, ..File::default() });
        file.content = vec![0; usize::try_from(seen.size.min(LONGEST)).unwrap_or_default()];
        return;
    }
    let image = content_of(name) == "import";
    let volume = Volume {
        format: format(name).to_owned(),
        size: seen.size,
        used: seen.size,
        virtual_size: image.then(|| seen.size.max(USUAL_DISK)),
        vmid: name.split_once('/').and_then(|(vmid, _)| vmid.parse().ok()),
        ..Volume::default()
    };
    world.put_volume(node, volid, volume);
}

pub(super) fn format(name: &str) -> &'static str {
    match name {
        n if n.ends_with(".tar.gz") => "tgz",
        n if n.ends_with(".tar.xz") => "txz",
        n if n.ends_with(".tar.zst") => "tzst",
        n if n.ends_with(".qcow2") => "qcow2",
        n if n.ends_with(".vmdk") => "vmdk",
        n if n.ends_with(".ova") => "ova",
        n if n.ends_with(".iso") || n.starts_with("iso/") => "iso",
        _ => "raw",
    }
}

/// Reckons what else is on each storage, so that what is left is what was seen.
fn fill(world: &mut World, host: &OriginalHost<'_>) {
    let node = host.node.as_str();
    let seen: BTreeMap<&str, u64> = host
        .there
        .storages
        .value()
        .into_iter()
        .flatten()
        .map(|(name, storage)| (name.as_str(), storage.available))
        .collect();
    for (name, available) in seen {
        if world.is_zfs(name) {
            continue;
        }
        let (_, free) = world.space(node, name);
        if let Some(capacity) = world.nodes.get_mut(node).and_then(|node| node.capacities.get_mut(name)) {
            capacity.other = free.saturating_sub(available);
        }
    }
}
