//! `/storage`: the sections of `storage.cfg`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::super::world::{Storage, StorageKind, conf};
use super::super::endpoint::Access::{All, Every};
use super::super::{Answer, Call, Endpoint, Refusal, formats as f};
use super::options::{self, Options};
use super::{LOOK, missing, params};
use crate::ports::Method::{Delete, Get, Post, Put};

const ALLOCATE: super::super::Access = Every("/storage", &["Datastore.Allocate"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/storage", &[params::BY_TYPE], All, list),
    Endpoint::new(Post, "/storage", &[params::CREATE, params::COMMON], ALLOCATE, create),
    Endpoint::new(Get, "/storage/{storage}", &[], Every("/storage/{storage}", &["Datastore.Allocate"]), get),
    Endpoint::new(Put, "/storage/{storage}", &[params::UPDATE, params::COMMON], ALLOCATE, update),
    Endpoint::new(Delete, "/storage/{storage}", &[], ALLOCATE, delete),
];

fn shown(call: &Call<'_>, id: &str, storage: &Storage) -> Value {
    let mut row = json!({
        "storage": id, "type": storage.type_name(), "content": storage.content_list(),
        "digest": conf::digest(&conf::storages(call.world)),
    });
    for (key, value) in conf::storage_keys(storage) {
        row[key] = json!(value);
    }
    for (key, value) in &storage.options {
        let number = value.parse::<i64>().ok().filter(|_| options::NUMBERS.contains(&key.as_str()));
        row[key] = number.map_or_else(|| json!(value), |n| json!(n));
    }
    if matches!(storage.kind, StorageKind::ZfsPool { sparse: true, .. }) {
        row["sparse"] = json!(1);
    }
    if storage.share().is_some() {
        row["shared"] = json!(1);
    }
    if !storage.nodes.is_empty() {
        row["nodes"] = json!(storage.nodes.iter().cloned().collect::<Vec<_>>().join(","));
    }
    if storage.disabled {
        row["disable"] = json!(1);
    }
    if storage.assumed {
        row["priority"] = json!(0);
    }
    row
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let wanted = call.values.get("type");
    let visible = call.world.storages.iter().filter(|(id, storage)| {
        wanted.is_none_or(|w| w == storage.type_name()) && call.world.may(call.caller, &format!("/storage/{id}"), LOOK)
    });
    Ok(Value::Array(visible.map(|(id, storage)| shown(call, id, storage)).collect()).into())
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| missing(id))?;
    Ok(shown(call, id, storage).into())
}

