//! Names of fields as Headscale's published API description has them, for the tests of what is sent and read.
//!
//! Recorded from `gen/openapiv2/headscale/v1/headscale.swagger.json` of juanfont/headscale (a version of 2025, with
//! `approvedRoutes`); only names of `definitions` that are used here.

use serde_json::Value;

/// `v1Node`.
pub(super) const NODE: &[&str] = &[
    "id",
    "machineKey",
    "nodeKey",
    "discoKey",
    "ipAddresses",
    "name",
    "user",
    "lastSeen",
    "expiry",
    "preAuthKey",
    "createdAt",
    "registerMethod",
    "forcedTags",
    "invalidTags",
    "validTags",
    "givenName",
    "online",
    "approvedRoutes",
    "availableRoutes",
    "subnetRoutes",
];
/// `v1PreAuthKey`.
pub(super) const PRE_AUTH_KEY: &[&str] =
    &["user", "id", "key", "reusable", "ephemeral", "used", "expiration", "createdAt", "aclTags"];
/// `v1CreatePreAuthKeyRequest`.
pub(super) const CREATE_PRE_AUTH_KEY: &[&str] = &["user", "reusable", "ephemeral", "expiration", "aclTags"];
/// `v1ExpirePreAuthKeyRequest`.
pub(super) const EXPIRE_PRE_AUTH_KEY: &[&str] = &["user", "key"];
/// `HeadscaleServiceSetTagsBody`.
pub(super) const SET_TAGS_BODY: &[&str] = &["tags"];

/// Fails where an object has a field of another name.
pub(super) fn only(object: &Value, names: &[&str]) {
    let object = object.as_object().expect("an object");
    let strange: Vec<&String> = object.keys().filter(|key| !names.contains(&key.as_str())).collect();
    assert!(strange.is_empty() && !object.is_empty(), "{strange:?} are none of {names:?}");
}
