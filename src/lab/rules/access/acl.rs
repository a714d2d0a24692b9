//! `/access/acl`.

use serde_json::{Value, json};

use super::super::super::world::{Acl, Caller, Grantee, World};
use super::super::endpoint::Access::{All, Check};
use super::super::formats::split_list;
use super::super::param::{Kind, Param, Values, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks::{self, Vars};
use crate::ports::Method::{Get, Put};

const UPDATE: &[Param] = &[
    o("delete", Kind::Bool),
    o("groups", Kind::List(checks::groups_format)),
    required("path", Kind::Text),
    o("propagate", Kind::Bool),
    required("roles", Kind::List(checks::roles_format)),
    o("tokens", Kind::List(checks::tokens_format)),
    o("users", Kind::List(checks::users_format)),
];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/acl", &[], All, list),
    Endpoint::new(Put, "/access/acl", &[UPDATE], Check(may_modify), update),
];

fn may_modify(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    checks::may_modify(world, caller, &checks::value(vars, values, "path"))
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, caller) = (&*call.world, call.caller);
    let audit = world.may(caller, "/access", &["Sys.Audit"]);
    let rows = world.access.acls.iter().filter(|acl| audit || checks::may_modify(world, caller, &acl.path).is_ok());
    let row = |acl: &Acl| {
        let (kind, id) = match &acl.grantee {
            Grantee::User(id) => ("user", id),
            Grantee::Group(id) => ("group", id),
            Grantee::Token(id) => ("token", id),
        };
        json!({"path": acl.path, "type": kind, "ugid": id, "roleid": acl.role, "propagate": u8::from(acl.propagate)})
    };
    Ok(rows.map(row).collect::<Value>().into())
}

/// One slash between the parts and none at the end; none, if it does not begin with one.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    path.starts_with('/').then(|| format!("/{}", parts.join("/")))
}

/// Whether permissions can be had at a path.
fn is_known(path: &str) -> bool {
    let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let parts: Vec<&str> = path.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [] | ["access" | "nodes" | "pool" | "sdn" | "storage" | "vms" | "mapping"] => true,
        ["access", "groups" | "realm"] => true,
        ["sdn", "controllers" | "dns" | "fabrics" | "ipams" | "zones" | "prefix-lists" | "route-maps"] => true,
        ["access", "groups" | "realm", id] | ["nodes" | "storage" | "mapping", id] => name(id),
        ["sdn", "controllers" | "dns" | "fabrics" | "ipams" | "zones", id] => name(id),
        ["sdn", "zones", zone, vnet] => name(zone) && name(vnet),
        ["sdn", "zones", zone, vnet, tag] => name(zone) && name(vnet) && tag.parse::<u32>().is_ok(),
        ["pool", ref ids @ ..] => ids.len() <= 3 && ids.iter().all(|id| name(id)),
        ["vms", id] => id.len() > 2 && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit()),
        ["mapping", kind, id] => name(kind) && name(id),
        _ => false,
    }
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let grantees = grantees(&call.values);
    if grantees.is_empty() {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        let errors = ["users", "groups", "tokens"].map(|name| (name.to_owned(), text.to_owned()));
        return Err(Refusal::Params(errors.into()));
    }
    let (given, delete) = (call.values.text("path"), call.values.flag("delete"));
    let path = normal(given).filter(|path| delete || is_known(path));
    let path = path.ok_or_else(|| Refusal::param("path", format!("invalid ACL path '{given}'")))?;
    let propagate = call.values.get("propagate").is_none_or(|text| text == "1");
    let roles: Vec<String> = split_list(call.values.text("roles")).map(str::to_owned).collect();
    let fail = |text: String| Refusal::failed(format!("ACL update failed: {text}"));
    let mut acls = call.world.access.acls.clone();
    for role in &roles {
        may_hand_out(call, &path, role, propagate, delete).map_err(fail)?;
        for grantee in &grantees {
            exists(call.world, grantee).map_err(fail)?;
            let entry = Acl { path: path.clone(), grantee: grantee.clone(), role: role.clone(), propagate };
            let same = |acl: &Acl| acl.path == entry.path && acl.grantee == entry.grantee && acl.role == entry.role;
            acls.retain(|acl| !same(acl));
            if !delete {
                acls.push(entry);
            }
        }
    }
    call.world.access.acls = acls;
    Ok(().into())
}

fn grantees(values: &Values) -> Vec<Grantee> {
    let of = |name: &str| split_list(values.text(name)).map(str::to_owned).collect::<Vec<_>>();
    let groups = of("groups").into_iter().map(Grantee::Group);
    let users = of("users").into_iter().map(Grantee::User);
    groups.chain(users).chain(of("tokens").into_iter().map(Grantee::Token)).collect()
}

fn exists(world: &World, grantee: &Grantee) -> Result<(), String> {
    match grantee {
        Grantee::Group(id) if !world.access.groups.contains_key(id) => Err(format!("group '{id}' does not exist")),
        Grantee::User(id) if !world.access.users.contains_key(id) => Err(format!("user '{id}' does not exist")),
        Grantee::Token(id) => {
            let (user, token) = id.split_once('!').unwrap_or((id, ""));
            let known = world.access.users.get(user).ok_or_else(|| format!("no such user ('{user}')"))?;
            let found = known.tokens.contains_key(token);
            if found { Ok(()) } else { Err(format!("no such token '{token}' for user '{user}'")) }
        }
        Grantee::Group(_) | Grantee::User(_) => Ok(()),
    }
}

/// Who may not change permissions hands out no more than what it has itself.
fn may_hand_out(call: &Call<'_>, path: &str, role: &str, propagate: bool, delete: bool) -> Result<(), String> {
    let privileges = call.world.role(role).ok_or_else(|| format!("role '{role}' does not exist"))?;
    let has = call.world.privileges(call.caller, path);
    if has.contains_key("Permissions.Modify") {
        return Ok(());
    }
    let verb = if delete { "remove" } else { "add" };
    let refuse = |what: &str| Err(Refusal::param("role", format!("Cannot {verb} role '{role}' {what}")).text());
    if role == "NoAccess" {
        return refuse("- requires 'Permissions.Modify'");
    }
    for privilege in &privileges {
        match has.get(privilege) {
            None => return refuse("- requires 'Permissions.Modify' or superset of privileges."),
            Some(false) if propagate && !delete => {
                return refuse(
                    "with propagation - requires 'Permissions.Modify' or propagated superset of privileges.",
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_had_at_known_paths_only() {
        for path in ["/", "/vms", "/vms/100", "/pool/a/b", "/storage/local", "/mapping/pci/gpu", "/sdn/zones/z/v/10"] {
            assert!(is_known(path), "{path}");
        }
        for path in ["/nope", "/vms/99", "/vms/100/x", "/pool/a/b/c/d", "/storage/a b", "/access/users/x@pve"] {
            assert!(!is_known(path), "{path}");
        }
        assert_eq!(normal("//vms//100/"), Some("/vms/100".into()));
        assert_eq!(normal("vms"), None);
    }
}
