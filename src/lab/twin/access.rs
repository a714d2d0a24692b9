//! What the token may do, as grants.
//!
//! `GET /access/permissions` tells privileges by path; which roles and groups they come from it does not tell, nor
//! does it matter: in the twin each path that was answered has roles of its own with exactly these privileges.

use std::collections::{BTreeMap, BTreeSet};

use crate::lab::world::{Access, Acl, Grantee, Token, User};
use crate::model::Permissions;

/// Paths that PVE always answers for: one that is missing has no privilege.
const ALWAYS: [&str; 7] = ["/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
/// The role that holds everything, where nothing is known.
const ALL: &str = "Administrator";

/// Users, tokens and grants of a site whose tokens may do what was read. Every token has the same secret, which is
/// none of the original's.
pub(super) fn access(tokens: &BTreeSet<&str>, secret: &str, permissions: Option<&Permissions>) -> Access {
    let mut access = Access::default();
    let user = || User { enabled: true, ..User::default() };
    access.users.insert("root@pam".to_owned(), user());
    for id in tokens {
        let Some((name, token)) = id.split_once('!') else { continue };
        // A token of root@pam has root's rights unless they are separate; what was read is what it has.
        let separate = name == "root@pam";
        let grantee = if separate { Grantee::Token((*id).to_owned()) } else { Grantee::User(name.to_owned()) };
        let entry = access.users.entry(name.to_owned()).or_insert_with(user);
        entry.tokens.insert(token.to_owned(), Token::new(secret, separate));
        let grants = permissions.map_or_else(everything, grants);
        for (path, role, propagate) in &grants {
            let acl = Acl { path: path.clone(), grantee: grantee.clone(), role: role.clone(), propagate: *propagate };
            if !access.acls.contains(&acl) {
                access.acls.push(acl);
            }
        }
    }
    if let Some(permissions) = permissions {
        access.roles = roles(permissions);
    }
    access
}

fn everything() -> Vec<(String, String, bool)> {
    vec![("/".to_owned(), ALL.to_owned(), true)]
}

fn name(index: usize, below: bool) -> String {
    format!("Twin{index}{}", if below { "Below" } else { "Here" })
}

/// Paths with their roles, and whether they hold below.
fn grants(permissions: &Permissions) -> Vec<(String, String, bool)> {
    let mut grants = Vec::new();
    for (index, (path, privileges)) in permissions.0.iter().enumerate() {
        let here = privileges.values().any(|below| !below);
        let below = privileges.values().any(|below| *below);
        if here {
            grants.push((path.clone(), name(index, false), false));
        }
        // Without any privilege it still hides what is inherited.
        if below || !here {
            grants.push((path.clone(), name(index, true), true));
        }
    }
    let silent = ALWAYS.iter().filter(|path| !permissions.0.contains_key(**path));
    grants.extend(silent.map(|path| ((*path).to_owned(), "NoAccess".to_owned(), true)));
    grants
}

fn roles(permissions: &Permissions) -> BTreeMap<String, BTreeSet<String>> {
    let mut roles = BTreeMap::new();
    for (index, privileges) in permissions.0.values().enumerate() {
        for below in [false, true] {
            let held = privileges.iter().filter(|(_, propagates)| **propagates == below);
            roles.insert(name(index, below), held.map(|(privilege, _)| privilege.clone()).collect());
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::world::{Caller, World};

    fn permissions(rows: &[(&str, &[(&str, bool)])]) -> Permissions {
        let privileges = |row: &[(&str, bool)]| row.iter().map(|(name, down)| ((*name).to_owned(), *down)).collect();
        Permissions(rows.iter().map(|(path, row)| ((*path).to_owned(), privileges(row))).collect())
    }

    #[test]
    fn a_token_may_do_in_the_twin_what_it_may_do_and_nothing_else() {
        let read = permissions(&[
            ("/", &[("Sys.Audit", true)]),
            ("/vms", &[("VM.Audit", true)]),
            ("/vms/104", &[]),
            ("/pool/infra", &[("VM.Allocate", true), ("Pool.Audit", false)]),
        ]);
        for id in ["infra@pve!tok", "root@pam!tok"] {
            let world = World { access: access(&[id].into(), "secret", Some(&read)), ..World::default() };
            let caller = world.authenticate(&format!("{id}=secret")).unwrap();
            assert_eq!(caller, Caller::token(id.split('!').next().unwrap(), "tok"));
            assert!(world.may(&caller, "/vms/100", &["VM.Audit"]), "{id}");
            assert!(!world.may(&caller, "/vms/100", &["VM.Allocate", "Sys.Audit"]), "{id}");
            assert!(!world.may(&caller, "/vms/104", &["VM.Audit"]), "{id}");
            assert!(!world.may(&caller, "/storage/local", &["Sys.Audit"]), "a top path that was not answered");
            assert!(world.may(&caller, "/mapping/pci/gpu", &["Sys.Audit"]), "inherited from the top");
            assert!(world.may(&caller, "/pool/infra", &["Pool.Audit"]), "{id}");
        }
    }
}
