//! Bridges of a node.

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::{BridgeName, NodeName};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them, Linux and Open vSwitch alike.
#[must_use]
pub fn request(node: &NodeName) -> Request {
    endpoints::NODE_NETWORK.at(&[node.as_str()]).set("type", "any_bridge").request()
}

/// Reads them.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<Vec<BridgeName>, Invalid> {
    let mut bridges = Vec::new();
    for row in Row::all(data)? {
        // a name that no inventory can hold is none that anybody asks for
        bridges.extend(row.need("iface")?.parse::<BridgeName>());
    }
    bridges.sort();
    Ok(bridges)
}
