//! `POST /nodes/N/vzdump`: which guests are backed up, and the worker that does it.

use crate::lab::rules::endpoint::Access::All;
use crate::lab::rules::formats as f;
use crate::lab::rules::param::{Kind, Param, optional as o, until_8};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal, split_list};
use crate::lab::world::Work;
use crate::ports::Method::Post;

const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const ANY_INT: Kind = Kind::Int { min: None, max: None };

fn no_space(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

const BACKUP: &[Param] = &[
    o("all", Kind::Bool),
    o("bwlimit", FROM_0),
    o("compress", Kind::Enum(&["0", "1", "gzip", "lzo", "zstd"])),
    o("dumpdir", Kind::Text),
    o("exclude", Kind::Format(f::vmids)),
    o("ionice", Kind::Int { min: Some(0), max: Some(8) }),
    o("job-id", Kind::ShortPattern(no_space, 0, 50)),
    o("lockwait", FROM_0),
    o("mailnotification", Kind::Enum(&["always", "failure"])),
    until_8("maxfiles", Kind::Int { min: Some(1), max: None }),
    o("mode", Kind::Enum(&["snapshot", "suspend", "stop"])),
    o("notes-template", Kind::Short { min: 0, max: 1024 }),
    o("notification-mode", Kind::Enum(&["auto", "legacy-sendmail", "notification-system"])),
    o("pbs-change-detection-mode", Kind::Enum(&["legacy", "data", "metadata"])),
    o("pigz", ANY_INT),
    o("pool", Kind::Text),
    o("protected", Kind::Bool),
    o("quiet", Kind::Bool),
    o("remove", Kind::Bool),
    o("script", Kind::Text),
    o("stdexcludes", Kind::Bool),
    o("stdout", Kind::Bool),
    o("stop", Kind::Bool),
    o("stopwait", FROM_0),
    o("storage", Kind::Format(f::storage_id)),
    o("tmpdir", Kind::Text),
    o("vmid", Kind::Format(f::vmids)),
    o("zstd", ANY_INT),
];

/// The row.
pub const ROWS: &[Endpoint] = &[Endpoint::new(Post, "/nodes/{node}/vzdump", &[BACKUP], All, backup)];

fn backup(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, params) = (call.node(), call.values.plain());
    if params.contains_key("stdout") {
        return Err(Refusal::param("stdout", "option is only allowed on the command line interface."));
    }
    for name in ["dumpdir", "job-id", "script", "tmpdir"] {
        if params.contains_key(name) && !call.caller.is_root_pam() {
            return Err(Refusal::param(name, "Only root may set this option."));
        }
    }
    if ["bwlimit", "ionice"].iter().any(|name| params.contains_key(*name)) {
        call.need("/", &["Sys.Modify"])?;
    }
    for name in ["notes-template", "protected"] {
        if params.contains_key(name) && !params.contains_key("storage") {
            return Err(Refusal::param(name, "missing property - 'storage' requires this property"));
        }
    }
    let named: Vec<u32> = split_list(call.values.text("vmid")).filter_map(|id| id.parse().ok()).collect();
    let all = call.values.flag("all");
    let pool = params.get("pool");
    if named.is_empty() && !all && pool.is_none() && !call.values.flag("stop") {
        return Err(Refusal::param("vmid", "property is missing and it is not optional"));
    }
    if !named.is_empty() && all {
        return Err(Refusal::param("all", "you cannot specify all and vmid at the same time"));
    }
    let excluded: Vec<u32> = split_list(call.values.text("exclude")).filter_map(|id| id.parse().ok()).collect();
    let here = |vmid: &u32| call.world.guests.get(vmid).is_none_or(|guest| guest.node == node);
    let mut vmids: Vec<u32> = match pool {
        Some(pool) => {
            let pool = call.world.pools.get(pool).ok_or_else(|| format!("pool '{pool}' does not exist"))?;
            pool.guests.iter().copied().collect()
        }
        None if all => call.world.guests.keys().copied().collect(),
        None => named,
    };
    vmids.retain(|vmid| here(vmid) && !excluded.contains(vmid));
    // Guests of other nodes are left to those: nothing to do is no error.
    if vmids.is_empty() && !all {
        return Ok("OK".to_owned().into());
    }
    if let Some(storage) = params.get("storage") {
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    let id = if let [one] = vmids[..] { one.to_string() } else { String::new() };
    let space: u64 = vmids
        .iter()
        .filter_map(|vmid| call.world.guests.get(vmid))
        .map(|guest| {
            let volumes = crate::lab::rules::guest::volumes::volumes(guest);
            volumes.iter().filter_map(|(_, volid)| call.world.volume(&node, volid)).map(|v| v.used).sum::<u64>()
        })
        .sum();
    let real_ms = 3000 + i64::try_from(space / 100_000).unwrap_or(i64::MAX / 1000);
    Ok(call.spawn("vzdump", &id, real_ms, Work::Backup { vmids, all, params }))
}
