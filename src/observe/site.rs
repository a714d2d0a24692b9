//! What is read once for all hosts of a site.

use std::collections::BTreeMap;

use super::facts;
use super::host::{fact, read};
use crate::client::Session;
use crate::model::observed::{Fact, GuestListing, PciMapping};
use crate::model::{MappingName, Permissions, Upid, Vmid};

/// What was read of a site.
pub(super) struct SiteFacts {
    pub nodes: Fact<facts::nodes::Nodes>,
    pub guests: Result<BTreeMap<Vmid, GuestListing>, String>,
    pub pools: Fact<BTreeMap<String, String>>,
    pub mappings: Fact<BTreeMap<MappingName, PciMapping>>,
    pub tasks: Fact<Vec<Upid>>,
    pub permissions: Fact<Permissions>,
}

impl SiteFacts {
    pub fn unavailable(why: &str) -> Self {
        Self {
            nodes: Fact::unavailable(why),
            guests: Err(why.to_owned()),
            pools: Fact::unavailable(why),
            mappings: Fact::unavailable(why),
            tasks: Fact::unavailable(why),
            permissions: Fact::unavailable(why),
        }
    }

    pub async fn read(session: Session) -> Self {
        let (nodes, guests, pools, mappings, tasks, permissions) = tokio::join!(
            read(&session, facts::nodes::request(), facts::nodes::read),
            read(&session, facts::guests::site_request(), facts::guests::read_site),
            read(&session, facts::pools::request(), facts::pools::read),
            read(&session, facts::pci_mappings::request(), facts::pci_mappings::read),
            read(&session, facts::tasks::request(), facts::tasks::read),
            read(&session, facts::permissions::request(), facts::permissions::read),
        );
        Self {
            nodes: fact(nodes),
            guests,
            pools: fact(pools),
            mappings: fact(mappings),
            tasks: fact(tasks),
            permissions: fact(permissions),
        }
    }
}
