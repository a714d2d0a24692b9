//! `/cluster/ha`: resources, groups (PVE 8) and rules (PVE 9). The lab keeps them and moves nothing by itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::world::{GuestKind, Version, World, conf};
use super::endpoint::Access::Every;
use super::param::{Kind, Param, optional as o, required, since_9};
use super::tables::DIGEST_64;
use super::{Answer, Call, Endpoint, Refusal, formats as f};
use crate::ports::Method::{Delete, Get, Post, Put};

const SHORT: Kind = Kind::Short { min: 0, max: 4096 };
const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const TYPE: &[Param] = &[o("type", Kind::Enum(&["ct", "vm"]))];
const RESOURCE: &[Param] = &[
    o("comment", SHORT),
    since_9("failback", Kind::Bool),
    o("group", Kind::Format(f::config_id)),
    o("max_relocate", FROM_0),
    o("max_restart", FROM_0),
    o("state", Kind::Enum(&["started", "stopped", "enabled", "disabled", "ignored"])),
];
const SID: &[Param] = &[required("sid", Kind::Format(sid_format))];
const CHANGE: &[Param] = &[o("delete", SHORT), o("digest", DIGEST_64)];
const PURGE: &[Param] = &[since_9("purge", Kind::Bool)];
const GROUP: &[Param] = &[required("group", Kind::Format(f::config_id)), required("nodes", Kind::Text)];
const GROUP_MORE: &[Param] =
    &[o("comment", SHORT), o("nofailback", Kind::Bool), o("restricted", Kind::Bool), o("type", Kind::Enum(&["group"]))];
const GROUP_CHANGE: &[Param] =
    &[o("comment", SHORT), o("nodes", Kind::Text), o("nofailback", Kind::Bool), o("restricted", Kind::Bool)];
