//! Turning a guest into a template: its volumes become base volumes.

use crate::lab::rules::guest::volumes;
use crate::lab::world::{Guest, World};

/// Turns a guest, or one of its volumes, into a template.
///
/// # Errors
/// PVE's text.
pub fn template(world: &mut World, guest: &Guest, vmid: u32, only: Option<&str>) -> Result<String, String> {
    let mut config = guest.config.clone();
    for (key, volid) in volumes::volumes(guest) {
        if only.is_some_and(|only| only != key) {
            continue;
        }
        let based = world.make_base(&guest.node, &volid)?;
        if let Some(value) = config.get_mut(&key) {
            *value = value.replacen(&volid, &based, 1);
        }
    }
    config.insert("template".to_owned(), "1".to_owned());
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.config = config;
    }
    Ok("OK".to_owned())
}
