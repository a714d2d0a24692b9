//! `/access`: logins, users, tokens, groups, roles, the access control list.
//!
//! One file per kind of thing; [`checks`] holds what PVE declares as permission of several of them.

mod acl;
mod checks;
mod domains;
mod groups;
mod permissions;
mod roles;
mod ticket;
mod tokens;
mod users;

pub use acl::ENDPOINTS as ACL;
pub use checks::is_token;
pub use domains::ENDPOINTS as DOMAINS;
pub use groups::ENDPOINTS as GROUPS;
pub use permissions::ENDPOINTS as PERMISSIONS;
pub use roles::ENDPOINTS as ROLES;
pub use ticket::ENDPOINTS as TICKET;
pub use tokens::ENDPOINTS as TOKENS;
pub use users::ENDPOINTS as USERS;
