//! The guest list of a site, and of one node.
//!
//! `/cluster/resources` knows every guest and its pool at once, but its name, tags and state lag by up
//! to 10 s, and a fresh guest has none of them (9.2.11); the list of a node is exact.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::observed::{GuestKind, GuestListing, Power};
use crate::model::{NodeName, Vmid};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for all guests of a site, and for its nodes: one list has both.
#[must_use]
pub fn site_request() -> Request {
    endpoints::CLUSTER_RESOURCES.at(&[]).request()
}

/// Asks for the guests of a node.
#[must_use]
pub fn node_request(node: &NodeName, kind: GuestKind) -> Request {
    match kind {
        GuestKind::Qemu => endpoints::NODE_QEMU.at(&[node.as_str()]).request(),
        GuestKind::Lxc => endpoints::NODE_LXC.at(&[node.as_str()]).request(),
    }
}

/// Reads all guests of a site.
///
/// # Errors
/// When the answer is not understood.
pub fn read_site(data: &Value) -> Result<BTreeMap<Vmid, GuestListing>, Invalid> {
    let mut guests = BTreeMap::new();
    for row in Row::all(data)? {
        let kind = match row.need("type")?.as_str() {
            "qemu" => GuestKind::Qemu,
            "lxc" => GuestKind::Lxc,
            _ => continue,
        };
        guests.insert(row.need("vmid")?.parse()?, listing(row, kind, row.need("node")?.parse()?)?);
    }
    Ok(guests)
}

/// Reads how much memory the nodes of a site have, in bytes. Of a node that is off, or that the token may not
/// audit, PVE does not say it.
///
/// # Errors
/// When the answer is not understood.
pub fn read_node_memory(data: &Value) -> Result<BTreeMap<NodeName, u64>, Invalid> {
    let mut memory = BTreeMap::new();
    for row in Row::all(data)? {
        if row.need("type")? == "node"
            && let Some(bytes) = row.number("maxmem")?.filter(|bytes| *bytes > 0)
        {
            memory.insert(row.need("node")?.parse()?, bytes);
        }
    }
    Ok(memory)
}

/// Reads the guests of a node; they have no pool there.
///
/// # Errors
/// When the answer is not understood.
pub fn read_node(data: &Value, node: &NodeName, kind: GuestKind) -> Result<BTreeMap<Vmid, GuestListing>, Invalid> {
    Row::all(data)?.into_iter().map(|row| Ok((row.need("vmid")?.parse()?, listing(row, kind, node.clone())?))).collect()
}

fn listing(row: Row<'_>, kind: GuestKind, node: NodeName) -> Result<GuestListing, Invalid> {
    Ok(GuestListing {
        kind,
        node,
        name: row.text("name")?,
        status: match row.text("status")?.as_deref() {
            Some("running") => Power::Running,
            Some("stopped") => Power::Stopped,
            _ => Power::Unknown,
        },
        tags: tags(&row.text("tags")?.unwrap_or_default()),
        pool: row.text("pool")?.filter(|pool| !pool.is_empty()),
        lock: row.text("lock")?.filter(|lock| !lock.is_empty()),
        template: row.flag("template")?,
        memory: row.number("maxmem")?,
    })
}

/// PVE joins tags with `;` and takes commas and spaces as well.
fn tags(text: &str) -> Vec<String> {
    text.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fresh_guest_has_no_name_and_no_known_state() {
        let data = json!([
            {"pool": "prod", "status": "unknown", "vmid": 120, "id": "qemu/120", "node": "pve1", "type": "qemu"},
            {"id": "lxc/200", "template": 0, "type": "lxc", "node": "pve1", "lock": "backup", "name": "ct", "vmid": 200, "tags": "a;b", "status": "stopped"},
        ]);
        let guests = read_site(&data).unwrap();
        let fresh = &guests[&120.try_into().unwrap()];
        assert_eq!((fresh.status, fresh.pool.as_deref(), &fresh.name), (Power::Unknown, Some("prod"), &None));
        let locked = &guests[&200.try_into().unwrap()];
        assert_eq!((locked.lock.as_deref(), locked.tags.len(), locked.kind), (Some("backup"), 2, GuestKind::Lxc));
    }

    #[test]
    fn nodes_are_in_the_same_list_and_one_that_is_not_audited_has_no_memory() {
        let data = json!([
            {"id": "/pool/prod", "type": "pool", "pool": "prod"},
            {"id": "node/pve1", "type": "node", "node": "pve1", "status": "online", "level": "", "maxmem": 67_312_193_536_u64},
            {"id": "node/pve2", "type": "node", "node": "pve2", "status": "offline", "level": ""},
            {"id": "storage/pve1/local", "type": "storage", "node": "pve1", "storage": "local"},
            {"id": "lxc/200", "type": "lxc", "node": "pve1", "vmid": 200, "status": "running", "maxmem": 536_870_912},
        ]);
        assert_eq!(read_node_memory(&data), Ok(BTreeMap::from([("pve1".parse().unwrap(), 67_312_193_536)])));
        let guests = read_site(&data).unwrap();
        assert_eq!((guests.len(), guests[&200.try_into().unwrap()].memory), (1, Some(512 << 20)));
    }

    #[test]
    fn numbers_may_come_as_text() {
        let node = "pve1".parse().unwrap();
        let data = json!([{"vmid": "201", "status": "running", "name": "x", "tags": " "}]);
        let guests = read_node(&data, &node, GuestKind::Lxc).unwrap();
        assert_eq!(guests[&201.try_into().unwrap()].status, Power::Running);
        assert!(guests[&201.try_into().unwrap()].tags.is_empty());
    }
}
