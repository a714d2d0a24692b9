//! Requests to a tailnet's control plane, whoever runs it.
//!
//! The words are the house's own: an adapter says them in the dialect of Tailscale or of Headscale. They go through the
//! same door as Proxmox's and are told apart by [`ROOT`], a path that Proxmox VE does not have.

use std::collections::BTreeSet;

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

/// Lists the devices without those with these ids.
#[must_use]
pub fn devices_besides(known: &BTreeSet<String>) -> Request {
    request(Method::Get, "devices", vec![("besides", joined(known))])
}

/// Removes every device with this tag that is none of these: what joined since they were listed.
#[must_use]
pub fn remove_joined(tag: &str, known: &BTreeSet<String>) -> Request {
    request(Method::Delete, "devices", vec![("tag", tag.to_owned()), ("besides", joined(known))])
}

/// Gives a device this tag and takes all others from it.
#[must_use]
pub fn set_tags<'a>(id: &str, tags: impl IntoIterator<Item = &'a str>) -> Request {
    let tags = tags.into_iter().collect::<Vec<_>>().join(",");
    request(Method::Put, &format!("devices/{id}/tags"), vec![("tags", tags)])
}

/// Sets whether the key of a device ends by itself.
#[must_use]
pub fn set_expiry(id: &str, expires: bool) -> Request {
    request(Method::Put, &format!("devices/{id}/expiry"), vec![("expires", u8::from(expires).to_string())])
}

/// Ids as one parameter. No id has a comma in it: Tailscale's are alphanumeric, Headscale's are numbers.
fn joined(ids: &BTreeSet<String>) -> String {
    ids.iter().map(String::as_str).collect::<Vec<_>>().join(",")
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

/// Takes back every auth key that was made with this tag and this description.
#[must_use]
pub fn remove_keys(tag: &str, description: &str) -> Request {
    let params = vec![("tag", tag.to_owned()), ("description", description.to_owned())];
    request(Method::Delete, "keys", params)
}

/// What an auth key of a guest is described by: no two guests have the same. Tailscale takes at most 50 letters, digits,
/// dashes and spaces.
#[must_use]
pub fn key_description(inventory: &str, guest: &str) -> String {
    let plain = format!("infra {inventory} {guest}");
    let fits = plain.len() <= 50 && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"- ".contains(&b));
    if fits { plain } else { format!("infra {}", &digest(&plain)[..32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_keys_are_what_the_control_plane_takes_and_tell_guests_apart() {
        assert_eq!(key_description("vrooli", "plan-hq"), "infra vrooli plan-hq");
        let long =
            |end: &str| key_description("an-inventory-with-a-long-name", &format!("a-guest-with-a-long-name-{end}"));
        for description in [long("a"), long("b"), key_description("a.b_c", "d")] {
            assert!(description.len() <= 50, "{description}");
            assert!(description.bytes().all(|b| b.is_ascii_alphanumeric() || b"- ".contains(&b)), "{description}");
        }
        assert_ne!(long("a"), long("b"));
    }
}
