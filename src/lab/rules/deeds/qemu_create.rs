//! What the `qmcreate` worker does: builds a VM out of its creation's parameters.

use std::collections::BTreeMap;

use crate::lab::rules::guest::qemu_keys::NOT_CONFIG;
use crate::lab::rules::guest::qemu_values::{default_boot, stored};
use crate::lab::world::World;

/// Builds a VM out of its creation's parameters: what the `qmcreate` worker does.
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
            world.installed.remove(&volid);
        }
    }
    result.map_err(|text| format!("unable to create VM {vmid} - {text}"))
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
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        let stored = stored(world, node, vmid, key, value, log, made)?;
        if !(key == "description" && stored.is_empty()) {
            built.insert(key.clone(), stored);
        }
    }
    if !built.contains_key("smbios1") {
        built.insert("smbios1".to_owned(), format!("uuid={}", world.next_uuid()));
    }
    if !built.contains_key("vmgenid") {
        built.insert("vmgenid".to_owned(), world.next_uuid());
    }
    built.insert("meta".to_owned(), format!("creation-qemu={},ctime={}", world.version.qemu(), world.now()));
    if !built.contains_key("boot") && !built.contains_key("bootdisk") {
        built.insert("boot".to_owned(), default_boot(&built));
    }
    Ok(built)
}
