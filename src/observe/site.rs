//! What is read once for all hosts of a site.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts;
use super::host::{fact, read};
use crate::client::Session;
use crate::diag::Invalid;
use crate::model::observed::{Fact, GuestListing, PciMapping};
use crate::model::{MappingName, NodeName, Permissions, Upid, Vmid};

/// What was read of a site.
pub(super) struct SiteFacts {
    pub nodes: Fact<facts::nodes::Nodes>,
    pub guests: Result<BTreeMap<Vmid, GuestListing>, String>,
    pub node_memory: Fact<BTreeMap<NodeName, u64>>,
    pub pools: Fact<BTreeMap<String, String>>,
    pub mappings: Fact<BTreeMap<MappingName, PciMapping>>,
    pub tasks: Fact<Vec<Upid>>,
    pub permissions: Fact<Permissions>,
}

/// Guests of a site, and what its nodes have.
type Resources = (BTreeMap<Vmid, GuestListing>, Result<BTreeMap<NodeName, u64>, String>);

/// Guests that are not understood are none; a node's memory is worth less than they are.
fn resources(data: &Value) -> Result<Resources, Invalid> {
    let memory = facts::guests::read_node_memory(data).map_err(|invalid| invalid.problem);
    Ok((facts::guests::read_site(data)?, memory))
}

impl SiteFacts {
    pub fn unavailable(why: &str) -> Self {
        Self {
            nodes: Fact::unavailable(why),
            guests: Err(why.to_owned()),
            node_memory: Fact::unavailable(why),
            pools: Fact::unavailable(why),
            mappings: Fact::unavailable(why),
            tasks: Fact::unavailable(why),
            permissions: Fact::unavailable(why),
        }
    }

    pub async fn read(session: Session) -> Self {
        let (nodes, resources, pools, mappings, tasks, permissions) = tokio::join!(
            read(&session, facts::nodes::request(), facts::nodes::read),
            read(&session, facts::guests::site_request(), resources),
            read(&session, facts::pools::request(), facts::pools::read),
            read(&session, facts::pci_mappings::request(), facts::pci_mappings::read),
            read(&session, facts::tasks::request(), facts::tasks::read),
            read(&session, facts::permissions::request(), facts::permissions::read),
        );
        let (guests, node_memory) = match resources {
            Ok((guests, memory)) => (Ok(guests), fact(memory)),
            Err(why) => (Err(why.clone()), Fact::unavailable(why)),
        };
        Self {
            nodes: fact(nodes),
            guests,
            node_memory,
            pools: fact(pools),
            mappings: fact(mappings),
            tasks: fact(tasks),
            permissions: fact(permissions),
        }
    }
}
