//! Changing a node's files.
//!
//! Owns the rules of writing, above all those of `/etc/pve` (9.2.11): owner and permission bits are
//! fixed, without quorum nothing is written, what PVE renders cannot be replaced here.

use super::tree::{
    FileError, FileKind, Meta, in_cluster, list, meta, parent, rendered_at, resolve, stored, stored_mut,
};
use crate::lab::rules::{Target, scope};
use crate::lab::world::{File, World, firewall_file};

/// Whether a new entry may be made at a path, and that nothing but a file is there.
fn writable(world: &World, node: &str, path: &str) -> Result<(), FileError> {
    if let Some(up) = parent(path) {
        match meta(world, node, up)?.kind {
            FileKind::Directory => {}
            FileKind::File | FileKind::Device | FileKind::Link => return Err(FileError::NotADirectory),
        }
    }
    if in_cluster(path) && world.without_quorum {
        return Err(FileError::Denied);
    }
    if firewall_at(world, path).is_some() {
        return Ok(());
    }
    if stored(world, node, path).is_none() && rendered_at(world, node, path).is_some() {
        return Err(FileError::NotModelled);
    }
    Ok(())
}

/// Whose firewall a file is; PVE reads what anybody writes there.
fn firewall_at(world: &World, path: &str) -> Option<Target> {
    let name = path.strip_prefix("/etc/pve/")?;
    if name == "firewall/cluster.fw" {
        return Some(Target::Cluster);
    }
    if let Some(node) = name.strip_prefix("nodes/").and_then(|rest| rest.strip_suffix("/host.fw")) {
        return world.nodes.contains_key(node).then(|| Target::Node(node.to_owned()));
    }
    let vmid = name.strip_prefix("firewall/")?.strip_suffix(".fw")?;
    vmid.parse().ok().map(Target::Guest)
}

fn set_firewall(world: &mut World, target: &Target, content: &[u8]) -> Result<(), FileError> {
    let text = std::str::from_utf8(content).map_err(|_| FileError::NotModelled)?;
    *scope(world, target) = firewall_file::read(text);
    Ok(())
}

/// Writes a file; an existing one keeps its owner and bits, a new one gets `mode`.
///
/// # Errors
/// If its directory does not exist, it is a directory, or PVE renders it.
pub fn write(world: &mut World, node: &str, path: &str, content: Vec<u8>, mode: u32) -> Result<(), FileError> {
    let path = resolve(world, node, path, true);
    if path.starts_with("/sys/") || path.starts_with("/proc/") {
        return set_kernel(world, node, &path, &content);
    }
    writable(world, node, &path)?;
    match meta(world, node, &path).map(|meta| meta.kind) {
        Ok(FileKind::Directory) => return Err(FileError::IsADirectory),
        Ok(FileKind::Device) if path == "/dev/null" => return Ok(()),
        Ok(FileKind::Device) => return Err(FileError::NotModelled),
        Ok(FileKind::File | FileKind::Link) | Err(_) => {}
    }
    if let Some(firewall) = firewall_at(world, &path) {
        return set_firewall(world, &firewall, &content);
    }
    let now = world.now_ms;
    let (mode, gid) = match path.as_str() {
        path if path.starts_with("/etc/pve/priv/") => (0o600, 33),
        path if in_cluster(path) => (0o640, 33),
        _ => (mode, 0),
    };
    let Some(host) = stored_mut(world, node, &path) else { return Err(FileError::NotFound) };
    let file = host.files.entry(path).or_insert(File { mode, uid: 0, gid, ..File::default() });
    file.content = content;
    file.sha256 = None;
    file.modified_ms = now;
    Ok(())
}

/// Tells the kernel something: a parameter of a module, a setting.
fn set_kernel(world: &mut World, node: &str, path: &str, content: &[u8]) -> Result<(), FileError> {
    meta(world, node, path)?;
    let value = String::from_utf8_lossy(content).trim().to_owned();
    let Some(host) = world.nodes.get_mut(node) else { return Err(FileError::NotFound) };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["sys", "module", module, "parameters", name] => {
            host.machine.running.modules.entry(module.to_owned()).or_default().insert(name.to_owned(), value);
            Ok(())
        }
        ["proc", "sys", ref name @ ..] => {
            host.machine.sysctls.insert(name.join("."), value);
            Ok(())
        }
        _ => Err(FileError::NotModelled),
    }
}