const RULES: &[Param] = &[o("resource", Kind::Text), o("type", Kind::Enum(&["node-affinity", "resource-affinity"]))];
const AUDIT: super::Access = Every("/", &["Sys.Audit"]);
const CONSOLE: super::Access = Every("/", &["Sys.Console"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/ha/resources", &[TYPE], AUDIT, resources),
    Endpoint::new(Post, "/cluster/ha/resources", &[SID, RESOURCE, TYPE], CONSOLE, add),
    Endpoint::new(Get, "/cluster/ha/resources/{sid}", &[], AUDIT, resource),
    Endpoint::new(Put, "/cluster/ha/resources/{sid}", &[RESOURCE, CHANGE], CONSOLE, change),
    Endpoint::new(Delete, "/cluster/ha/resources/{sid}", &[PURGE], CONSOLE, remove),
    Endpoint::new(Get, "/cluster/ha/groups", &[], AUDIT, groups),
    Endpoint::new(Post, "/cluster/ha/groups", &[GROUP, GROUP_MORE], CONSOLE, add_group),
    Endpoint::new(Get, "/cluster/ha/groups/{group}", &[], AUDIT, group),
    Endpoint::new(Put, "/cluster/ha/groups/{group}", &[GROUP_CHANGE, CHANGE], CONSOLE, change_group),
    Endpoint::new(Delete, "/cluster/ha/groups/{group}", &[], CONSOLE, remove_group),
    Endpoint::new(Get, "/cluster/ha/rules", &[RULES], AUDIT, rules).since_9(),
    Endpoint::new(Get, "/cluster/ha/rules/{rule}", &[], AUDIT, rule).since_9(),
    Endpoint::new(Delete, "/cluster/ha/rules/{rule}", &[], CONSOLE, remove_rule).since_9(),
    Endpoint::new(Get, "/cluster/ha/status/current", &[], AUDIT, status),
];

fn sid_format(text: &str) -> Result<(), String> {
    let number = text.strip_prefix("vm:").or_else(|| text.strip_prefix("ct:")).unwrap_or(text);
    let fits = number.len() > 2 && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    if fits { Ok(()) } else { Err(format!("value does not look like a valid resource ID '{text}'")) }
}

/// `vm:100` for `100` and itself; the type comes from the guest that is there.
fn parse(world: &World, text: &str) -> Result<(String, &'static str, u32), Refusal> {
    let (given, number) = text.split_once(':').map_or((None, text), |(kind, n)| (Some(kind), n));
    let vmid: u32 = number.parse().map_err(|_| format!("unable to parse service id '{text}'"))?;
    let found = world.guests.get(&vmid).map(|g| if g.kind == GuestKind::Qemu { "vm" } else { "ct" });
    let kind = match given {
        Some("vm") => "vm",
        Some("ct") => "ct",
        Some(_) => return Err(format!("unable to parse service id '{text}'").into()),
        None => found.ok_or_else(|| format!("unable to find type of VM/CT '{vmid}'"))?,
    };
    Ok((format!("{kind}:{vmid}"), kind, vmid))
}

fn file(entries: &BTreeMap<String, BTreeMap<String, String>>, head: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    for (id, options) in entries {
        out.push_str(&format!("{}\n", head(id)));
        options.iter().for_each(|(key, value)| out.push_str(&format!("\t{key} {value}\n")));
        out.push('\n');
    }
    out
}

fn digest(world: &World) -> String {
    conf::digest(&file(&world.ha.resources, |sid| sid.replacen(':', ": ", 1)))
}

fn group_digest(world: &World) -> String {
    conf::digest(&file(&world.ha.groups, |id| format!("group: {id}")))
}

fn row(options: &BTreeMap<String, String>) -> Map<String, Value> {
    let number = |key: &str| {
        matches!(key, "max_relocate" | "max_restart" | "failback" | "nofailback" | "restricted" | "strict" | "disable")
    };
    let value = |key: &str, text: &String| match text.parse::<i64>() {
        Ok(n) if number(key) => json!(n),
        _ => json!(text),
    };
    options.iter().map(|(key, text)| (key.clone(), value(key, text))).collect()
}

fn shown(world: &World, sid: &str, options: &BTreeMap<String, String>) -> Value {
    let mut row = row(options);
    row.insert("sid".to_owned(), json!(sid));
    row.insert("type".to_owned(), json!(sid.split(':').next()));
    row.insert("digest".to_owned(), json!(digest(world)));
    Value::Object(row)
}

fn resources(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let wanted = call.values.get("type");
    let fits = |sid: &str| wanted.is_none_or(|w| sid.starts_with(&format!("{w}:")));
    let found = call.world.ha.resources.iter().filter(|(sid, _)| fits(sid));
    Ok(Value::Array(found.map(|(sid, options)| shown(call.world, sid, options)).collect()).into())
}

fn resource(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (sid, _, _) = parse(call.world, call.var("sid"))?;
    let options = call.world.ha.resources.get(&sid).ok_or_else(|| format!("no such resource '{sid}'"))?;
    Ok(shown(call.world, &sid, options).into())
}

/// Groups are of PVE 8; 9 has made rules of them.
fn check_group(call: &Call<'_>, given: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let Some(group) = given.get("group") else { return Ok(()) };
    if call.world.version >= Version::V9_1 {
        return Err("invalid parameter 'group': ha groups have been migrated to rules".into());
    }
    if call.world.ha.groups.contains_key(group) {
        Ok(())
    } else {
        Err(format!("HA group '{group}' does not exist").into())
    }
}

fn add(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut given = call.values.plain();
    let (sid, kind, vmid) = parse(call.world, &given.remove("sid").unwrap_or_default())?;
    if given.remove("type").is_some_and(|other| other != kind) {
        return Err("types does not match".into());
    }
    let wanted = if kind == "vm" { GuestKind::Qemu } else { GuestKind::Lxc };
    if call.world.guests.get(&vmid).is_none_or(|g| g.kind != wanted) {
        return Err(format!("cannot add nonexistent resource '{sid}'").into());
    }
    check_group(call, &given)?;
    if call.world.ha.resources.contains_key(&sid) {
        return Err(format!("create resource failed: resource ID '{sid}' already defined").into());
    }
    call.world.ha.resources.insert(sid, given);
    Ok(().into())
}

fn changed(mut options: BTreeMap<String, String>, mut given: BTreeMap<String, String>) -> BTreeMap<String, String> {
    given.remove("digest");
    for key in f::split_list(&given.remove("delete").unwrap_or_default()) {
        options.remove(key);
    }
    options.extend(given);
    options
}

fn modified(prefix: &str) -> Refusal {
    Refusal::failed(format!(
        "{prefix} failed: detected modified configuration - file changed by other user? Try again."
    ))
}

fn change(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (sid, _, _) = parse(call.world, call.var("sid"))?;
    let given = call.values.plain();
    check_group(call, &given)?;
    if given.get("digest").is_some_and(|d| *d != digest(call.world)) {
        return Err(modified("update resource"));
    }
    let old = call.world.ha.resources.get(&sid).cloned();
    let old = old.ok_or_else(|| format!("update resource failed: no such resource '{sid}'"))?;
    call.world.ha.resources.insert(sid, changed(old, given));
    Ok(().into())
}

fn remove(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (sid, _, _) = parse(call.world, call.var("sid"))?;
    match call.world.ha.resources.remove(&sid) {
        Some(_) => Ok(().into()),
        None => Err(format!("cannot delete service '{sid}', not HA managed!").into()),
    }
}

/// What PVE 9 says to whoever asks for groups.
fn migrated(call: &Call<'_>, what: &str) -> Result<(), Refusal> {
    if call.world.version >= Version::V9_1 {
        return Err(format!("cannot {what}: ha groups have been migrated to rules").into());
    }
    Ok(())
}

fn shown_group(world: &World, id: &str, options: &BTreeMap<String, String>) -> Value {
    let mut row = row(options);
    row.insert("group".to_owned(), json!(id));
    row.insert("type".to_owned(), json!("group"));
    row.insert("digest".to_owned(), json!(group_digest(world)));
    Value::Object(row)
}

fn groups(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    migrated(call, "index groups")?;
    let all = call.world.ha.groups.iter();
    Ok(Value::Array(all.map(|(id, options)| shown_group(call.world, id, options)).collect()).into())
}

fn group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    migrated(call, "read group")?;
    let id = call.var("group");
    let options = call.world.ha.groups.get(id).ok_or_else(|| format!("no such ha group '{id}'"))?;
    Ok(shown_group(call.world, id, options).into())
}

