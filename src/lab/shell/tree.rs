//! A node's files as its programs see them: what PVE renders, what was put there, volumes, mount points.
//!
//! Owns the joining of those sources into one tree; changes nothing (see [`edit`](super::edit)). Paths
//! are absolute. Entry: [`meta`], [`read`], [`list`].

use std::collections::{BTreeMap, BTreeSet};

use super::kernel::{self, Entry};
use super::{guest_tree, pmxcfs};
use crate::lab::world::{File, GuestKind, World};

/// Why a file operation failed, in the words of `strerror(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// `ENOENT`
    #[error("No such file or directory")]
    NotFound,
    /// `EEXIST`
    #[error("File exists")]
    Exists,
    /// `ENOTDIR`
    #[error("Not a directory")]
    NotADirectory,
    /// `EISDIR`
    #[error("Is a directory")]
    IsADirectory,
    /// `ENOTEMPTY`
    #[error("Directory not empty")]
    NotEmpty,
    /// `EPERM`
    #[error("Operation not permitted")]
    NotPermitted,
    /// `EACCES`; also what a cluster without quorum answers to a write below `/etc/pve`.
    #[error("Permission denied")]
    Denied,
    /// `EOPNOTSUPP`: exists on a real host, but the lab cannot read it back.
    #[error("Operation not supported")]
    NotModelled,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A character or block device.
    Device,
    /// A symbolic link; only [`link_meta`] tells.
    Link,
}

/// What `stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Which kind.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// Directories that every host has.
const DIRECTORIES: [&str; 30] = [
    "/boot",
    "/dev",
    "/etc/network",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/systemd/system",
    "/etc/cron.d",
    "/etc/pve/firewall",
    "/etc/pve/ha",
    "/etc/pve/mapping",
    "/etc/pve/priv/lock",
    "/etc/pve/sdn",
    "/etc/pve/virtual-guest",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root/.ssh",
    "/run",
    "/run/lock/lxc",
    "/run/lock/qemu-server",
    "/srv",
    "/sys",
    "/tmp",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/share/kvm",
    "/var/lib/vz",
    "/var/tmp",
];

/// Directories of a host below Proxmox.
const MACHINE_DIRECTORIES: [&str; 10] = [
    "/etc/apt/sources.list.d",
    "/etc/default/grub.d",
    "/etc/initramfs-tools",
    "/etc/kernel",
    "/etc/ssh",
    "/etc/sysctl.d",
    "/run/qemu-server",
    "/usr/lib/modprobe.d",
    "/usr/lib/modules-load.d",
    "/var/lib/apt/lists",
];

/// Devices that every host has.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/stdin", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/vfio/vfio"];

/// Makes a path canonical: no double or trailing slashes, no `.` and `..`, PVE's symlinks followed.
#[must_use]
pub fn canonical(node: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = format!("/{}", parts.join("/"));
    let links = [("/etc/pve/local", ""), ("/etc/pve/lxc", "/lxc"), ("/etc/pve/qemu-server", "/qemu-server")];
    for (link, target) in links {
        if let Some(rest) = path.strip_prefix(link).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            return format!("/etc/pve/nodes/{node}{target}{rest}");
        }
    }
    path
}

/// Follows the symbolic links on the way to a path, and the one that it names itself if `last`.
#[must_use]
pub fn resolve(world: &World, node: &str, path: &str, last: bool) -> String {
    let mut path = canonical(node, path);
    // A loop of links ends here; the kernel gives up after as many.
    for _ in 0..40 {
        let Some(at) = first_link(world, node, &path, last) else { break };
        let target = kernel::link(world, node, &path[..at]).unwrap_or_default();
        let target = if target.starts_with('/') { target } else { format!("{}/../{target}", &path[..at]) };
        path = canonical(node, &format!("{target}{}", &path[at..]));
    }
    path
}

/// Where the first link of a path ends.
fn first_link(world: &World, node: &str, path: &str, last: bool) -> Option<usize> {
    let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
    ends.chain(last.then_some(path.len())).find(|end| kernel::link(world, node, &path[..*end]).is_some())
}

/// What a path names, without following it if it is a link itself: what `lstat` tells.
///
/// # Errors
/// If it names nothing.
pub fn link_meta(world: &World, node: &str, path: &str) -> Result<Meta, FileError> {
    let path = resolve(world, node, path, false);
    match kernel::link(world, node, &path) {
        Some(target) => Ok(Meta {
            kind: FileKind::Link,
            mode: 0o777,
            uid: 0,
            gid: 0,
            size: if path.starts_with("/sys/") { 0 } else { target.len() as u64 },
            modified_ms: 0,
        }),
        None => meta(world, node, &path),
    }
}

