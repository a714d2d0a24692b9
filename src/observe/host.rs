//! What is read through the API of one host.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{facts, reason};
use crate::client::Session;
use crate::diag::Invalid;
use crate::model::observed::{Fact, GuestKind, GuestListing, PciDevice, Storage, Volume};
use crate::model::{BridgeName, NodeName, StorageName, Vmid};
use crate::ports::Request;

/// What was read of one node.
pub(super) struct NodeFacts {
    pub pci: Fact<Vec<PciDevice>>,
    pub bridges: Fact<Vec<BridgeName>>,
    pub storages: Fact<BTreeMap<StorageName, Storage>>,
    pub volumes: Fact<BTreeMap<String, Volume>>,
    pub guests: Result<BTreeMap<Vmid, GuestListing>, String>,
    pub appliances: Fact<BTreeSet<String>>,
}

impl NodeFacts {
    pub fn unavailable(why: &str) -> Self {
        Self {
            pci: Fact::unavailable(why),
            bridges: Fact::unavailable(why),
            storages: Fact::unavailable(why),
            volumes: Fact::unavailable(why),
            guests: Err(why.to_owned()),
            appliances: Fact::unavailable(why),
        }
    }

    /// Reads all of it at once; the session bounds how many requests are in flight. What the node can fetch
    /// is asked for when one of `templates`, by their file names, is not on its storage for files.
    pub async fn read(session: Session, node: NodeName, files: StorageName, templates: BTreeSet<String>) -> Self {
        let (pci_request, bridge_request) = (facts::pci_devices::request(&node), facts::bridges::request(&node));
        let storage_request = facts::storages::request(&node);
        let volume_request = facts::volumes::request(&node, &files);
        let (pci, bridges, storages, volumes, vms, containers) = tokio::join!(
            read(&session, pci_request, facts::pci_devices::read),
            read(&session, bridge_request, facts::bridges::read),
            read(&session, storage_request, facts::storages::read),
            read(&session, volume_request, facts::volumes::read),
            list(&session, &node, GuestKind::Qemu),
            list(&session, &node, GuestKind::Lxc),
        );
        let guests = vms.and_then(|mut vms| {
            vms.extend(containers?);
            Ok(vms)
        });
        let there = |template: &String| {
            volumes.as_ref().map_or(true, |all| all.contains_key(&format!("{files}:vztmpl/{template}")))
        };
        let appliances = if templates.iter().all(there) {
            Fact::default()
        } else {
            fact(read(&session, facts::appliances::request(&node), facts::appliances::read).await)
        };
        Self {
            pci: fact(pci),
            bridges: fact(bridges),
            storages: fact(storages),
            volumes: fact(volumes),
            guests,
            appliances,
        }
    }
}

async fn list(session: &Session, node: &NodeName, kind: GuestKind) -> Result<BTreeMap<Vmid, GuestListing>, String> {
    let request = facts::guests::node_request(node, kind);
    read(session, request, |data| facts::guests::read_node(data, node, kind)).await
}

/// Asks and understands, or says why not.
pub(super) async fn read<T>(
    session: &Session,
    request: Request,
    understand: impl FnOnce(&Value) -> Result<T, Invalid>,
) -> Result<T, String> {
    let data = session.read(&request).await.map_err(|error| reason::of(&error))?;
    understand(&data).map_err(|invalid| format!("{} {}: {}", request.method, request.path, invalid.problem))
}

pub(super) fn fact<T>(read: Result<T, String>) -> Fact<T> {
    match read {
        Ok(value) => Fact::complete(value),
        Err(why) => Fact::unavailable(why),
    }
}
