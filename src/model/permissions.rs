//! What an API token may do where, as `GET /access/permissions` tells it.
//!
//! The endpoint answers for the top of every tree, for every path that an ACL stands on and for the
//! members of pools; what it leaves out inherits from above (pve-access-control
//! `get_effective_permissions`, the same from 8.4 to 9.2). Of some paths that cannot be told for sure:
//! [`Permissions::has`] and [`Permissions::lacks`] may both be false.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Paths that PVE always answers for: not in the answer means that there is no privilege on them.
const ALWAYS: [&str; 8] = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

/// Privileges by path; true where one holds below the path, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// Whether `privilege` is surely held on `path`.
    ///
    /// One thing escapes it: a `NoAccess` on `path` itself leaves no trace in the answer.
    #[must_use]
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        if let Some(here) = self.0.get(path) {
            return here.contains_key(privilege);
        }
        for above in upwards(path) {
            match self.0.get(above) {
                Some(there) => return there.get(privilege) == Some(&true),
                None if ALWAYS.contains(&above) => return false,
                None => {}
            }
        }
        false
    }

    /// Whether `privilege` is surely not held on `path`.
    #[must_use]
    pub fn lacks(&self, path: &str, privilege: &str) -> bool {
        if let Some(here) = self.0.get(path) {
            return !here.contains_key(privilege);
        }
        if ALWAYS.contains(&path) {
            return true;
        }
        upwards(path).filter_map(|above| Some((above, self.0.get(above)?))).all(|(above, there)| {
            // A grant that does not reach down hides what is inherited past it.
            let hides = above != "/" && there.values().any(|propagates| !propagates);
            !hides && there.get(privilege) != Some(&true)
        })
    }

    /// Whether `privilege` is held on `path` or on some path below it that the answer knows.
    #[must_use]
    pub fn has_below(&self, path: &str, privilege: &str) -> bool {
        let below = format!("{path}/");
        self.has(path, privilege)
            || self.0.iter().any(|(at, there)| at.starts_with(&below) && there.contains_key(privilege))
    }
}

/// How an operator gives a token `privileges` (separated by commas) on `path`, in one line.
#[must_use]
pub fn how_to_grant(token: &str, path: &str, privileges: &str) -> String {
    let user = token.split('!').next().unwrap_or(token);
    format!(
        "on the host: `pveum role modify ROLE --append 1 --privs {privileges}` with a role that it has there, or \
         `pveum acl modify {path} --users {user} --roles ROLE` with one that holds it (a token with privilege \
         separation needs the same with `--tokens '{token}'`)"
    )
}

/// The path itself, what is above it, and so on up to `/`.
fn upwards(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |at| match at.rfind('/') {
        _ if *at == "/" => None,
        Some(0) => Some("/"),
        Some(cut) => Some(&at[..cut]),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(rows: &[(&str, &[(&str, bool)])]) -> Permissions {
        let privileges = |row: &[(&str, bool)]| row.iter().map(|(name, down)| ((*name).to_owned(), *down)).collect();
        Permissions(rows.iter().map(|(path, row)| ((*path).to_owned(), privileges(row))).collect())
    }

    #[test]
    fn what_is_not_answered_inherits_from_above() {
        let all = permissions(&[("/", &[("VM.Audit", true)]), ("/vms", &[("VM.Audit", true)])]);
        assert!(all.has("/vms/100", "VM.Audit") && all.has("/mapping/pci/gpu", "VM.Audit"));
        assert!(!all.has("/vms/100", "VM.Allocate") && all.lacks("/vms/100", "VM.Allocate"));
    }

    #[test]
    fn the_nearest_answer_counts_and_an_exact_one_is_final() {
        let less = permissions(&[("/", &[("VM.Audit", true)]), ("/vms", &[("VM.Allocate", true)]), ("/vms/100", &[])]);
        assert!(!less.has("/vms/101", "VM.Audit"));
        assert!(less.has("/vms/101", "VM.Allocate") && less.lacks("/vms/100", "VM.Allocate"));
    }

    #[test]
    fn a_top_path_that_is_not_answered_has_nothing() {
        let pool = permissions(&[("/pool/t", &[("VM.Audit", true)]), ("/vms/104", &[("VM.Audit", false)])]);
        assert!(pool.has("/vms/104", "VM.Audit"), "as a member of the pool");
        assert!(
            !pool.has("/vms/105", "VM.Audit") && pool.lacks("/vms/105", "VM.Audit") && pool.lacks("/vms", "VM.Audit")
        );
        assert!(pool.lacks("/", "Sys.Audit") && !pool.has("/", "Sys.Audit"));
    }

    #[test]
    fn what_does_not_propagate_holds_at_its_path_alone() {
        let top = permissions(&[("/", &[("Sys.Audit", false)])]);
        assert!(top.has("/", "Sys.Audit") && top.lacks("/nodes/hq", "Sys.Audit"));
        let middle = permissions(&[("/mapping", &[("Mapping.Audit", false)])]);
        assert!(!middle.has("/mapping/pci/gpu", "Mapping.Use") && !middle.lacks("/mapping/pci/gpu", "Mapping.Use"));
    }

    #[test]
    fn a_grant_below_counts_where_any_will_do() {
        let vlan = permissions(&[("/sdn/zones/localnetwork/vmbr0/20", &[("SDN.Use", true)])]);
        assert!(vlan.has_below("/sdn/zones/localnetwork/vmbr0", "SDN.Use"));
        assert!(!vlan.has_below("/sdn/zones/localnetwork/vmbr1", "SDN.Use"));
    }
}
