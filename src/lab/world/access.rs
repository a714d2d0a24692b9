//! Users, tokens, roles and who may do what where.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Caller, World, conf, known_privileges};

/// `user.cfg` without pools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Users by id, such as `infra@pve`.
    pub users: BTreeMap<String, User>,
    /// Groups by id.
    pub groups: BTreeMap<String, Group>,
    /// Roles that were made, with their privileges.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Who has which role where.
    pub acls: Vec<Acl>,
    /// What tickets are signed with; made with the first one.
    pub ticket_key: String,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// May log in.
    pub enabled: bool,
    /// What was said about it.
    pub comment: Option<String>,
    /// Tokens by name.
    pub tokens: BTreeMap<String, Token>,
    /// Given name.
    pub firstname: Option<String>,
    /// Family name.
    pub lastname: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Keys of a second factor, as they were written.
    pub keys: Option<String>,
    /// When it ends, in seconds since the epoch; 0 = never.
    pub expire: i64,
    /// SHA-256 of the password, in hex; without one there is no login by password.
    pub password_sha256: Option<String>,
}

impl User {
    /// Whether it may come in at that time, in seconds since the epoch.
    #[must_use]
    pub fn is_valid(&self, now: i64) -> bool {
        self.enabled && (self.expire == 0 || self.expire > now)
    }

    /// Sets a password.
    pub fn set_password(&mut self, password: &str) {
        self.password_sha256 = Some(conf::hex(&Sha256::digest(password.as_bytes())));
    }

    /// Whether this is its password.
    #[must_use]
    pub fn accepts(&self, password: &str) -> bool {
        self.password_sha256.as_ref().is_some_and(|known| *known == conf::hex(&Sha256::digest(password.as_bytes())))
    }
}

/// A group of users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// What was said about it.
    pub comment: Option<String>,
    /// Users in it.
    pub members: BTreeSet<String>,
}

/// A token; its secret is kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 of the secret, in hex.
    pub secret_sha256: String,
    /// Whether it has only what was granted to itself *and* to its user.
    pub privsep: bool,
    /// When it ends, in seconds; 0 = never.
    #[serde(default)]
    pub expire: i64,
    /// What was said about it.
    #[serde(default)]
    pub comment: Option<String>,
}

impl Token {
    /// A token with that secret.
    #[must_use]
    pub fn new(secret: &str, privsep: bool) -> Self {
        Self { secret_sha256: conf::hex(&Sha256::digest(secret.as_bytes())), privsep, expire: 0, comment: None }
    }

    /// Whether this is its secret.
    #[must_use]
    pub fn accepts(&self, secret: &str) -> bool {
        conf::hex(&Sha256::digest(secret.as_bytes())) == self.secret_sha256
    }
}

/// One line of the access control list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Such as `/vms/100`.
    pub path: String,
    /// Who.
    pub grantee: Grantee,
    /// What.
    pub role: String,
    /// Whether it holds below the path, too.
    pub propagate: bool,
}

/// Who a role is given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// A user.
    User(String),
    /// A group.
    Group(String),
    /// A token, as `user!token`.
    Token(String),
}

impl World {
    /// Who presents `user@realm!token=secret`, if that is right.
    #[must_use]
    pub fn authenticate(&self, credentials: &str) -> Option<Caller> {
        let (id, secret) = credentials.split_once('=')?;
        let (user, token) = id.split_once('!')?;
        let found = self.access.users.get(user).filter(|u| u.is_valid(self.now()))?;
        let entry = found.tokens.get(token)?;
        let valid = entry.accepts(secret) && (entry.expire == 0 || entry.expire > self.now_ms / 1000);
        valid.then(|| Caller::token(user, token))
    }

    /// Privileges of a caller at a path; true where they hold below it, too.
    #[must_use]
    pub fn privileges(&self, caller: &Caller, path: &str) -> BTreeMap<String, bool> {
        let of_user = self.user_privileges(&caller.user, path);
        let privsep = caller.token.as_ref().is_some_and(|token| {
            let entry = self.access.users.get(&caller.user).and_then(|u| u.tokens.get(token));
            entry.is_none_or(|t| t.privsep)
        });
        if !privsep {
            return of_user;
        }
        let of_token = self.granted(path, |g| *g == Grantee::Token(caller.id()));
        of_token.into_iter().filter(|(privilege, _)| of_user.contains_key(privilege)).collect()
    }

    fn user_privileges(&self, user: &str, path: &str) -> BTreeMap<String, bool> {
        if user == "root@pam" {
            return known_privileges(self.version).iter().map(|p| ((*p).to_owned(), true)).collect();
        }
        self.granted(path, |grantee| match grantee {
            Grantee::User(id) => id == user,
            Grantee::Group(group) => self.access.groups.get(group).is_some_and(|group| group.members.contains(user)),
            Grantee::Token(_) => false,
        })
    }