/// What a section would be after these settings; nothing that is not of its type is taken.
fn apply(storage: &mut Storage, options: &Options, given: &BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in given {
        match key.as_str() {
            "content" => storage.content = contents(options, value)?,
            "nodes" => storage.nodes = f::split_list(value).map(str::to_owned).collect(),
            "disable" => storage.disabled = value == "1",
            "sparse" => {
                if let StorageKind::ZfsPool { sparse, .. } = &mut storage.kind {
                    *sparse = value == "1";
                }
            }
            key if options.is_fixed(key) || options::SENSITIVE.contains(&key) => {}
            _ => {
                storage.options.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(())
}

/// Content types that do not fit are dropped with a warning that nobody sees; what is left must not be nothing.
fn contents(options: &Options, text: &str) -> Result<BTreeSet<String>, String> {
    let mut found: BTreeSet<String> =
        f::split_list(text).filter(|c| options.contents.contains(c)).map(str::to_owned).collect();
    if found.contains("none") && found.len() > 1 {
        return Err("unable to combine 'none' with other content types".to_owned());
    }
    if found.is_empty() && !options.contents.contains(&"none") {
        return Err("storage does not support content type 'none'".to_owned());
    }
    found.remove("none");
    Ok(found)
}

fn kind_of(id: &str, kind: &str, given: &BTreeMap<String, String>) -> StorageKind {
    let text = |key: &str| given.get(key).cloned().unwrap_or_default();
    let path = || given.get("path").cloned().unwrap_or_else(|| format!("/mnt/pve/{id}"));
    match kind {
        "zfspool" => StorageKind::ZfsPool { pool: text("pool"), sparse: false },
        "lvm" => StorageKind::Lvm { vgname: text("vgname") },
        "lvmthin" => StorageKind::LvmThin { vgname: text("vgname"), thinpool: text("thinpool") },
        "nfs" => StorageKind::Nfs { server: text("server"), export: text("export"), path: path() },
        "cifs" => StorageKind::Cifs { server: text("server"), share: text("share"), path: path() },
        "pbs" => StorageKind::Pbs { server: text("server"), datastore: text("datastore") },
        _ => StorageKind::Dir { path: path(), size: None },
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut given = call.values.plain();
    let (id, kind) = (given.remove("storage").unwrap_or_default(), given.remove("type").unwrap_or_default());
    let fail = |text: &str| Refusal::failed(format!("create storage failed: {text}"));
    // PVE leaves an empty list of nodes out.
    given.retain(|key, value| key != "nodes" || !value.is_empty());
    let Some(options) = options::of(&kind) else {
        // The lab has nothing of the kind that could be reached.
        return Err(fail(&format!("storage '{id}' is not online")));
    };
    if let Some(key) = given.keys().find(|key| !options.knows(key)) {
        return Err(format!("unexpected property '{key}'").into());
    }
    if let Some(key) = options.fixed.iter().find(|key| !given.contains_key(**key)) {
        return Err(format!("missing value for required option '{key}'").into());
    }
    let mut storage = Storage::new(kind_of(&id, &kind, &given), options.usual);
    apply(&mut storage, options, &given)?;
    if let StorageKind::Dir { path, .. } = &storage.kind
        && !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-/_.@".contains(&b))
    {
        return Err(format!("illegal path for directory storage: {path}").into());
    }
    if call.world.storages.contains_key(&id) {
        return Err(fail(&format!("storage ID '{id}' already defined")));
    }
    let here = call.world.nodes.keys().next().cloned().unwrap_or_default();
    if let (StorageKind::ZfsPool { pool, .. }, Some(host)) = (&storage.kind, call.world.nodes.get(&here))
        && let Some(at) = host.zfs.get(pool, "mountpoint").filter(|at| at.starts_with('/'))
    {
        storage.options.entry("mountpoint".to_owned()).or_insert(at);
    }
    if !storage.disabled
        && storage.serves(&here)
        && let Some(why) = call.world.inactive(&here, &id, &storage)
    {
        return Err(fail(&why));
    }
    let mut answer = json!({"storage": id, "type": kind});
    if kind == "pbs" {
        answer["config"] = json!({});
    }
    call.world.storages.insert(id, storage);
    written(call);
    Ok(answer.into())
}

/// Once the file is written, what was assumed stands in it.
fn written(call: &mut Call<'_>) {
    for storage in call.world.storages.values_mut() {
        storage.assumed = false;
    }
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage").to_owned();
    let fail = |text: &str| Refusal::failed(format!("update storage failed: {text}"));
    let mut given = call.values.plain();
    let (digest, delete) = (given.remove("digest"), given.remove("delete").unwrap_or_default());
    if digest.is_some_and(|digest| digest != conf::digest(&conf::storages(call.world))) {
        return Err(fail("detected modified configuration - file changed by other user? Try again."));
    }
    let storage = call.world.storages.get(&id).ok_or_else(|| fail(&format!("storage '{id}' does not exist")))?;
    let mut storage = storage.clone();
    let Some(options) = options::of(storage.type_name()) else { return Err(missing(&id)) };
    for key in given.keys() {
        if options.is_fixed(key) {
            return Err(fail(&format!("can't change value of fixed parameter '{key}'")));
        }
        if !options.knows(key) {
            return Err(fail(&format!("unexpected property '{key}'")));
        }
    }
    apply(&mut storage, options, &given).map_err(|text| fail(&text))?;
    for key in f::split_list(&delete) {
        let text = match key {
            key if options.fixed.contains(&key) => format!("unable to delete required option '{key}'"),
            key if options.is_fixed(key) => format!("unable to delete fixed option '{key}'"),
            key if !options.knows(key) => format!("no such option '{key}'"),
            key if given.contains_key(key) => format!("cannot set and delete property '{key}' at the same time!"),
            _ => continue,
        };
        return Err(fail(&text));
    }
    for key in f::split_list(&delete) {
        match key {
            "content" => storage.content = options.usual.iter().map(|c| (*c).to_owned()).collect(),
            "nodes" => storage.nodes.clear(),
            "disable" => storage.disabled = false,
            "sparse" => {
                if let StorageKind::ZfsPool { sparse, .. } = &mut storage.kind {
                    *sparse = false;
                }
            }
            _ => {
                storage.options.remove(key);
            }
        }
    }
    let answer = json!({"storage": id, "type": storage.type_name()});
    call.world.storages.insert(id, storage);
    written(call);
    Ok(answer.into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage").to_owned();
    let fail = |text: String| Refusal::failed(format!("delete storage failed: {text}"));
    if !call.world.storages.contains_key(&id) {
        return Err(fail(format!("storage '{id}' does not exist")));
    }
    let based = |s: &Storage| s.options.get("base").is_some_and(|b| b.starts_with(&format!("{id}:")));
    if call.world.storages.values().any(based) {
        return Err(fail("can't remove storage - storage is used as base of another storage".to_owned()));
    }
    // That guests use it is no obstacle (9.2.11). What is on it stays where it is.
    call.world.storages.remove(&id);
    written(call);
    if id == "local" {
        // There is always one: without its section PVE assumes it.
        call.world.storages.insert(id.clone(), Storage::assumed_local());
    }
    let path = format!("/storage/{id}");
    call.world.access.acls.retain(|acl| acl.path != path);
    Ok(().into())
}
