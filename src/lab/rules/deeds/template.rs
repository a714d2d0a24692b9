//! Turning a guest into a template: its volumes become base volumes.

use crate::lab::rules::guest::volumes;
use crate::lab::world::{Guest, Volume, World, split_volid};

/// Turns a guest into a template.
///
/// # Errors
/// PVE's text.
pub fn template(world: &mut World, guest: &Guest, vmid: u32) -> Result<String, String> {
    let mut config = guest.config.clone();
    for (key, volid) in volumes::volumes(guest) {
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
