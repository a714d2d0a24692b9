//! `POST /nodes/N/qemu`: what is refused at once, and the worker for the rest.

use std::collections::BTreeMap;

use crate::lab::rules::endpoint::Access::All;
use crate::lab::rules::guest::qemu_keys::{NOT_CONFIG, check_keys};
use crate::lab::rules::guest::{access, config, disks, status};
use crate::lab::rules::tables::{QEMU_CONFIG, QEMU_CREATE};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::{Properties, is_disk};
use crate::lab::world::{Guest, GuestKind, Work};
use crate::ports::Method::Post;

/// The row.
pub const ROWS: &[Endpoint] = &[Endpoint::new(Post, "/nodes/{node}/qemu", &[QEMU_CREATE, QEMU_CONFIG], All, create)];

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let params = call.values.plain();
    let vmid: u32 = call.values.text("vmid").parse().unwrap_or_default();
    let pool = call.values.get("pool").map(str::to_owned);
    access::may_create(call, vmid, pool.as_deref())?;
    let settings: Vec<(String, String)> =
        params.iter().filter(|(k, _)| !NOT_CONFIG.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(keys) = params.get("sshkeys") {
        config::check_ssh_keys(&percent_encoding::percent_decode_str(keys).decode_utf8_lossy())?;
    }
    for (_, value) in settings.iter().filter(|(k, _)| is_disk(k)) {
        disks::check(call.world, call.caller, value, true)?;
    }
    check_keys(call.world, call.caller, vmid, pool.as_deref(), &settings)?;
    if let Some(existing) = call.world.guests.get(&vmid) {
        let text = format!(
            "unable to create VM {vmid} - {} {vmid} already exists on node '{}'",
            existing.kind.noun(),
            existing.node
        );
        return Err(text.into());
    }
    // The id is taken at once: a configuration that holds nothing but the lock.
    let reserved = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
    let mut guest = Guest::new(GuestKind::Qemu, &node, reserved);
    guest.reported_ms = status::next_report(call.world);
    call.world.guests.insert(vmid, guest);
    access::join_pool(call.world, vmid, pool.as_deref());
    let imported: u64 = settings
        .iter()
        .filter_map(|(_, v)| call.world.volume(&node, Properties::parse(v).get("import-from")?))
        .map(|v| v.virtual_size.unwrap_or(v.size))
        .sum();
    let real_ms = 1500 + i64::try_from(imported / 500_000).unwrap_or(i64::MAX / 1000);
    Ok(call.spawn("qmcreate", &vmid.to_string(), real_ms, Work::Create { vmid, params }))
}
