//! Version of a host; also the first question to it, which tells whether it answers at all.

use serde_json::Value;

use crate::diag::Invalid;
use crate::model::observed::Release;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for it.
#[must_use]
pub fn request() -> Request {
    endpoints::VERSION.at(&[]).request()
}

/// Reads it.
///
/// # Errors
/// When the answer has no version.
pub fn read(data: &Value) -> Result<Release, Invalid> {
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(str::to_owned);
    let version =
        text("version").ok_or_else(|| Invalid::new("the answer has no `version`: is this a Proxmox VE API?"))?;
    Ok(Release { version, repoid: text("repoid").unwrap_or_default() })
}
