//! `/access/users`.

use serde_json::{Map, Value, json};

use super::super::super::world::{Caller, Grantee, User, World};
use super::super::endpoint::Access::{All, Check};
use super::super::formats::split_list;
use super::super::param::{Kind, Param, Values, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks::{self, Vars};
use super::tokens;
use crate::ports::Method::{Delete, Get, Post, Put};

const LIST: &[Param] = &[o("enabled", Kind::Bool), o("full", Kind::Bool)];
const FIELDS: &[Param] = &[
    o("comment", Kind::Short { min: 0, max: 2048 }),
    o("email", Kind::ShortPattern(|_| true, 0, 254)),
    o("enable", Kind::Bool),
    o("expire", Kind::Int { min: Some(0), max: None }),
    o("firstname", Kind::Short { min: 0, max: 1024 }),
    o("groups", Kind::List(checks::groups_format)),
    o(
        "keys",
        Kind::Pattern(|text| {
            text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!=".contains(&b))
        }),
    ),
    o("lastname", Kind::Short { min: 0, max: 1024 }),
];
const CREATE: &[Param] =
    &[o("password", Kind::Short { min: 8, max: 64 }), required("userid", Kind::Format(checks::user_format))];
const UPDATE: &[Param] = &[o("append", Kind::Bool)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/users", &[LIST], All, list),
    Endpoint::new(Post, "/access/users", &[CREATE, FIELDS], Check(may_create), create),
    Endpoint::new(Get, "/access/users/{userid}", &[], Check(may_read), read),
    Endpoint::new(Put, "/access/users/{userid}", &[UPDATE, FIELDS], Check(may_update), update),
    Endpoint::new(Delete, "/access/users/{userid}", &[], Check(may_delete), delete),
];

fn may_create(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    let id = checks::value(vars, values, "userid");
    checks::may_allocate(world, caller, &id)?;
    checks::over_user(world, caller, &id, &["User.Modify"], Some((values.text("groups"), true)))
}

fn may_read(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    checks::over_user(world, caller, &checks::value(vars, values, "userid"), &["User.Modify", "Sys.Audit"], None)
}

fn may_update(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    let id = checks::value(vars, values, "userid");
    checks::over_user(world, caller, &id, &["User.Modify"], Some((values.text("groups"), false)))
}

fn may_delete(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    let id = checks::value(vars, values, "userid");
    checks::may_allocate(world, caller, &id)?;
    checks::over_user(world, caller, &id, &["User.Modify"], None)
}

/// What every form of reading shows. An empty mail address appears as soon as something stands behind it in the file.
fn shown(user: &User) -> Map<String, Value> {
    let behind = user.comment.is_some() || user.keys.is_some();
    let email = user.email.clone().or_else(|| behind.then(String::new));
    let mut row = Map::from_iter([
        ("enable".to_owned(), json!(u8::from(user.enabled))),
        ("expire".to_owned(), json!(user.expire)),
    ]);
    let texts = [
        ("firstname", &user.firstname),
        ("lastname", &user.lastname),
        ("email", &email),
        ("comment", &user.comment),
        ("keys", &user.keys),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            row.insert(name.to_owned(), json!(text));
        }
    }
    row
}

fn groups_of(world: &World, id: &str) -> Vec<String> {
    world.access.groups.iter().filter(|(_, group)| group.members.contains(id)).map(|(name, _)| name.clone()).collect()
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, caller) = (&*call.world, call.caller);
    let enabled = call.values.get("enabled").map(|text| text == "1");
    let rows = world.access.users.iter().filter(|(id, user)| {
        // A token is not its user: it does not even see that one (9.2.11).
        let own = caller.id() == **id;
        let may = own || checks::over_user(world, caller, id, &["User.Modify", "Sys.Audit"], None).is_ok();
        may && enabled.is_none_or(|wanted| wanted == user.enabled)
    });
    let row = |(id, user): (&String, &User)| {
        let mut row = shown(user);
        row.insert("userid".to_owned(), json!(id));
        let realm = id.rsplit_once('@').map_or("", |(_, realm)| realm);
        if matches!(realm, "pam" | "pve") {
            row.insert("realm-type".to_owned(), json!(realm));
        }
        if call.values.flag("full") {
            row.insert("groups".to_owned(), json!(groups_of(world, id).join(",")));
            if !user.tokens.is_empty() {
                row.insert("tokens".to_owned(), tokens::listed(user));
            }
        }
        Value::Object(row)
    };
    Ok(Value::Array(rows.map(row).collect()).into())
}

