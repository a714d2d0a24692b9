//! `/cluster/backup`: backups that are to be made from time to time. Nothing in the lab makes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::endpoint::Access::Every;
use super::param::{Kind, Param, optional as o, until_8, until_9_1};
use super::{Answer, Call, Endpoint, Refusal, formats as f, schedule};
use crate::ports::Method::{Delete, Get, Post, Put};

const ID: &[Param] = &[o("id", Kind::Format(f::config_id))];
const JOB: &[Param] = &[
    o("all", Kind::Bool),
    o("bwlimit", Kind::Int { min: Some(0), max: None }),
    o("comment", Kind::Short { min: 0, max: 512 }),
    o("compress", Kind::Enum(&["0", "1", "gzip", "lzo", "zstd"])),
    o("dow", Kind::Text),
    o("dumpdir", Kind::Text),
    o("enabled", Kind::Bool),
    o("exclude", Kind::List(f::vmids)),
    o("exclude-path", Kind::Many(&Kind::Text)),
    o("fleecing", Kind::Text),
    o("ionice", Kind::Int { min: Some(0), max: Some(8) }),
    o("lockwait", Kind::Int { min: Some(0), max: None }),
    o("mailnotification", Kind::Enum(&["always", "failure"])),
    o("mailto", Kind::Text),
    until_9_1("maxfiles", Kind::Int { min: Some(1), max: None }),
    o("mode", Kind::Enum(&["snapshot", "suspend", "stop"])),
    o("node", Kind::Format(f::node)),
    o("notes-template", Kind::Short { min: 0, max: 1024 }),
    o("notification-mode", Kind::Enum(&["auto", "legacy-sendmail", "notification-system"])),
    until_8("notification-policy", Kind::Enum(&["always", "failure", "never"])),
    until_8("notification-target", Kind::Format(f::config_id)),
    o("pbs-change-detection-mode", Kind::Enum(&["legacy", "data", "metadata"])),
    o("performance", Kind::Text),
    o("pigz", Kind::Int { min: None, max: None }),
    o("pool", Kind::Text),
    o("protected", Kind::Bool),
    o("prune-backups", Kind::Text),
    o("quiet", Kind::Bool),
    o("remove", Kind::Bool),
    o("repeat-missed", Kind::Bool),
    o("schedule", Kind::Short { min: 0, max: 128 }),
    o("script", Kind::Text),
    o("starttime", Kind::Text),
    o("stdexcludes", Kind::Bool),
    o("stop", Kind::Bool),
    o("stopwait", Kind::Int { min: Some(0), max: None }),
    o("storage", Kind::Format(f::storage_id)),
    o("tmpdir", Kind::Text),
    o("vmid", Kind::List(f::vmids)),
    o("zstd", Kind::Int { min: None, max: None }),
];
const DROP: &[Param] = &[o("delete", Kind::List(f::config_ids))];
const AUDIT: super::Access = Every("/", &["Sys.Audit"]);
const MODIFY: super::Access = Every("/", &["Sys.Modify"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/backup", &[], AUDIT, list),
    Endpoint::new(Post, "/cluster/backup", &[ID, JOB], MODIFY, create),
    Endpoint::new(Get, "/cluster/backup/{id}", &[], AUDIT, get),
    Endpoint::new(Put, "/cluster/backup/{id}", &[JOB, DROP], MODIFY, update),
    Endpoint::new(Delete, "/cluster/backup/{id}", &[], MODIFY, delete),
    Endpoint::new(Get, "/cluster/backup-info/not-backed-up", &[], AUDIT, left_out),
];

/// Options that PVE gives back as numbers.
const NUMBERS: &[&str] = &[
    "all",
    "bwlimit",
    "enabled",
    "ionice",
    "lockwait",
    "maxfiles",
    "pigz",
    "protected",
    "quiet",
    "remove",
    "repeat-missed",
    "stdexcludes",
    "stop",
    "stopwait",
    "zstd",
];

fn shown(id: &str, job: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut row = Map::from_iter([("id".to_owned(), json!(id)), ("type".to_owned(), json!("vzdump"))]);
    for (key, value) in job {
        let number = value.parse::<i64>().ok().filter(|_| NUMBERS.contains(&key.as_str()));
        row.insert(key.clone(), number.map_or_else(|| json!(value), |n| json!(n)));
    }
    row
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let now = call.world.now();
    let rows = call.world.backup_jobs.iter().map(|(id, job)| {
        let mut row = shown(id, job);
        let next = job.get("schedule").and_then(|s| schedule::next(s, now));
        if let Some(next) = next.filter(|_| job.get("enabled").is_none_or(|e| e == "1")) {
            row.insert("next-run".to_owned(), json!(next));
        }
        Value::Object(row)
    });
    Ok(Value::Array(rows.collect()).into())
}

fn missing(id: &str) -> Refusal {
    Refusal::param("id", format!("No such job '{id}'"))
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id");
    let job = call.world.backup_jobs.get(id).ok_or_else(|| missing(id))?;
    Ok(Value::Object(shown(id, job)).into())
}

/// What is to be backed up has to be said in one way.
fn check(call: &Call<'_>, job: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let all = job.get("all").is_some_and(|a| a == "1");
    let conflict = |key: &str, with: &str| Refusal::param(key, format!("option conflicts with option '{with}'"));
    match (all, job.contains_key("vmid"), job.contains_key("pool")) {
        (true, true, _) => Err(conflict("all", "vmid")),
        (true, _, true) => Err(conflict("all", "pool")),
        (_, true, true) => Err(conflict("pool", "vmid")),
        (false, false, false) => Err(Refusal::param("vmid", "property is missing")),
        _ => Ok(()),
    }?;
    for key in ["tmpdir", "dumpdir", "script"] {
        if job.contains_key(key) && !call.caller.is_root_pam() {
            return Err(Refusal::param(key, "Only root may set this option."));
        }
    }
    if let Some(storage) = job.get("storage").filter(|id| !call.world.storages.contains_key(*id)) {
        return Err(format!("storage '{storage}' does not exist").into());
    }
    if let Some(text) = job.get("schedule").filter(|text| schedule::parse(text).is_none()) {
        let why = format!("invalid format - unable to parse calendar event '{text}'\n");
        return Err(Refusal::param("schedule", why));
    }
    Ok(())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut job = call.values.plain();
    if job.contains_key("exclude") {
        job.insert("all".to_owned(), "1".to_owned());
    }
    // Times of old: a start time and days become a schedule.
    if let Some(time) = job.remove("starttime") {
        let days = job.remove("dow").map(|days| format!("{days} ")).unwrap_or_default();
        job.entry("schedule".to_owned()).or_insert_with(|| format!("{days}{time}"));
    }
    if !job.contains_key("schedule") {
        return Err(Refusal::param("schedule", "neither schedule nor starttime were set"));
    }
    check(call, &job)?;
    job.entry("enabled".to_owned()).or_insert_with(|| "1".to_owned());
    let id = job.remove("id").unwrap_or_else(|| {
        let uuid = call.world.next_uuid();
        format!("backup-{}", &uuid[..13])
    });
    if call.world.backup_jobs.contains_key(&id) {
        return Err(format!("Job '{id}' already exists").into());
    }
    call.world.backup_jobs.insert(id, job);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id").to_owned();
    let mut job = call.world.backup_jobs.get(&id).cloned().ok_or_else(|| missing(&id))?;
    let mut given = call.values.plain();
    for key in f::split_list(&given.remove("delete").unwrap_or_default()) {
        job.remove(key);
    }
    for key in ["vmid", "pool", "all"] {
        if given.contains_key(key) {
            for other in ["vmid", "pool", "all", "exclude"].iter().filter(|other| **other != key) {
                job.remove(*other);
            }
        }
    }
    job.extend(given);
    check(call, &job)?;
    call.world.backup_jobs.insert(id, job);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("id").to_owned();
    match call.world.backup_jobs.remove(&id) {
        Some(_) => Ok(().into()),
        None => Err(missing(&id)),
    }
}

fn left_out(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &*call.world;
    let covers = |job: &BTreeMap<String, String>, vmid: u32| {
        let lists = |key: &str| job.get(key).is_some_and(|l| f::split_list(l).any(|id| id == vmid.to_string()));
        let pool = job.get("pool").is_some_and(|pool| world.pool_of(vmid) == Some(pool));
        lists("vmid") || pool || (job.get("all").is_some_and(|a| a == "1") && !lists("exclude"))
    };
    let bare = world.guests.iter().filter(|(vmid, _)| !world.backup_jobs.values().any(|job| covers(job, **vmid)));
    let rows = bare.map(|(vmid, guest)| json!({"vmid": vmid, "name": guest.name(*vmid), "type": guest.kind.as_str()}));
    Ok(Value::Array(rows.collect()).into())
}
