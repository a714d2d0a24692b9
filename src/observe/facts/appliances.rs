//! Container templates that a node can fetch: its own index, which `pveam update` renews.

use std::collections::BTreeSet;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::NodeName;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request(node: &NodeName) -> Request {
    endpoints::APPLIANCES.at(&[node.as_str()]).request()
}

/// Reads their file names.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<BTreeSet<String>, Invalid> {
    Row::all(data)?.into_iter().map(|row| row.need("template")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_known_by_their_file_names() {
        let data = json!([{"template": "debian-12-standard_12.12-1_amd64.tar.zst", "package": "debian-12-standard", "version": "12.12-1"}]);
        assert!(read(&data).unwrap().contains("debian-12-standard_12.12-1_amd64.tar.zst"));
        assert!(read(&json!([])).unwrap().is_empty());
    }
}