fn add_group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    migrated(call, "create group")?;
    let mut given = call.values.plain();
    let id = given.remove("group").unwrap_or_default();
    given.remove("type");
    if call.world.ha.groups.contains_key(&id) {
        return Err(format!("create ha group failed: ha group ID '{id}' already defined").into());
    }
    call.world.ha.groups.insert(id, given);
    Ok(().into())
}

fn change_group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    migrated(call, "update group")?;
    let (id, given) = (call.var("group").to_owned(), call.values.plain());
    if given.get("digest").is_some_and(|d| *d != group_digest(call.world)) {
        return Err(modified("update ha group"));
    }
    let old = call.world.ha.groups.get(&id).cloned();
    let old = old.ok_or_else(|| format!("update ha group failed: no such ha group '{id}'"))?;
    call.world.ha.groups.insert(id, changed(old, given));
    Ok(().into())
}

fn remove_group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    migrated(call, "delete group")?;
    let id = call.var("group").to_owned();
    let user = call.world.ha.resources.iter().find(|(_, options)| options.get("group") == Some(&id));
    if let Some((sid, _)) = user {
        return Err(format!("delete ha group failed: ha group is used by service '{sid}'").into());
    }
    call.world.ha.groups.remove(&id);
    Ok(().into())
}

fn rule_digest(world: &World) -> String {
    let entries: BTreeMap<String, BTreeMap<String, String>> = world.ha.rules.iter().cloned().collect();
    conf::digest(&file(&entries, str::to_owned))
}

fn shown_rule(world: &World, at: usize) -> Value {
    let (id, options) = &world.ha.rules[at];
    let mut row = row(options);
    row.insert("rule".to_owned(), json!(id));
    row.insert("order".to_owned(), json!(at + 1));
    row.insert("digest".to_owned(), json!(rule_digest(world)));
    Value::Object(row)
}

fn rules(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, resource) = (call.values.get("type"), call.values.get("resource"));
    let fits = |options: &BTreeMap<String, String>| {
        let lists = |sid: &str| options.get("resources").is_some_and(|r| f::split_list(r).any(|x| x == sid));
        kind.is_none_or(|k| options.get("type").is_some_and(|t| t == k)) && resource.is_none_or(lists)
    };
    let found = call.world.ha.rules.iter().enumerate().filter(|(_, (_, options))| fits(options));
    Ok(Value::Array(found.map(|(at, _)| shown_rule(call.world, at)).collect()).into())
}

fn rule(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("rule");
    let at = call.world.ha.rules.iter().position(|(name, _)| name == id);
    Ok(shown_rule(call.world, at.ok_or_else(|| format!("no such ha rule '{id}'"))?).into())
}

fn remove_rule(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("rule").to_owned();
    // One that is not there is no error.
    call.world.ha.rules.retain(|(name, _)| *name != id);
    Ok(().into())
}

fn status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let quorate = !call.world.without_quorum;
    let text = if quorate { "OK" } else { "No quorum on node" };
    let node = call.world.nodes.keys().next().cloned().unwrap_or_default();
    Ok(json!([{
        "id": "quorum", "type": "quorum", "node": node, "status": text, "quorate": u8::from(quorate),
    }])
    .into())
}
