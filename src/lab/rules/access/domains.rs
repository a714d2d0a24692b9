//! `/access/domains`: the realms that every host has.

use serde_json::json;

use super::super::endpoint::Access::World;
use super::super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(Get, "/access/domains", &[], World, list)];

/// Everybody sees them: the login box has to show them.
fn list(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ])
    .into())
}