/// What a link points at, as it is written in it.
#[must_use]
pub fn link_target(world: &World, node: &str, path: &str) -> Option<String> {
    kernel::link(world, node, &resolve(world, node, path, false))
}

pub(super) fn in_cluster(path: &str) -> bool {
    path.starts_with("/etc/pve/")
}

/// Where a file is kept: those of `/etc/pve` are the cluster's and stand on its first node.
fn keeper<'a>(world: &'a World, node: &'a str, path: &str) -> &'a str {
    if in_cluster(path) { world.nodes.keys().next().map_or(node, String::as_str) } else { node }
}

pub(super) fn stored<'a>(world: &'a World, node: &str, path: &str) -> Option<&'a File> {
    if let Some((_, guest)) = guest_tree::guest(world, node) {
        return guest.files.get(path);
    }
    world.nodes.get(keeper(world, node, path))?.files.get(path)
}

/// Files and directories of the system that keeps what is at a path, to be changed.
pub(super) struct Kept<'a> {
    pub files: &'a mut BTreeMap<String, File>,
    pub directories: &'a mut BTreeMap<String, File>,
}

pub(super) fn stored_mut<'a>(world: &'a mut World, node: &str, path: &str) -> Option<Kept<'a>> {
    if guest_tree::guest(world, node).is_some() {
        let guest = guest_tree::guest_mut(world, node)?;
        return Some(Kept { files: &mut guest.files, directories: &mut guest.directories });
    }
    let keeper = keeper(world, node, path).to_owned();
    let host = world.nodes.get_mut(&keeper)?;
    Some(Kept { files: &mut host.files, directories: &mut host.directories })
}

/// A file that is made up from the world.
pub(super) fn rendered_at(world: &World, node: &str, path: &str) -> Option<Vec<u8>> {
    if let Some((_, guest)) = guest_tree::guest(world, node) {
        return guest_tree::rendered(world, node, guest).remove(path);
    }
    if in_cluster(path) { pmxcfs::rendered_at(world, node, path) } else { machine_files(world, node).remove(path) }
}

/// Files of a node that are its own.
fn machine_files(world: &World, node: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    files.insert("/etc/hostname".to_owned(), format!("{node}\n").into_bytes());
    if let Some(here) = world.nodes.get(node).filter(|here| !here.networks.is_empty()) {
        let text = crate::lab::world::interfaces::text(&here.networks, here.networks_by_pve);
        files.insert("/etc/network/interfaces".to_owned(), text.into_bytes());
    }
    // A lock's file stays for ever once it was made.
    for (vmid, guest) in world.guests.iter().filter(|(_, guest)| guest.node == node) {
        files.insert(lock_file(*vmid, guest.kind), Vec::new());
    }
    files.insert("/etc/subuid".to_owned(), b"root:100000:65536\n".to_vec());
    files.insert("/etc/subgid".to_owned(), b"root:100000:65536\n".to_vec());
    files
}

/// The file whose lock whoever works on a guest holds.
fn lock_file(vmid: u32, kind: GuestKind) -> String {
    match kind {
        GuestKind::Qemu => format!("/run/lock/qemu-server/lock-{vmid}.conf"),
        GuestKind::Lxc => format!("/run/lock/lxc/pve-config-{vmid}.lock"),
    }
}

/// Locks of guests that somebody holds right now: guest, file, process.
pub(super) fn held_locks(world: &World, node: &str) -> Vec<(u32, String, u32)> {
    let held = world.lock_files.iter().filter(|(_, until)| **until > world.now_ms);
    held.filter_map(|(vmid, _)| {
        let guest = world.guests.get(vmid).filter(|guest| guest.node == node)?;
        Some((*vmid, lock_file(*vmid, guest.kind), 40_000 + vmid % 10_000))
    })
    .collect()
}

