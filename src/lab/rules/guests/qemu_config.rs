//! `PUT` and `POST …/qemu/N/config`: the same change, at once or by a worker.

use std::collections::BTreeMap;

use crate::lab::rules::deeds::qemu_change::change;
use crate::lab::rules::endpoint::Access::{self, Any};
use crate::lab::rules::guest::qemu_keys::{NOT_CONFIG, ROOT_ONLY, check_keys};
use crate::lab::rules::guest::{config, disks};
use crate::lab::rules::tables::{CHANGE, QEMU_CHANGE_LATER, QEMU_CONFIG, SKIPLOCK};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal, no_config};
use crate::lab::world::property::is_disk;
use crate::lab::world::{Caller, GuestKind, Work, World};
use crate::ports::Method::{Post, Put};

const MAY_CHANGE: Access = Any(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/config", &[QEMU_CONFIG, CHANGE, SKIPLOCK], MAY_CHANGE, put),
    Endpoint::new(
        Post,
        "/nodes/{node}/qemu/{vmid}/config",
        &[QEMU_CONFIG, CHANGE, SKIPLOCK, QEMU_CHANGE_LATER],
        MAY_CHANGE,
        post,
    ),
];

fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    check_change(call.world, call.caller, &node, vmid, &params)?;
    let mut log = Vec::new();
    change(call.world, vmid, &params, &mut log)?;
    Ok(().into())
}

fn post(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, params) = (call.node(), call.vmid(), call.values.plain());
    check_change(call.world, call.caller, &node, vmid, &params)?;
    Ok(call.spawn("qmconfig", &vmid.to_string(), 800, Work::Configure { vmid, params }))
}

/// Whether a change may be made, and whether it is well-formed.
///
/// # Errors
/// 400, 403 or PVE's text.
pub fn check_change(
    world: &World,
    caller: &Caller,
    node: &str,
    vmid: u32,
    params: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let skiplock = params.get("skiplock").is_some_and(|v| v == "1");
    if skiplock && !caller.is_root_pam() {
        return Err(Refusal::param("skiplock", "Only root may use this option."));
    }
    let deleted = config::deletions(GuestKind::Qemu, params)?;
    if let Some(keys) = params.get("sshkeys") {
        config::check_ssh_keys(&percent_encoding::percent_decode_str(keys).decode_utf8_lossy())?;
    }
    let guest = world.guest(GuestKind::Qemu, node, vmid);
    let now = |key: &str| guest.and_then(|g| g.config.get(key)).cloned().unwrap_or_default();
    let mut changes: Vec<(String, String)> =
        params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    for (_, value) in changes.iter().filter(|(k, _)| is_disk(k)) {
        disks::check(world, caller, value, true)?;
    }
    let is_set = |key: &String| guest.is_some_and(|g| g.config.contains_key(key));
    let always = |key: &String| ROOT_ONLY.contains(&key.as_str());
    changes.extend(deleted.into_iter().filter(|k| is_set(k) || always(k)).map(|k| (k.clone(), now(&k))));
    check_keys(world, caller, vmid, None, &changes)?;
    let guest = guest.ok_or_else(|| no_config(GuestKind::Qemu, node, vmid))?;
    if params.get("digest").is_some_and(|digest| *digest != config::digest(guest)) {
        return Err("checksum mismatch (file change by other user?)".into());
    }
    match guest.lock() {
        Some(lock) if !skiplock => Err(format!("VM is locked ({lock})").into()),
        _ => Ok(()),
    }
}
