//! What the `vzcreate` worker does: builds a container out of its creation's parameters.

use std::collections::BTreeMap;

use crate::lab::rules::guest::disks;
use crate::lab::rules::guest::lxc_keys::NOT_CONFIG;
use crate::lab::rules::guest::lxc_values::stored;
use crate::lab::world::World;
use crate::lab::world::property::{indexed, is_mount};

/// Builds a container out of its creation's parameters: what the `vzcreate` worker does.
///
/// # Errors
/// PVE's text; everything that was made is gone again then.
pub fn build(
    world: &mut World,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut made = Vec::new();
    let result = assemble(world, node, vmid, params, log, &mut made);
    if result.is_err() {
        for volid in made {
            let _ = world.free(node, &volid);
        }
    }
    result.map_err(|text| format!("unable to create CT {vmid} - {text}"))
}

fn assemble(
    world: &mut World,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
    log: &mut Vec<String>,
    made: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut built = BTreeMap::new();
    // The root file system comes first, then the mount points by number: that gives the disks their numbers.
    let mut mounts: Vec<&String> = params.keys().filter(|k| is_mount(k)).collect();
    mounts.sort_by_key(|key| indexed(key).filter(|_| *key != "rootfs").map_or(-1, |(_, n)| i64::from(n)));
    for key in mounts {
        built.insert(key.clone(), disks::make_mount(world, node, vmid, &params[key], log, made)?);
    }
    let template = params.get("ostemplate").cloned().unwrap_or_default();
    let archive = world.volume_path(&template).unwrap_or_default();
    if world.volume(node, &template).is_none() {
        let text = format!("volume '{template}' does not exist");
        log.push(text.clone());
        return Err(text);
    }
    log.push(format!("extracting archive '{archive}'"));
    log.push("Total bytes read: 150743040 (144MiB, 308MiB/s)".to_owned());
    log.push("Detected container architecture: amd64".to_owned());
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str()) && !is_mount(k)) {
        let stored = stored(world, key, value);
        let unsaid = match key.as_str() {
            "description" => value.is_empty(),
            "unprivileged" => stored == "0",
            _ => false,
        };
        if !unsaid {
            built.insert(key.clone(), stored);
        }
    }
    let file = template.rsplit('/').next().unwrap_or_default();
    let known =
        ["alpine", "archlinux", "centos", "debian", "devuan", "fedora", "gentoo", "nixos", "opensuse", "ubuntu"];
    let os = known.iter().find(|os| file.starts_with(**os)).copied().unwrap_or("unmanaged");
    for (key, value) in
        [("arch", "amd64"), ("ostype", os), ("hostname", &format!("CT{vmid}")), ("memory", "512"), ("swap", "512")]
    {
        built.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    if let Some(Some(dataset)) = built.get("rootfs").map(|r| world.dataset_of(r.split(',').next().unwrap_or_default()))
        && let Some(found) = world.nodes.get_mut(node).and_then(|n| n.zfs.datasets.get_mut(&dataset))
    {
        found.used = 600 << 20;
    }
    Ok(built)
}
