//! `PUT …/lxc/N/config`.

use crate::lab::rules::deeds::lxc_change::change;
use crate::lab::rules::endpoint::Access::{self, Any};
use crate::lab::rules::guest::disks::Source;
use crate::lab::rules::guest::lxc_keys::{NOT_CONFIG, check_devices, privileges, root_only};
use crate::lab::rules::guest::{access, config, disks};
use crate::lab::rules::tables::{CHANGE, LXC_CONFIG};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal, need, no_config};
use crate::lab::world::property::{Properties, is_mount};
use crate::lab::world::{Guest, GuestKind};
use crate::ports::Method::Put;

const MAY_CHANGE: Access = Any(
    "/vms/{vmid}",
    &["VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options"],
);

/// The row.
pub const ROWS: &[Endpoint] =
    &[Endpoint::new(Put, "/nodes/{node}/lxc/{vmid}/config", &[LXC_CONFIG, CHANGE], MAY_CHANGE, put)];

fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    let (world, caller) = (&*call.world, call.caller);
    let deleted = config::deletions(GuestKind::Lxc, &params)?;
    let found = world.guest(GuestKind::Lxc, &node, vmid);
    let unprivileged = found.is_some_and(|g| g.config.get("unprivileged").is_some_and(|u| u == "1"));
    let old = found.map(Guest::wanted).unwrap_or_default();
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        root_only(caller, unprivileged, key, Some(value), old.get(key).map(String::as_str))?;
        need(world, caller, &format!("/vms/{vmid}"), privileges(key))?;
        if is_mount(key) {
            disks::check(world, caller, value, false)?;
            if let Source::Path(path) = disks::source(disks::normal(value, "volume").get("").unwrap_or_default())
                && !path.starts_with('/')
            {
                return Err(format!("unable to parse volume ID '{path}'").into());
            }
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            access::may_use_bridge(world, caller, bridge)?;
        }
    }
    for key in &deleted {
        if !is_mount(key) && old.contains_key(key) {
            root_only(caller, unprivileged, key, None, old.get(key).map(String::as_str))?;
        }
        need(world, caller, &format!("/vms/{vmid}"), privileges(key))?;
    }
    check_devices(world, &node, &params)?;
    let guest = found.ok_or_else(|| no_config(GuestKind::Lxc, &node, vmid))?;
    // The lock comes first here, the digest with VMs (pve-container `API2/LXC/Config.pm`).
    if let Some(lock) = guest.lock() {
        return Err(format!("CT is locked ({lock})").into());
    }
    if params.get("digest").is_some_and(|digest| *digest != config::digest(guest)) {
        return Err("detected modified configuration - file changed by other user? Try again.".into());
    }
    for key in &deleted {
        match key.as_str() {
            "rootfs" | "arch" | "ostype" => return Err(format!("unable to delete required option '{key}'").into()),
            "unprivileged" => return Err(format!("unable to delete read-only option: '{key}'").into()),
            _ => {}
        }
    }
    if params.contains_key("unprivileged") {
        return Err("unable to modify read-only option: 'unprivileged'".into());
    }
    change(call.world, vmid, &params, &deleted)?;
    Ok(().into())
}
