//! `POST /nodes/N/lxc`: what is refused at once, and the worker for the rest.

use std::collections::BTreeMap;

use crate::lab::rules::endpoint::Access::All;
use crate::lab::rules::guest::lxc_keys::{NOT_CONFIG, check_devices, privileges, root_only};
use crate::lab::rules::guest::{access, config, disks, status};
use crate::lab::rules::tables::{LXC_CONFIG, LXC_CREATE};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal, need};
use crate::lab::world::property::{Properties, is_mount};
use crate::lab::world::{Guest, GuestKind, Version, Work, split_volid};
use crate::ports::Method::Post;

/// The row.
pub const ROWS: &[Endpoint] = &[Endpoint::new(Post, "/nodes/{node}/lxc", &[LXC_CREATE, LXC_CONFIG], All, create)];

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let mut params = call.values.plain();
    let vmid: u32 = call.values.text("vmid").parse().unwrap_or_default();
    let pool = call.values.get("pool").map(str::to_owned);
    access::may_create(call, vmid, pool.as_deref())?;
    if let Some(keys) = params.get("ssh-public-keys") {
        config::check_ssh_keys(keys)?;
    }
    let (world, caller) = (&*call.world, call.caller);
    // Unprivileged is what a container is unless it is said: since 9.0 (8.4: the schema says 0).
    let by_default = world.version >= Version::V9_1;
    let unprivileged = params.get("unprivileged").map_or(by_default, |v| v == "1");
    let storage = params.get("storage").cloned().unwrap_or_else(|| "local".to_owned());
    if !params.contains_key("rootfs") {
        params.insert("rootfs".to_owned(), format!("{storage}:4"));
    }
    for (key, value) in params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())) {
        root_only(caller, unprivileged, key, Some(value), None)?;
        let any_of = privileges(key);
        let path = format!("/vms/{vmid}");
        let by_pool = pool.as_deref().is_some_and(|pool| world.may(caller, &format!("/pool/{pool}"), any_of));
        if !by_pool {
            need(world, caller, &path, any_of)?;
        }
        if is_mount(key) {
            disks::check(world, caller, value, false)?;
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            access::may_use_bridge(world, caller, bridge)?;
        }
    }
    let template = call.values.text("ostemplate");
    match split_volid(template) {
        Some((storage, _)) if world.storages.contains_key(storage) => {
            let reads = ["Datastore.Audit", "Datastore.AllocateSpace"];
            need(world, caller, &format!("/storage/{storage}"), &reads)?;
        }
        Some((storage, _)) => return Err(format!("storage '{storage}' does not exist").into()),
        None if caller.is_root_pam() => return Err(format!("unable to parse volume ID '{template}'").into()),
        None => return Err(disks::ROOT_ONLY_PATH.into()),
    }
    check_devices(world, &node, &params)?;
    if let Some(existing) = world.guests.get(&vmid) {
        return Err(format!("{} {vmid} already exists on node '{}'", existing.kind.noun(), existing.node).into());
    }
    let size = world.volume(&node, template).map_or(0, |v| v.size);
    params.insert("unprivileged".to_owned(), u8::from(unprivileged).to_string());
    let reserved = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    let mut guest = Guest::new(GuestKind::Lxc, &node, reserved);
    guest.reported_ms = status::next_report(call.world);
    call.world.guests.insert(vmid, guest);
    access::join_pool(call.world, vmid, pool.as_deref());
    params.remove("password");
    let real_ms = 3000 + i64::try_from(size / 20_000).unwrap_or(i64::MAX / 1000);
    Ok(call.spawn("vzcreate", &vmid.to_string(), real_ms, Work::Create { vmid, params }))
}