/// Makes one directory.
///
/// # Errors
/// If something is there, or its parent is not.
pub fn make_directory(world: &mut World, node: &str, path: &str, mode: u32) -> Result<(), FileError> {
    let path = resolve(world, node, path, true);
    if meta(world, node, &path).is_ok() {
        return Err(FileError::Exists);
    }
    writable(world, node, &path)?;
    let modified_ms = world.now_ms;
    let Some(host) = stored_mut(world, node, &path) else { return Err(FileError::NotFound) };
    host.directories.insert(path, File { mode, modified_ms, ..File::default() });
    Ok(())
}

/// Removes one empty directory that was made.
///
/// # Errors
/// If it is none, is not empty, or belongs to the system.
pub fn remove_directory(world: &mut World, node: &str, path: &str) -> Result<(), FileError> {
    let path = resolve(world, node, path, true);
    if meta(world, node, &path)?.kind != FileKind::Directory {
        return Err(FileError::NotADirectory);
    }
    if !list(world, node, &path)?.is_empty() {
        return Err(FileError::NotEmpty);
    }
    if in_cluster(&path) && world.without_quorum {
        return Err(FileError::Denied);
    }
    match stored_mut(world, node, &path).and_then(|host| host.directories.remove(&path)) {
        Some(_) => Ok(()),
        None => Err(FileError::NotPermitted),
    }
}

/// Removes a file.
///
/// # Errors
/// If it is none, or PVE renders it.
pub fn remove(world: &mut World, node: &str, path: &str) -> Result<(), FileError> {
    let path = resolve(world, node, path, true);
    if meta(world, node, &path)?.kind == FileKind::Directory {
        return Err(FileError::IsADirectory);
    }
    writable(world, node, &path)?;
    if let Some(firewall) = firewall_at(world, &path) {
        return set_firewall(world, &firewall, b"");
    }
    match stored_mut(world, node, &path).and_then(|host| host.files.remove(&path)) {
        Some(_) => Ok(()),
        None => Err(FileError::NotModelled),
    }
}

/// Gives a file another name, over what is there.
///
/// # Errors
/// If there is no such file, or the target cannot be written.
pub fn rename(world: &mut World, node: &str, from: &str, to: &str) -> Result<(), FileError> {
    let (from, to) = (resolve(world, node, from, false), resolve(world, node, to, false));
    if meta(world, node, &from)?.kind == FileKind::Directory {
        return Err(FileError::NotModelled);
    }
    writable(world, node, &to)?;
    if meta(world, node, &to).is_ok_and(|meta| meta.kind == FileKind::Directory) {
        return Err(FileError::IsADirectory);
    }
    let taken = stored_mut(world, node, &from).and_then(|host| host.files.remove(&from));
    let file = taken.ok_or(FileError::NotModelled)?;
    if let Some(firewall) = firewall_at(world, &to) {
        return set_firewall(world, &firewall, &file.content);
    }
    let Some(host) = stored_mut(world, node, &to) else { return Err(FileError::NotFound) };
    host.files.insert(to, file);
    Ok(())
}

/// Changes owner, group or permission bits.
///
/// # Errors
/// If there is nothing, or it is below `/etc/pve`.
pub fn change(world: &mut World, node: &str, path: &str, edit: impl Fn(&mut Meta)) -> Result<(), FileError> {
    let path = resolve(world, node, path, true);
    let mut wanted = meta(world, node, &path)?;
    if in_cluster(&path) || path == "/etc/pve" {
        return Err(FileError::NotPermitted);
    }
    edit(&mut wanted);
    let Some(kept) = stored_mut(world, node, &path) else { return Err(FileError::NotFound) };
    if let Some(file) = kept.files.get_mut(&path) {
        (file.mode, file.uid, file.gid) = (wanted.mode, wanted.uid, wanted.gid);
        return Ok(());
    }
    if wanted.kind != FileKind::Directory {
        return Err(FileError::NotModelled);
    }
    let Some(host) = world.nodes.get_mut(node) else {
        let Some(kept) = stored_mut(world, node, &path) else { return Err(FileError::NotFound) };
        let made = kept.directories.entry(path).or_default();
        (made.mode, made.uid, made.gid) = (wanted.mode, wanted.uid, wanted.gid);
        return Ok(());
    };
    let dataset = host.zfs.mounted_at(&path).map(str::to_owned);
    if let Some(dataset) = dataset.and_then(|name| host.zfs.datasets.get_mut(&name)) {
        (dataset.mode, dataset.uid, dataset.gid) = (wanted.mode, wanted.uid, wanted.gid);
    } else {
        let made = host.directories.entry(path).or_default();
        (made.mode, made.uid, made.gid) = (wanted.mode, wanted.uid, wanted.gid);
    }
    Ok(())
}
