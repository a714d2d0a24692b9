//! `/access/groups`.

use serde_json::{Value, json};

use super::super::super::world::{Grantee, Group};
use super::super::endpoint::Access::{All, Any, Every};
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks;
use crate::ports::Method::{Delete, Get, Post, Put};

const ID: &[Param] = &[required("groupid", Kind::Format(checks::group_format))];
const COMMENT: &[Param] = &[o("comment", Kind::Text)];
const ALLOCATE: &[&str] = &["Group.Allocate"];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/groups", &[], All, list),
    Endpoint::new(Post, "/access/groups", &[ID, COMMENT], Every("/access/groups", ALLOCATE), create),
    Endpoint::new(Get, "/access/groups/{groupid}", &[], Any("/access/groups", &["Sys.Audit", "Group.Allocate"]), read),
    Endpoint::new(Put, "/access/groups/{groupid}", &[COMMENT], Every("/access/groups", ALLOCATE), update),
    Endpoint::new(Delete, "/access/groups/{groupid}", &[], Every("/access/groups", ALLOCATE), delete),
];

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let any_of = ["User.Modify", "Sys.Audit", "Group.Allocate"];
    let rows = call
        .world
        .access
        .groups
        .iter()
        .filter(|(id, _)| call.world.may(call.caller, &format!("/access/groups/{id}"), &any_of));
    let row = |(id, group): (&String, &Group)| {
        let users: Vec<&str> = group.members.iter().map(String::as_str).collect();
        let mut row = json!({"groupid": id, "users": users.join(",")});
        if let Some(comment) = &group.comment {
            row["comment"] = json!(comment);
        }
        row
    };
    Ok(rows.map(row).collect::<Value>().into())
}

fn missing(id: &str) -> String {
    format!("group '{id}' does not exist")
}

fn read(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("groupid");
    let group = call.world.access.groups.get(id).ok_or_else(|| missing(id))?;
    let mut row = json!({"members": group.members});
    if let Some(comment) = &group.comment {
        row["comment"] = json!(comment);
    }
    Ok(row.into())
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.values.text("groupid").to_owned();
    if call.world.access.groups.contains_key(&id) {
        return Err(format!("create group failed: group '{id}' already exists").into());
    }
    let comment = call.values.get("comment").filter(|text| !text.is_empty()).map(str::to_owned);
    call.world.access.groups.insert(id, Group { comment, ..Group::default() });
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("groupid").to_owned();
    let comment = call.values.get("comment").map(str::to_owned);
    let group =
        call.world.access.groups.get_mut(&id).ok_or_else(|| format!("update group failed: {}", missing(&id)))?;
    if let Some(comment) = comment {
        group.comment = Some(comment).filter(|text| !text.is_empty());
    }
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("groupid").to_owned();
    call.world.access.groups.remove(&id).ok_or_else(|| format!("delete group failed: {}", missing(&id)))?;
    let gone = Grantee::Group(id);
    call.world.access.acls.retain(|acl| acl.grantee != gone);
    Ok(().into())
}
