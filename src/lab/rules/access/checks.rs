//! Who may touch a user: PVE's checks `userid-param`, `userid-group` and `perm-modify`, and its formats of names.

use std::collections::BTreeMap;

use super::super::super::world::{Caller, World};
use super::super::formats::split_list;
use super::super::param::Values;
use super::super::{Refusal, need};

/// What varies in the path.
pub type Vars = BTreeMap<&'static str, String>;

/// A parameter of the path or of the form.
pub fn value(vars: &Vars, values: &Values, name: &str) -> String {
    vars.get(name).cloned().unwrap_or_else(|| values.text(name).to_owned())
}

/// User and realm of a user id.
///
/// # Errors
/// PVE's text for a name that is none.
pub fn user_id(text: &str) -> Result<(&str, &str), String> {
    if text.chars().count() < 3 {
        return Err(format!("user name '{text}' is too short"));
    }
    let realm = |r: &str| r.len() > 1 && r.starts_with(|c: char| c.is_ascii_alphabetic()) && r.chars().all(is_name);
    let user = |u: &str| !u.is_empty() && !u.contains(|c: char| c.is_whitespace() || c == ':' || c == '/');
    let split = text.rsplit_once('@').filter(|(u, r)| user(u) && realm(r));
    split.ok_or_else(|| format!("value '{text}' does not look like a valid user name"))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Format of a user id.
///
/// # Errors
/// PVE's text.
pub fn user_format(text: &str) -> Result<(), String> {
    user_id(text).map(drop)
}

/// Format of a list of user ids.
///
/// # Errors
/// PVE's text.
pub fn users_format(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(user_format)
}

/// Format of a list of token ids.
///
/// # Errors
/// PVE's text.
pub fn tokens_format(text: &str) -> Result<(), String> {
    let fits = |id: &str| id.split_once('!').is_some_and(|(user, token)| user_id(user).is_ok() && is_token(token));
    match split_list(text).find(|id| !fits(id)) {
        Some(id) => Err(format!("value '{id}' does not look like a valid token ID")),
        None => Ok(()),
    }
}

/// Whether a token may be called that: a letter, then at least one more character.
pub fn is_token(text: &str) -> bool {
    text.len() > 1 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name)
}

fn plain(what: &str, text: &str) -> Result<(), String> {
    if !text.is_empty() && text.chars().all(is_name) {
        Ok(())
    } else {
        Err(format!("{what} name '{text}' contains invalid characters"))
    }
}

/// Format of a group id.
///
/// # Errors
/// PVE's text.
pub fn group_format(text: &str) -> Result<(), String> {
    plain("group", text)
}

/// Format of a list of group ids.
///
/// # Errors
/// PVE's text.
pub fn groups_format(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(group_format)
}

/// Format of a role id.
///
/// # Errors
/// PVE's text.
pub fn role_format(text: &str) -> Result<(), String> {
    plain("role", text)
}

/// Format of a list of role ids.
///
/// # Errors
/// PVE's text.
pub fn roles_format(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(role_format)
}

/// The user, if there is one.
///
/// # Errors
/// PVE's text.
pub fn known_user(world: &World, id: &str) -> Result<(), Refusal> {
    if world.access.users.contains_key(id) { Ok(()) } else { Err(format!("no such user ('{id}')").into()) }
}

/// `Realm.AllocateUser` on the realm of the user id.
pub fn may_allocate(world: &World, caller: &Caller, id: &str) -> Result<(), Refusal> {
    let (_, realm) = user_id(id)?;
    need(world, caller, &format!("/access/realm/{realm}"), &["Realm.AllocateUser"])
}

/// Any of the privileges on all groups, or on one that the user is in; `groups` are those that it is to be put into.
pub fn over_user(
    world: &World,
    caller: &Caller,
    id: &str,
    any_of: &[&str],
    groups: Option<(&str, bool)>,
) -> Result<(), Refusal> {
    let existing = groups.is_none_or(|(_, create)| !create);
    if existing {
        known_user(world, id)?;
    }
    if world.may(caller, "/access/groups", any_of) {
        return Ok(());
    }
    let denied = |path: &str| Refusal::denied(&format!("{path}, {}", any_of.join("|")));
    let holds = |group: &str| world.may(caller, &format!("/access/groups/{group}"), any_of);
    if let Some((list, _)) = groups {
        if split_list(list).next().is_none() {
            return Err(denied("/access/groups"));
        }
        if let Some(group) = split_list(list).find(|group| !holds(group)) {
            return Err(denied(&format!("/access/groups/{group}")));
        }
    }
    let member = world.access.groups.iter().any(|(name, group)| group.members.contains(id) && holds(name));
    if existing && !member { Err(denied("/access/groups")) } else { Ok(()) }
}

/// Changing permissions at a path; who may allocate what is there may hand out a part of what it has.
pub fn may_modify(world: &World, caller: &Caller, path: &str) -> Result<(), Refusal> {
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
    let besides = [("/storage", "Datastore.Allocate"), ("/vms", "VM.Allocate"), ("/pool", "Pool.Allocate")];
    let more = besides.iter().find(|(prefix, _)| below(prefix)).map(|(_, privilege)| *privilege);
    let any_of: Vec<&str> = std::iter::once("Permissions.Modify").chain(more).collect();
    need(world, caller, path, &any_of)
}