/// A number that stands for a file's inode: the same for the same path.
pub(super) fn inode(path: &str) -> u32 {
    path.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Size and SHA-256 of a volume that is a file, by its path. Its bytes are not modelled.
fn volume(world: &World, node: &str, path: &str) -> Option<(u64, Option<String>, i64)> {
    for storage in world.storages.keys().filter(|storage| !world.is_zfs(storage)) {
        for (name, volume) in world.volumes(node, storage) {
            if world.volume_path(&format!("{storage}:{name}")).as_deref() == Some(path) {
                return Some((volume.size, volume.sha256, volume.ctime * 1000));
            }
        }
    }
    None
}

/// Every directory of a node.
fn directories(world: &World, node: &str) -> BTreeSet<String> {
    let guest = guest_tree::guest(world, node).map(|(_, guest)| guest);
    let mut found: BTreeSet<String> = match guest {
        Some(_) => guest_tree::DIRECTORIES.iter().map(|path| (*path).to_owned()).collect(),
        None => DIRECTORIES.iter().chain(&MACHINE_DIRECTORIES).map(|path| (*path).to_owned()).collect(),
    };
    if let Some(guest) = guest {
        found.extend(guest.directories.keys().cloned());
        let rendered = guest_tree::rendered(world, node, guest);
        let files = guest.files.keys().chain(rendered.keys());
        found.extend(files.filter_map(|path| parent(path)).map(str::to_owned));
        with_parents(&mut found);
        return found;
    }
    for name in world.nodes.keys() {
        found.extend(["lxc", "qemu-server", "priv"].map(|sub| format!("/etc/pve/nodes/{name}/{sub}")));
    }
    for storage in world.storages.values() {
        if let Some(path) = storage.path() {
            let subs = ["template/iso", "template/cache", "snippets", "images", "dump", "import"];
            found.extend(subs.map(|sub| format!("{path}/{sub}")));
        }
    }
    if let Some(here) = world.nodes.get(node) {
        let mounted = here.zfs.datasets.iter().filter(|(_, dataset)| dataset.mounted);
        found.extend(mounted.filter_map(|(name, _)| here.zfs.get(name, "mountpoint")));
        found.extend(here.directories.keys().cloned());
        found.extend(here.files.keys().filter_map(|path| parent(path)).map(str::to_owned));
    }
    if let Some(first) = world.nodes.values().next() {
        found.extend(first.directories.keys().filter(|path| in_cluster(path)).cloned());
    }
    with_parents(&mut found);
    found
}

fn with_parents(found: &mut BTreeSet<String>) {
    let leaves: Vec<String> = found.iter().cloned().collect();
    for leaf in &leaves {
        let mut at = leaf.as_str();
        while let Some(up) = parent(at) {
            if !found.insert(up.to_owned()) {
                break;
            }
            at = up;
        }
    }
}

pub(super) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (up, _) => Some(up),
    }
}

/// Tells what a path names.
///
/// # Errors
/// If it names nothing.
pub fn meta(world: &World, node: &str, path: &str) -> Result<Meta, FileError> {
    let path = resolve(world, node, path, true);
    let file = |mode, uid, gid, size, modified_ms| Meta { kind: FileKind::File, mode, uid, gid, size, modified_ms };
    if let Some(entry) = kernel::entry(world, node, &path) {
        let (kind, mode, size) = match entry {
            Entry::File(_) if path.starts_with("/proc/") => (FileKind::File, 0o444, 0),
            Entry::File(content) => (FileKind::File, 0o444, content.len() as u64),
            Entry::Opaque { size, modified_ms } => return Ok(file(0o644, 0, 0, size, modified_ms)),
            Entry::Directory(_) => (FileKind::Directory, 0o755, 0),
        };
        return Ok(Meta { kind, mode, uid: 0, gid: 0, size, modified_ms: 0 });
    }
    if let Some(found) = stored(world, node, &path) {
        return Ok(file(found.mode, found.uid, found.gid, found.content.len() as u64, found.modified_ms));
    }
    if let Some(content) = rendered_at(world, node, &path) {
        let (mode, gid) = if in_cluster(&path) { (0o640, 33) } else { (0o644, 0) };
        return Ok(file(mode, 0, gid, content.len() as u64, 0));
    }
    let guest = guest_tree::guest(world, node).map(|(_, guest)| guest);
    let device = path == "/dev/zvol"
        || world
            .nodes
            .get(node)
            .is_some_and(|n| path.strip_prefix("/dev/zvol/").is_some_and(|name| n.zfs.datasets.contains_key(name)));
    let device = match guest {
        Some(guest) => guest_tree::is_device(guest, &path),
        None => DEVICES.contains(&path.as_str()) || device,
    };
    if device {
        return Ok(Meta { kind: FileKind::Device, mode: 0o660, uid: 0, gid: 0, size: 0, modified_ms: 0 });
    }
    if let Some((size, _, modified_ms)) = volume(world, node, &path) {
        return Ok(file(0o644, 0, 0, size, modified_ms));
    }
    if directories(world, node).contains(&path) || path == "/" {
        let directory = |mode, uid, gid| Meta { kind: FileKind::Directory, mode, uid, gid, size: 4096, modified_ms: 0 };
        if in_cluster(&path) {
            return Ok(directory(if path.starts_with("/etc/pve/priv") { 0o700 } else { 0o755 }, 0, 33));
        }
        if let Some(made) = guest.and_then(|guest| guest.directories.get(&path)) {
            return Ok(directory(made.mode, made.uid, made.gid));
        }
        if let Some(here) = world.nodes.get(node) {
            if let Some(dataset) = here.zfs.mounted_at(&path).and_then(|name| here.zfs.datasets.get(name)) {
                return Ok(directory(dataset.mode, dataset.uid, dataset.gid));
            }
            if let Some(made) = here.directories.get(&path) {
                return Ok(directory(made.mode, made.uid, made.gid));
            }
        }
        let mode = match path.as_str() {
            "/tmp" | "/var/tmp" => 0o1777,
            "/root" | "/root/.ssh" => 0o700,
            _ => 0o755,
        };
        return Ok(directory(mode, 0, 0));
    }
    // a file on the way is no directory
    let mut at = path.as_str();
    while let Some(up) = parent(at) {
        if matches!(meta_of_file(world, node, up), Some(FileKind::File | FileKind::Device)) {
            return Err(FileError::NotADirectory);
        }
        at = up;
    }
    Err(FileError::NotFound)
}

