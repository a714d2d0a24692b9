//! Requests to a tailnet's control plane, whoever runs it.
//!
//! The words are the house's own: an adapter says them in the dialect of Tailscale or of Headscale. They go through the
//! same door as Proxmox's and are told apart by [`ROOT`], a path that Proxmox VE does not have.

use sha2::{Digest, Sha256};

use crate::ports::{Method, Request};

/// Where all of them are.
pub const ROOT: &str = "/tailnet/";

/// How long an auth key may be used, in seconds: as long as the step that it is made for.
pub const KEY_LIFE_S: u32 = 600;

fn request(method: Method, path: &str, params: Vec<(&str, String)>) -> Request {
    let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Request { method, path: format!("{ROOT}{path}"), params }
}

/// Whether a request is for the control plane and not for Proxmox VE.
#[must_use]
pub fn is_ours(request: &Request) -> bool {
    request.path.starts_with(ROOT)
}

/// Reads the policy: `policy` is its text.
#[must_use]
pub fn policy() -> Request {
    request(Method::Get, "policy", Vec::new())
}

/// Has a policy judged; nothing changes.
#[must_use]
pub fn check_policy(text: &str) -> Request {
    request(Method::Post, "policy/check", vec![("policy", text.to_owned())])
}

/// Writes the policy if it still is `was`; with `untouched`, only if nobody has ever changed it.
#[must_use]
pub fn set_policy(text: &str, was: &str, untouched: bool) -> Request {
    let mut params = vec![("policy", text.to_owned()), ("was", digest(was))];
    if untouched {
        params.push(("untouched", "1".to_owned()));
    }
    request(Method::Put, "policy", params)
}

/// The digest by which a text is told from another.
#[must_use]
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lists the devices.
#[must_use]
pub fn devices() -> Request {
    request(Method::Get, "devices", Vec::new())
}

/// Removes a device.
#[must_use]
pub fn remove_device(id: &str) -> Request {
    request(Method::Delete, &format!("devices/{id}"), Vec::new())
}

/// Makes an auth key for one device with this tag, approved beforehand: `key` of the answer, which nobody may keep.
#[must_use]
pub fn new_key(tag: &str, description: &str) -> Request {
    let params =
        vec![("tag", tag.to_owned()), ("expiry", KEY_LIFE_S.to_string()), ("description", description.to_owned())];
    request(Method::Post, "keys", params)
}

/// Takes an auth key back.
#[must_use]
pub fn remove_key(id: &str) -> Request {
    request(Method::Delete, &format!("keys/{id}"), Vec::new())
}
