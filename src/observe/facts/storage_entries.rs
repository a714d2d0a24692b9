//! How a site's storages are set up.

use std::collections::BTreeMap;

use super::text;
use crate::diag::Invalid;
use crate::model::StorageName;
use crate::model::observed::StorageEntry;
use crate::ports::Output;
use crate::proxmox::storage_file;

/// Prints PVE's own file: asking the API for it needs `Datastore.Allocate`.
pub const COMMAND: [&str; 2] = ["cat", "/etc/pve/storage.cfg"];

/// Reads it; where there is none, PVE goes by its defaults.
///
/// # Errors
/// When the file cannot be read.
pub fn read(output: &Output) -> Result<BTreeMap<StorageName, StorageEntry>, Invalid> {
    Ok(storage_file::entries(&text::file(output)?.unwrap_or_default()))
}