fn meta_of_file(world: &World, node: &str, path: &str) -> Option<FileKind> {
    let is_file = stored(world, node, path).is_some() || rendered_at(world, node, path).is_some();
    is_file.then_some(FileKind::File).or_else(|| DEVICES.contains(&path).then_some(FileKind::Device))
}

/// Reads a file.
///
/// # Errors
/// If there is none, or its bytes are not modelled.
pub fn read(world: &World, node: &str, path: &str) -> Result<Vec<u8>, FileError> {
    let path = resolve(world, node, path, true);
    match kernel::entry(world, node, &path) {
        Some(Entry::File(content)) => return Ok(content.into_bytes()),
        Some(Entry::Directory(_)) => return Err(FileError::IsADirectory),
        Some(Entry::Opaque { .. }) => return Err(FileError::NotModelled),
        None => {}
    }
    if let Some(found) = stored(world, node, &path) {
        return Ok(found.content.clone());
    }
    if let Some(content) = rendered_at(world, node, &path) {
        return Ok(content);
    }
    match meta(world, node, &path)?.kind {
        FileKind::Directory => Err(FileError::IsADirectory),
        FileKind::Device if path == "/dev/null" => Ok(Vec::new()),
        FileKind::File | FileKind::Device | FileKind::Link => Err(FileError::NotModelled),
    }
}

/// SHA-256 of a volume or file whose bytes are not modelled.
#[must_use]
pub fn known_sha256(world: &World, node: &str, path: &str) -> Option<String> {
    let path = resolve(world, node, path, true);
    match stored(world, node, &path) {
        Some(file) => file.sha256.clone(),
        None => volume(world, node, &path)?.1,
    }
}

/// Names in a directory.
///
/// # Errors
/// If it is none.
pub fn list(world: &World, node: &str, path: &str) -> Result<Vec<String>, FileError> {
    let path = resolve(world, node, path, true);
    if meta(world, node, &path)?.kind != FileKind::Directory {
        return Err(FileError::NotADirectory);
    }
    let mut names = BTreeSet::new();
    if let Some(Entry::Directory(found)) = kernel::entry(world, node, &path) {
        names.extend(found);
        if path.starts_with("/sys/") || path.starts_with("/proc/") || matches!(path.as_str(), "/sys" | "/proc") {
            return Ok(names.into_iter().collect());
        }
    }
    names.extend(kernel::more_in(world, node, &path));
    if world.nodes.contains_key(node) {
        names.extend(pmxcfs::names_in(world, node, &path));
    }
    let mut add = |full: &str| {
        if parent(full) == Some(path.as_str()) {
            names.extend(full.rsplit('/').next().map(str::to_owned));
        }
    };
    directories(world, node).iter().for_each(|dir| add(dir));
    if let Some((_, guest)) = guest_tree::guest(world, node) {
        guest_tree::rendered(world, node, guest).keys().for_each(|file| add(file));
        guest.files.keys().for_each(|file| add(file));
        return Ok(names.into_iter().collect());
    }
    machine_files(world, node).keys().for_each(|file| add(file));
    for (name, host) in &world.nodes {
        let here = host.files.keys().filter(|file| keeper(world, node, file) == name);
        here.for_each(|file| add(file));
    }
    for storage in world.storages.keys().filter(|storage| !world.is_zfs(storage)) {
        for name in world.volumes(node, storage).keys() {
            if let Some(file) = world.volume_path(&format!("{storage}:{name}")) {
                add(&file);
            }
        }
    }
    Ok(names.into_iter().collect())
}
