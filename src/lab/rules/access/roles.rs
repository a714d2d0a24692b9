//! `/access/roles`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::super::world::{built_in_roles, known_privileges};
use super::super::endpoint::Access::{All, Every};
use super::super::formats::split_list;
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks;
use crate::ports::Method::{Delete, Get, Post, Put};

const ID: &[Param] = &[required("roleid", Kind::Format(checks::role_format))];
const PRIVILEGES: &[Param] = &[o("privs", Kind::Text)];
const APPEND: &[Param] = &[o("append", Kind::Bool)];
const MODIFY: super::super::Access = Every("/access", &["Sys.Modify"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/roles", &[], All, list),
    Endpoint::new(Post, "/access/roles", &[ID, PRIVILEGES], MODIFY, create),
    Endpoint::new(Get, "/access/roles/{roleid}", &[], All, read),
    Endpoint::new(Put, "/access/roles/{roleid}", &[APPEND, PRIVILEGES], MODIFY, update),
    Endpoint::new(Delete, "/access/roles/{roleid}", &[], MODIFY, delete),
];

fn is_special(call: &Call<'_>, role: &str) -> bool {
    built_in_roles(call.world.version).contains_key(role)
}

/// Privileges are known by version: what 9 has dropped, 9 refuses.
fn privileges(call: &Call<'_>) -> Result<BTreeSet<String>, Refusal> {
    let known = known_privileges(call.world.version);
    let given: BTreeSet<String> = split_list(call.values.text("privs")).map(str::to_owned).collect();
    match given.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::param("privs", format!("invalid format - invalid privilege '{name}'\n"))),
        None => Ok(given),
    }
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let row = |id: &str, privileges: &BTreeSet<String>, special: u8| {
        let names: Vec<&str> = privileges.iter().map(String::as_str).collect();
        json!({"roleid": id, "privs": names.join(","), "special": special})
    };
    let built_in = built_in_roles(call.world.version);
    let mut rows: Vec<Value> = built_in.iter().map(|(id, privileges)| row(id, privileges, 1)).collect();
    rows.extend(call.world.access.roles.iter().map(|(id, privileges)| row(id, privileges, 0)));
    Ok(Value::Array(rows).into())
}

fn read(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("roleid");
    let role = call.world.role(id).ok_or_else(|| format!("role '{id}' does not exist"))?;
    Ok(Value::Object(role.into_iter().map(|name| (name, json!(1))).collect::<Map<_, _>>()).into())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let privileges = privileges(call)?;
    let id = call.values.text("roleid").to_owned();
    if id.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("PVE")) {
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Refusal::param("roleid", text));
    }
    if call.world.role(&id).is_some() {
        return Err(format!("create role failed: role '{id}' already exists").into());
    }
    call.world.access.roles.insert(id, privileges);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let privileges = privileges(call)?;
    let id = call.var("roleid").to_owned();
    if call.values.get("append").is_some() && call.values.get("privs").is_none() {
        return Err(Refusal::param("privs", "missing property - 'append' requires this property"));
    }
    if is_special(call, &id) {
        return Err(format!("auto-generated role '{id}' cannot be modified").into());
    }
    let append = call.values.flag("append");
    let role = call.world.access.roles.get_mut(&id);
    let role = role.ok_or_else(|| format!("update role failed: role '{id}' does not exist"))?;
    if !append {
        role.clear();
    }
    role.extend(privileges);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("roleid").to_owned();
    if is_special(call, &id) {
        return Err(format!("auto-generated role '{id}' cannot be deleted").into());
    }
    let gone = call.world.access.roles.remove(&id);
    gone.ok_or_else(|| format!("delete role failed: role '{id}' does not exist"))?;
    // What was granted by it is gone with it, without a word (9.2.11).
    call.world.access.acls.retain(|acl| acl.role != id);
    Ok(().into())
}
