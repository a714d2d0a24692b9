//! `/access/permissions`: what somebody may where.

use serde_json::{Map, Value, json};

use super::super::super::world::Caller;
use super::super::endpoint::Access::All;
use super::super::param::{Kind, Param, optional as o};
use super::super::{Answer, Call, Endpoint, Refusal, need};
use crate::ports::Method::Get;

const PERMISSIONS: &[Param] = &[o("path", Kind::Text), o("userid", Kind::Text)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(Get, "/access/permissions", &[PERMISSIONS], All, permissions)];

/// Paths that PVE lists when none is asked for: the top ones, those with an ACL, and members of pools (9.2.11).
fn permissions(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, caller) = (&*call.world, call.caller);
    let asked = call.values.get("userid").map(str::to_owned);
    let other;
    let subject = match asked {
        None => caller,
        Some(id) => {
            let (user, token) = id.split_once('!').map_or((id.as_str(), None), |(u, t)| (u, Some(t.to_owned())));
            let own = user == caller.user && (token.is_none() || token == caller.token);
            if !own {
                need(world, caller, "/access", &["Sys.Audit"])?;
            }
            other = Caller { user: user.to_owned(), token };
            &other
        }
    };
    let paths: Vec<String> = match call.values.get("path") {
        Some(path) => vec![path.to_owned()],
        None => {
            let fixed = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
            let mut paths: Vec<String> = fixed.iter().map(|p| (*p).to_owned()).collect();
            paths.extend(world.access.acls.iter().map(|acl| acl.path.clone()));
            for pool in world.pools.values() {
                paths.extend(pool.guests.iter().map(|vmid| format!("/vms/{vmid}")));
                paths.extend(pool.storages.iter().map(|storage| format!("/storage/{storage}")));
            }
            paths.sort();
            paths.dedup();
            paths
        }
    };
    let mut result = Map::new();
    for path in paths {
        let has = world.privileges(subject, &path);
        if !has.is_empty() {
            let row: Map<String, Value> =
                has.into_iter().map(|(p, propagate)| (p, json!(u8::from(propagate)))).collect();
            result.insert(path, Value::Object(row));
        }
    }
    Ok(Value::Object(result).into())
}