fn read(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("userid").to_owned();
    let user = &call.world.access.users[&id];
    let mut row = shown(user);
    row.insert("groups".to_owned(), json!(groups_of(call.world, &id)));
    let tokens: Map<String, Value> =
        user.tokens.iter().map(|(name, token)| (name.clone(), tokens::info(token))).collect();
    row.insert("tokens".to_owned(), if tokens.is_empty() { Value::Null } else { Value::Object(tokens) });
    Ok(Value::Object(row).into())
}

fn put_into_groups(world: &mut World, id: &str, groups: &str) -> Result<(), String> {
    for name in split_list(groups) {
        let group = world.access.groups.get_mut(name).ok_or_else(|| format!("no such group '{name}'"))?;
        group.members.insert(id.to_owned());
    }
    Ok(())
}

fn fill(user: &mut User, values: &Values, keep_empty: bool) {
    let text = |name: &str| values.get(name).filter(|text| keep_empty || !text.is_empty()).map(str::to_owned);
    for (field, name) in [
        (&mut user.firstname, "firstname"),
        (&mut user.lastname, "lastname"),
        (&mut user.email, "email"),
        (&mut user.comment, "comment"),
        (&mut user.keys, "keys"),
    ] {
        if let Some(text) = text(name) {
            // The file has no way to keep an empty field.
            *field = Some(text).filter(|text| !text.is_empty());
        }
    }
    if let Some(on) = values.get("enable") {
        user.enabled = on == "1";
    }
    if let Some(seconds) = values.int("expire") {
        user.expire = seconds;
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.values.text("userid").to_owned();
    let fail = |text: String| Refusal::failed(format!("create user failed: {text}"));
    if call.world.access.users.contains_key(&id) {
        return Err(fail(format!("user '{id}' already exists")));
    }
    let mut user = User { enabled: true, ..User::default() };
    fill(&mut user, &call.values, false);
    if let Some(password) = call.values.get("password") {
        user.set_password(password);
    }
    let groups = call.values.text("groups").to_owned();
    put_into_groups(call.world, &id, &groups).map_err(fail)?;
    // An unknown realm is taken (9.2.11).
    call.world.access.users.insert(id, user);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("userid").to_owned();
    let groups = call.values.get("groups").map(str::to_owned);
    if call.values.get("append").is_some() && groups.is_none() {
        return Err(Refusal::param("groups", "missing property - 'append' requires this property"));
    }
    if let Some(groups) = &groups {
        if !call.values.flag("append") {
            leave_groups(call.world, &id);
        }
        put_into_groups(call.world, &id, groups).map_err(|text| format!("update user failed: {text}"))?;
    }
    let values = call.values.clone();
    if let Some(user) = call.world.access.users.get_mut(&id) {
        fill(user, &values, true);
    }
    Ok(().into())
}

fn leave_groups(world: &mut World, id: &str) {
    for group in world.access.groups.values_mut() {
        group.members.remove(id);
    }
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("userid").to_owned();
    leave_groups(call.world, &id);
    call.world.access.users.remove(&id);
    let gone = |grantee: &Grantee| match grantee {
        Grantee::User(user) => *user == id,
        Grantee::Token(token) => token.split_once('!').is_some_and(|(user, _)| user == id),
        Grantee::Group(_) => false,
    };
    call.world.access.acls.retain(|acl| !gone(&acl.grantee));
    Ok(().into())
}
