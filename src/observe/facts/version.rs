//! Version of a host; also the first question to it, which tells whether it answers at all.

use serde_json::Value;

use crate::diag::Invalid;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for it.
#[must_use]
pub fn request() -> Request {
    endpoints::VERSION.at(&[]).request()
}

/// Reads it, such as `9.2.11`.
///
/// # Errors
/// When the answer has no version.
pub fn read(data: &Value) -> Result<String, Invalid> {
    let version = data.get("version").and_then(Value::as_str);
    version.map(str::to_owned).ok_or_else(|| Invalid::new("the answer has no `version`: is this a Proxmox VE API?"))
}