    /// The most specific path with an entry wins; a user's own entry there beats its groups'.
    fn granted(&self, path: &str, applies: impl Fn(&Grantee) -> bool) -> BTreeMap<String, bool> {
        let mut roles = self.roles_at(path, &applies);
        // A guest or storage in a pool has what was granted on the pool, besides (PVE::RPCEnvironment).
        let pool = self.pools.iter().find(|(_, pool)| {
            path.strip_prefix("/vms/").and_then(|id| id.parse().ok()).is_some_and(|id: u32| pool.guests.contains(&id))
                || path.strip_prefix("/storage/").is_some_and(|id| pool.storages.contains(id))
        });
        if let Some((name, _)) = pool {
            for (role, propagate) in self.roles_at(&format!("/pool/{name}"), &applies) {
                roles.entry(role).or_insert(propagate);
            }
        }
        if roles.contains_key("NoAccess") {
            return BTreeMap::new();
        }
        let mut privileges = BTreeMap::new();
        for (role, propagate) in roles {
            for privilege in self.role(&role).unwrap_or_default() {
                *privileges.entry(privilege).or_insert(false) |= propagate;
            }
        }
        privileges
    }

    fn roles_at(&self, path: &str, applies: impl Fn(&Grantee) -> bool) -> BTreeMap<String, bool> {
        let mut steps = vec!["/".to_owned()];
        let mut at = String::new();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            at = format!("{at}/{part}");
            steps.push(at.clone());
        }
        let last = steps.len() - 1;
        let mut roles = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            let here: Vec<&Acl> = self
                .access
                .acls
                .iter()
                .filter(|acl| acl.path == *step && applies(&acl.grantee) && (index == last || acl.propagate))
                .collect();
            let own: Vec<&&Acl> = here.iter().filter(|acl| !matches!(acl.grantee, Grantee::Group(_))).collect();
            let counted: Vec<&Acl> = if own.is_empty() { here } else { own.into_iter().copied().collect() };
            if !counted.is_empty() {
                roles = counted.into_iter().map(|acl| (acl.role.clone(), acl.propagate)).collect();
            }
        }
        roles
    }

    /// Privileges of a role, built in or made.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<BTreeSet<String>> {
        if let Some(privileges) = self.access.roles.get(name) {
            return Some(privileges.clone());
        }
        super::built_in_roles(self.version).remove(name)
    }

    /// Whether a caller has any of these privileges at a path.
    #[must_use]
    pub fn may(&self, caller: &Caller, path: &str, any_of: &[&str]) -> bool {
        let has = self.privileges(caller, path);
        any_of.iter().any(|privilege| has.contains_key(*privilege))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let mut world = World::default();
        let tokens =
            BTreeMap::from([("all".to_owned(), Token::new("s1", false)), ("sep".to_owned(), Token::new("s2", true))]);
        world.access.users.insert("infra@pve".into(), User { enabled: true, tokens, ..User::default() });
        world.access.acls.push(Acl {
            path: "/".into(),
            grantee: Grantee::User("infra@pve".into()),
            role: "PVEVMAdmin".into(),
            propagate: true,
        });
        world
    }

    #[test]
    fn a_privilege_separated_token_has_the_intersection() {
        let mut world = world();
        let sep = Caller::token("infra@pve", "sep");
        assert!(!world.may(&sep, "/vms/100", &["VM.Audit"]));
        world.access.acls.push(Acl {
            path: "/vms/100".into(),
            grantee: Grantee::Token("infra@pve!sep".into()),
            role: "Administrator".into(),
            propagate: true,
        });
        assert!(world.may(&sep, "/vms/100", &["VM.Audit"]));
        assert!(!world.may(&sep, "/vms/100", &["Datastore.Allocate"]), "its user has not got it");
        assert!(!world.may(&sep, "/vms/101", &["VM.Audit"]));
    }

    #[test]
    fn a_more_specific_path_replaces_what_was_inherited() {
        let mut world = world();
        let all = Caller::token("infra@pve", "all");
        world.access.acls.push(Acl {
            path: "/vms/100".into(),
            grantee: Grantee::User("infra@pve".into()),
            role: "PVEAuditor".into(),
            propagate: true,
        });
        assert!(world.may(&all, "/vms/101", &["VM.PowerMgmt"]));
        assert!(!world.may(&all, "/vms/100", &["VM.PowerMgmt"]));
        assert!(world.may(&all, "/vms/100", &["VM.Audit"]));
    }

    #[test]
    fn only_the_right_secret_of_a_living_token_gets_in() {
        let mut world = world();
        assert_eq!(world.authenticate("infra@pve!all=s1"), Some(Caller::token("infra@pve", "all")));
        for wrong in ["infra@pve!all=s2", "infra@pve!ghost=s1", "ghost@pve!all=s1", "infra@pve", ""] {
            assert_eq!(world.authenticate(wrong), None, "{wrong}");
        }
        world.access.users.get_mut("infra@pve").unwrap().enabled = false;
        assert_eq!(world.authenticate("infra@pve!all=s1"), None);
    }
}
