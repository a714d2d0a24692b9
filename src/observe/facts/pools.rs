//! Resource pools with their comments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request() -> Request {
    endpoints::POOLS.at(&[]).request()
}

/// Reads them.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<BTreeMap<String, String>, Invalid> {
    Row::all(data)?.into_iter().map(|row| Ok((row.need("poolid")?, row.text("comment")?.unwrap_or_default()))).collect()
}
