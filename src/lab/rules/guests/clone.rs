//! `POST …/clone`: what is refused at once, and the worker for the rest.

use std::collections::BTreeMap;

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::formats as f;
use crate::lab::rules::guest::access;
use crate::lab::rules::guest::features::{Feature, of_volume};
use crate::lab::rules::guest::status::{locked, next_report};
use crate::lab::rules::guest::volumes::volumes;
use crate::lab::rules::param::{Kind, Param, optional as o, required};
use crate::lab::rules::tables::SNAPSHOT_NAME;
use crate::lab::rules::work::begin;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::{Properties, indexed};
use crate::lab::world::{Guest, GuestKind, Work, World, split_volid};
use crate::ports::Method::Post;

const CLONE: &[Param] = &[
    required("newid", Kind::Vmid),
    o("description", Kind::Text),
    o("full", Kind::Bool),
    o("pool", Kind::Format(f::pool_id)),
    o("snapname", SNAPSHOT_NAME),
    o("storage", Kind::Format(f::storage_id)),
    o("target", Kind::Format(f::node)),
];
const QEMU: &[Param] = &[
    o("bwlimit", Kind::Int { min: Some(0), max: None }),
    o("format", Kind::Enum(&["raw", "qcow2", "vmdk"])),
    o("name", Kind::Format(f::dns_name)),
];
const LXC: &[Param] =
    &[o("bwlimit", Kind::Number { min: Some(0), max: None }), o("hostname", Kind::Format(f::dns_name))];
const MAY: Access = Every("/vms/{vmid}", &["VM.Clone"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/clone", &[CLONE, QEMU], MAY, clone),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/clone", &[CLONE, LXC], MAY, clone),
];

fn clone(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid, node) = (call.kind(), call.vmid(), call.node());
    let mut params = call.values.plain();
    let newid: u32 = call.values.text("newid").parse().unwrap_or_default();
    let pool = params.get("pool").cloned();
    access::may_create(call, newid, pool.as_deref())?;
    let target = params.get("target").filter(|t| **t != node && *t != "localhost").cloned();
    if target.is_none() {
        params.remove("target");
    }
    check_places(call.world, &node, kind, target.as_deref(), params.get("storage").map(String::as_str))?;
    let guest = call.guest(kind)?;
    locked(guest)?;
    let taken = call.world.guests.get(&newid);
    if let Some(taken) = taken.filter(|_| kind == GuestKind::Lxc) {
        return Err(format!("{} {newid} already exists on node '{}'", taken.kind.noun(), taken.node).into());
    }
    let source = check_source(call, guest, &params)?;
    let full = params.contains_key("full").then(|| call.values.flag("full"));
    let full = full.unwrap_or_else(|| guest.number("template", 0) != 1);
    let local = check_volumes(call, &source, &params, full)?;
    if let Some(target) = target.filter(|_| local) {
        let noun = kind.noun();
        return Err(format!("can't clone {noun} to node '{target}' ({noun} uses local storage)").into());
    }
    if taken.is_some() {
        return Err(format!("unable to create VM {newid}: config file already exists").into());
    }
    let copied: u64 = if full { sizes(call.world, &source) } else { 0 };
    params.insert("full".to_owned(), u8::from(full).to_string());
    let mut new = Guest::new(kind, &node, BTreeMap::new());
    new.reported_ms = next_report(call.world);
    call.world.guests.insert(newid, new);
    let task = if kind == GuestKind::Qemu { "qmclone" } else { "vzclone" };
    let real_ms = 1500 + i64::try_from(copied / 200_000).unwrap_or(i64::MAX / 1000);
    let answer = call.spawn(task, &vmid.to_string(), real_ms, Work::Clone { vmid, newid, params });
    begin(call.world);
    Ok(answer)
}

fn sizes(world: &World, guest: &Guest) -> u64 {
    volumes(guest).iter().filter_map(|(_, volid)| world.volume(&guest.node, volid)).map(|v| v.used).sum()
}

/// Whether the node and the storage that are named are there.
fn check_places(
    world: &World,
    node: &str,
    kind: GuestKind,
    target: Option<&str>,
    storage: Option<&str>,
) -> Result<(), Refusal> {
    if let Some(target) = target.filter(|target| !world.nodes.contains_key(*target)) {
        return Err(format!("no such cluster node '{target}'").into());
    }
    let Some(storage) = storage else { return Ok(()) };
    access::storage_enabled(world, node, storage)?;
    let entry = &world.storages[storage];
    if kind == GuestKind::Qemu && !entry.content.contains("images") {
        return Err(Refusal::param("storage", format!("storage '{storage}' does not support vm images")));
    }
    if let Some(target) = target {
        access::storage_enabled(world, target, storage)?;
        if !entry.is_shared() {
            return Err(format!("can't clone to non-shared storage '{storage}'").into());
        }
    }
    Ok(())
}

/// The guest as it is to be copied: as it is now, or as it was at a snapshot.
fn check_source(call: &Call<'_>, guest: &Guest, params: &BTreeMap<String, String>) -> Result<Guest, Refusal> {
    let mut source = guest.clone();
    if let Some(name) = params.get("snapname") {
        let found = guest.snapshots.get(name).ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        source.config = found.config.clone();
    }
    let template = guest.number("template", 0) == 1;
    let full = call.values.get("full").map_or(!template, |full| full == "1");
    if let Some(name) = ["storage", "format"].iter().find(|name| !full && params.contains_key(**name)) {
        return Err(format!("parameter '{name}' not allowed for linked clones").into());
    }
    Ok(source)
}

/// Whether the volumes can be copied or linked by this caller; whether one of them is local to its node.
fn check_volumes(
    call: &Call<'_>,
    source: &Guest,
    params: &BTreeMap<String, String>,
    full: bool,
) -> Result<bool, Refusal> {
    let snapshot = params.get("snapname").map(String::as_str);
    let running = source.is_running() && snapshot.is_none();
    let mut local = false;
    for (key, volid) in volumes(source) {
        let Some((own, _)) = split_volid(&volid) else {
            let kind = if volid.starts_with("/dev/") { "device" } else { "bind" };
            return Err(match source.kind {
                GuestKind::Lxc => format!("unable to clone mountpoint '{key}' (type {kind})").into(),
                GuestKind::Qemu => format!("can't clone disk '{key}' ({volid})").into(),
            });
        };
        let storage = params.get("storage").map_or(own, String::as_str);
        local |= !call.world.storages.get(storage).is_some_and(crate::lab::world::Storage::is_shared);
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        let whole = full || key == "tpmstate0" || volid.contains("-cloudinit");
        if full && running && source.kind == GuestKind::Lxc {
            return Err("Full clone of a running container is only possible from a snapshot".into());
        }
        if full && running && key == "tpmstate0" {
            return Err("cannot clone TPM state while VM is running".into());
        }
        let feature = if whole { Feature::Copy } else { Feature::Clone };
        if !of_volume(call.world, source, &volid, feature, snapshot) {
            let of = if snapshot.is_some() { " a snapshot of" } else { "" };
            return Err(match source.kind {
                GuestKind::Lxc => format!("Linked clone feature for '{volid}' is not available").into(),
                GuestKind::Qemu => {
                    let how = if whole { "Full" } else { "Linked" };
                    format!("{how} clone feature is not supported for{of} '{volid}' ({key})").into()
                }
            });
        }
    }
    for (_, value) in source.config.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "net")) {
        if let Some(bridge) = Properties::parse(value).get("bridge") {
            access::may_use_bridge(call.world, call.caller, bridge)?;
        }
    }
    Ok(local)
}
