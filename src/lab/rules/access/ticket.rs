//! `/access/ticket` and `/access/password`.

use serde_json::{Map, Value, json};

use super::super::super::world::{Caller, World};
use super::super::endpoint::Access::{Check, World as Everybody};
use super::super::formats::split_list;
use super::super::param::{Kind, Param, Values, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::checks::{self, Vars};
use crate::ports::Method::{Get, Post, Put};

const LOGIN: &[Param] = &[
    o("new-format", Kind::Bool),
    o("otp", Kind::Text),
    required("password", Kind::Text),
    o("path", Kind::Short { min: 0, max: 64 }),
    o("privs", Kind::ShortPattern(|_| true, 0, 64)),
    o("realm", Kind::Short { min: 0, max: 32 }),
    o("tfa-challenge", Kind::Text),
    required("username", Kind::Short { min: 0, max: 64 }),
];
const PASSWORD: &[Param] = &[
    o("confirmation-password", Kind::Short { min: 5, max: 64 }),
    required("password", Kind::Short { min: 8, max: 64 }),
    required("userid", Kind::Format(checks::user_format)),
];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/access/ticket", &[], Everybody, |_| Ok(().into())),
    Endpoint::new(Post, "/access/ticket", &[LOGIN], Everybody, login),
    Endpoint::new(Put, "/access/password", &[PASSWORD], Check(may_change_password), change_password),
];

/// Whatever is wrong, the answer is the same: nobody learns which users there are.
fn login(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let failure = || Refusal::Failed { status: 401, text: "authentication failure".to_owned() };
    let realm = call.values.get("realm").map(|realm| format!("@{realm}")).unwrap_or_default();
    let id = format!("{}{realm}", call.values.text("username"));
    let password = call.values.text("password").to_owned();
    let user = call.world.access.users.get(&id).filter(|user| user.is_valid(call.world.now())).ok_or_else(failure)?;
    let holder = call.world.ticket_holder(&password);
    let by_ticket = holder.is_some_and(|holder| holder.user == id || holder.user == "root@pam");
    if !by_ticket && !user.accepts(&password) {
        return Err(failure());
    }
    let caller = Caller { user: id.clone(), token: None };
    if let (Some(path), Some(privileges)) = (call.values.get("path"), call.values.get("privs")) {
        let has = call.world.privileges(&caller, path);
        if !split_list(privileges).all(|privilege| has.contains_key(privilege)) {
            return Err(failure());
        }
        return Ok(json!({"username": id, "cap": capabilities(call.world, &caller)}).into());
    }
    let (ticket, csrf) = call.world.issue_ticket(&id);
    let mut data = json!({
        "username": id, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": capabilities(call.world, &caller),
    });
    if let Some(name) = call.world.cluster.clone().filter(|_| call.world.may(&caller, "/", &["Sys.Audit"])) {
        data["clustername"] = json!(name);
    }
    Ok(data.into())
}

/// What the web interface shows and hides: privileges by area, wherever somebody has them.
fn capabilities(world: &World, caller: &Caller) -> Value {
    const AREAS: &[(&str, &[&str])] = &[
        ("vms", &["VM.", "Permissions.Modify"]),
        ("access", &["User.", "Group.", "Permissions.Modify"]),
        ("storage", &["Datastore.", "Permissions.Modify"]),
        ("nodes", &["Sys.", "Permissions.Modify"]),
        ("sdn", &["SDN.", "Permissions.Modify"]),
        ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", &["Mapping.", "Permissions.Modify"]),
    ];
    let fixed = ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"];
    let defined = world.access.acls.iter().map(|acl| acl.path.as_str());
    let mut out: Map<String, Value> = AREAS.iter().map(|(area, _)| ((*area).to_owned(), json!({}))).collect();
    for path in fixed.into_iter().chain(defined) {
        let top = path.split('/').nth(1).filter(|part| !part.is_empty()).unwrap_or("dc");
        for privilege in world.privileges(caller, path).into_keys() {
            for (area, prefixes) in AREAS {
                let here = *area == top || (top == "pool" && matches!(*area, "vms" | "storage"));
                if here && prefixes.iter().any(|prefix| privilege.starts_with(prefix)) {
                    out[*area][&privilege] = json!(1);
                }
            }
        }
    }
    Value::Object(out)
}

/// A token changes no password, not even its own user's (9.2.11).
fn may_change_password(world: &World, caller: &Caller, vars: &Vars, values: &Values) -> Result<(), Refusal> {
    if caller.token.is_some() {
        return Err(Refusal::denied("URI '/access/password' not available with API token, need proper ticket.\n"));
    }
    let id = checks::value(vars, values, "userid");
    if caller.user == id {
        return Ok(());
    }
    let other = checks::may_allocate(world, caller, &id)
        .and_then(|()| checks::over_user(world, caller, &id, &["User.Modify"], None));
    other.map_err(|_| Refusal::denied(""))
}

fn change_password(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, password) = (call.values.text("userid").to_owned(), call.values.text("password").to_owned());
    let (_, realm) = checks::user_id(&id)?;
    if !call.caller.is_root_pam() && call.caller.user != id && (id == "root@pam" || realm == "pam") {
        return Err(Refusal::denied(""));
    }
    checks::known_user(call.world, &id)?;
    if let Some(user) = call.world.access.users.get_mut(&id) {
        user.set_password(&password);
    }
    Ok(().into())
}
