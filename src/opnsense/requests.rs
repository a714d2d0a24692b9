//! Requests to an OPNsense.
//!
//! The words are the house's own: an adapter says them in those of the API. They go through the same door as Proxmox's
//! and are told apart by [`ROOT`], a path that Proxmox VE does not have.

use crate::model::opnsense::Override;
use crate::ports::{Method, Request};

/// Where all of them are.
pub const ROOT: &str = "/opnsense/";

fn request(method: Method, path: &str, params: Vec<(&str, String)>) -> Request {
    let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Request { method, path: format!("{ROOT}{path}"), params }
}

/// Whether a request is for an OPNsense and not for Proxmox VE.
#[must_use]
pub fn is_ours(request: &Request) -> bool {
    request.path.starts_with(ROOT)
}

/// Lists host overrides: an array of [`Override`]s, each with its [`line`].
#[must_use]
pub fn overrides() -> Request {
    request(Method::Get, "overrides", Vec::new())
}

/// Lists further names of host overrides: an array of [`crate::model::opnsense::OverrideAlias`]es.
#[must_use]
pub fn aliases() -> Request {
    request(Method::Get, "aliases", Vec::new())
}

/// Writes an override, whether there is one of its id or not.
#[must_use]
pub fn set(wanted: &Override) -> Request {
    let params = vec![
        ("enabled", if wanted.enabled { "1" } else { "0" }.to_owned()),
        ("hostname", wanted.hostname.clone()),
        ("domain", wanted.domain.clone()),
        ("rr", wanted.kind.clone()),
        ("server", wanted.address.clone()),
        ("description", wanted.description.clone()),
    ];
    request(Method::Put, &format!("overrides/{}", wanted.uuid), params)
}

/// Removes an override; that there is none is fine.
#[must_use]
pub fn remove(uuid: &str) -> Request {
    request(Method::Delete, &format!("overrides/{uuid}"), Vec::new())
}

/// Has Unbound read what was written: it is restarted, and for a moment nobody is answered.
#[must_use]
pub fn reconfigure() -> Request {
    request(Method::Post, "reconfigure", Vec::new())
}

/// All of an override in one line: what tells that it was written.
#[must_use]
pub fn line(there: &Override) -> String {
    let state = if there.enabled { "on" } else { "off" };
    format!("{} {} {} {} {state} {}", there.uuid, there.name(), there.kind, there.address, there.description)
}
