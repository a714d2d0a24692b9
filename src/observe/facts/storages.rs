//! Storages of a node.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::observed::Storage;
use crate::model::{NodeName, StorageName};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request(node: &NodeName) -> Request {
    endpoints::NODE_STORAGES.at(&[node.as_str()]).request()
}

/// Reads them.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<BTreeMap<StorageName, Storage>, Invalid> {
    Row::all(data)?
        .into_iter()
        .map(|row| {
            // PVE prints this set in another order each time (9.2.11)
            let mut content: Vec<String> = row
                .text("content")?
                .unwrap_or_default()
                .split(',')
                .filter(|c| !c.is_empty())
                .map(str::to_owned)
                .collect();
            content.sort();
            let active = row.flag("active")?;
            // Nothing is known of the space of one that is not reachable.
            let space = |key: &str| match row.number(key)? {
                None if active => Err(Invalid::new(format!("an active storage of the answer has no `{key}`"))),
                size => Ok(size.unwrap_or_default()),
            };
            let storage = Storage {
                kind: row.need("type")?,
                content,
                active,
                available: space("avail")?,
                total: space("total")?,
            };
            Ok((row.need("storage")?.parse()?, storage))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_types_are_a_set_and_an_inactive_storage_has_no_space() {
        let data = json!([
            {"enabled": 1, "content": "snippets,iso,vztmpl", "storage": "data", "avail": 76262973440u64, "type": "dir", "total": 270553174016u64, "active": 1},
            {"enabled": 1, "content": "images", "storage": "nas", "type": "nfs", "active": 0},
        ]);
        let storages = read(&data).unwrap();
        assert_eq!(storages[&"data".parse().unwrap()].content, ["iso", "snippets", "vztmpl"]);
        assert!(!storages[&"nas".parse().unwrap()].active);
        assert_eq!(storages[&"nas".parse().unwrap()].available, 0);
    }
}
