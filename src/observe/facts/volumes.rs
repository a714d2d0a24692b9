//! Volumes of a storage.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::observed::Volume;
use crate::model::{NodeName, StorageName};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request(node: &NodeName, storage: &StorageName) -> Request {
    endpoints::STORAGE_CONTENT.at(&[node.as_str(), storage.as_str()]).request()
}

/// Reads them, by volume id.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<BTreeMap<String, Volume>, Invalid> {
    Row::all(data)?
        .into_iter()
        .map(|row| {
            let volume = Volume { content: row.need("content")?, size: row.number("size")?.unwrap_or_default() };
            Ok((row.need("volid")?, volume))
        })
        .collect()
}
