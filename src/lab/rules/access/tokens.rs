//! `/access/users/{userid}/token`.

use serde_json::{Value, json};

use super::super::super::world::{Caller, Grantee, Token, User, World};
use super::super::endpoint::Access::Check;
use super::super::formats as f;
use super::super::param::{Kind, Param, Values, optional as o, since_9, since_9_2};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks::{self, Vars};
use crate::ports::Method::{Delete, Get, Post, Put};

const FIELDS: &[Param] =
    &[o("comment", Kind::Text), o("expire", Kind::Int { min: Some(0), max: None }), o("privsep", Kind::Bool)];
const UPDATE: &[Param] = &[since_9("delete", Kind::List(f::config_ids)), since_9_2("regenerate", Kind::Bool)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/users/{userid}/token", &[], Check(may), list),
    Endpoint::new(Get, "/access/users/{userid}/token/{tokenid}", &[], Check(may), read),
    Endpoint::new(Post, "/access/users/{userid}/token/{tokenid}", &[FIELDS], Check(may), create),
    Endpoint::new(Put, "/access/users/{userid}/token/{tokenid}", &[FIELDS, UPDATE], Check(may), update),
    Endpoint::new(Delete, "/access/users/{userid}/token/{tokenid}", &[], Check(may), delete),
];

/// The user itself, which a token is not (9.2.11), or who may change users.
fn may(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    let id = checks::value(vars, values, "userid");
    let over = caller.id() == id || checks::over_user(world, caller, &id, &["User.Modify"], None).is_ok();
    if over { Ok(()) } else { Err(Refusal::denied("")) }
}

/// A token as it is read.
pub fn info(token: &Token) -> Value {
    let mut row = json!({"expire": token.expire, "privsep": u8::from(token.privsep)});
    if let Some(comment) = &token.comment {
        row["comment"] = json!(comment);
    }
    row
}

/// The tokens of a user as lists show them.
pub fn listed(user: &User) -> Value {
    let row = |(name, token): (&String, &Token)| {
        let mut row = info(token);
        row["tokenid"] = json!(name);
        row
    };
    user.tokens.iter().map(row).collect()
}

fn token<'a>(call: &'a Call<'_>) -> Result<&'a Token, Refusal> {
    let (id, name) = (call.var("userid"), call.var("tokenid"));
    let user = known(call.world, id)?;
    user.tokens.get(name).ok_or_else(|| format!("no such token '{name}' for user '{id}'").into())
}

fn known<'a>(world: &'a World, id: &str) -> Result<&'a User, Refusal> {
    world.access.users.get(id).ok_or_else(|| format!("no such user ('{id}')").into())
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(listed(known(call.world, call.var("userid"))?).into())
}

fn read(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(info(token(call)?).into())
}

/// What was sent comes back as it was sent: texts of a form stay texts.
fn echo(row: &mut Value, values: &Values) {
    for name in ["privsep", "expire"] {
        if let Some(text) = values.get(name) {
            row[name] = json!(text);
        }
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, name) = (call.var("userid").to_owned(), call.var("tokenid").to_owned());
    if known(call.world, &id)?.tokens.contains_key(&name) {
        return Err(Refusal::param("tokenid", "Token already exists."));
    }
    let secret = call.world.next_uuid();
    let privsep = call.values.get("privsep").is_none_or(|text| text == "1");
    let comment = call.values.get("comment").filter(|text| !text.is_empty()).map(str::to_owned);
    let expire = call.values.int("expire").unwrap_or_default();
    let mut shown = json!({"privsep": u8::from(privsep)});
    if let Some(comment) = &comment {
        shown["comment"] = json!(comment);
    }
    echo(&mut shown, &call.values);
    let token = Token { expire, comment, ..Token::new(&secret, privsep) };
    if let Some(user) = call.world.access.users.get_mut(&id) {
        user.tokens.insert(name.clone(), token);
    }
    Ok(json!({"full-tokenid": format!("{id}!{name}"), "value": secret, "info": shown}).into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, name) = (call.var("userid").to_owned(), call.var("tokenid").to_owned());
    let mut token = token(call)?.clone();
    let values = call.values.clone();
    for key in f::split_list(values.text("delete")) {
        match key {
            "comment" => token.comment = None,
            other => return Err(Refusal::param("delete", format!("unknown option '{other}'"))),
        }
    }
    if let Some(text) = values.get("privsep") {
        token.privsep = text == "1";
    }
    if let Some(seconds) = values.int("expire") {
        token.expire = seconds;
    }
    if let Some(comment) = values.get("comment").filter(|text| !text.is_empty()) {
        token.comment = Some(comment.to_owned());
    }
    let mut shown = info(&token);
    echo(&mut shown, &values);
    if values.flag("regenerate") {
        let secret = call.world.next_uuid();
        token.secret_sha256 = Token::new(&secret, token.privsep).secret_sha256;
        shown["full-tokenid"] = json!(format!("{id}!{name}"));
        shown["value"] = json!(secret);
    }
    if let Some(user) = call.world.access.users.get_mut(&id) {
        user.tokens.insert(name, token);
    }
    Ok(shown.into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, name) = (call.var("userid").to_owned(), call.var("tokenid").to_owned());
    token(call)?;
    if let Some(user) = call.world.access.users.get_mut(&id) {
        user.tokens.remove(&name);
    }
    let gone = Grantee::Token(format!("{id}!{name}"));
    call.world.access.acls.retain(|acl| acl.grantee != gone);
    Ok(().into())
}
