//! Nodes of a site and whether it may write.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::NodeName;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Nodes with whether they are online, and whether the site is quorate.
pub type Nodes = (BTreeMap<NodeName, bool>, bool);

/// Asks for them.
#[must_use]
pub fn request() -> Request {
    endpoints::CLUSTER_STATUS.at(&[]).request()
}

/// Reads them. A host outside a cluster has no entry of type `cluster`, and is always quorate.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<Nodes, Invalid> {
    let mut nodes = BTreeMap::new();
    let mut quorate = true;
    for row in Row::all(data)? {
        match row.need("type")?.as_str() {
            "node" => {
                nodes.insert(row.need("name")?.parse()?, row.flag("online")?);
            }
            "cluster" => quorate = row.flag("quorate")?,
            _ => {}
        }
    }
    if nodes.is_empty() { Err(Invalid::new("the answer lists no node")) } else { Ok((nodes, quorate)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_single_host_is_always_quorate() {
        let data = json!([{"ip": "192.0.2.1", "level": "", "online": 1, "nodeid": 0, "id": "node/pve1", "name": "pve1", "local": 1, "type": "node"}]);
        assert_eq!(read(&data), Ok((BTreeMap::from([("pve1".parse().unwrap(), true)]), true)));
    }

    #[test]
    fn a_cluster_says_who_is_offline_and_whether_it_may_write() {
        let data = json!([
            {"type": "cluster", "id": "cluster", "name": "lab", "nodes": 2, "quorate": 0, "version": 2},
            {"type": "node", "id": "node/a1", "name": "a1", "online": 1},
            {"type": "node", "id": "node/a2", "name": "a2", "online": 0},
        ]);
        let (nodes, quorate) = read(&data).unwrap();
        assert!(!quorate && nodes[&"a1".parse().unwrap()] && !nodes[&"a2".parse().unwrap()]);
    }
}
