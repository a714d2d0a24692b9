//! The guest list of a site, joined from the site's and the nodes' own.

use std::collections::BTreeMap;

use crate::model::observed::{Fact, GuestListing, Power};
use crate::model::{NodeName, Vmid};

/// The list of one node, or why there is none.
pub(super) type NodeList = Result<BTreeMap<Vmid, GuestListing>, String>;

/// Joins them: who is there and in which pool is the site's to say, everything else the node's.
///
/// A node that is offline, or whose own list could not be read, makes the state of its guests unknown;
/// that the guests are there is known all the same, so that the list stays complete.
pub(super) fn join(
    site: Result<BTreeMap<Vmid, GuestListing>, String>,
    nodes: &BTreeMap<NodeName, NodeList>,
    online: Option<&BTreeMap<NodeName, bool>>,
) -> Fact<BTreeMap<Vmid, GuestListing>> {
    let live = || nodes.values().filter_map(|list| list.as_ref().ok()).flatten();
    let mut guests = match site {
        Ok(guests) => guests,
        Err(why) => {
            let value: BTreeMap<_, _> = live().map(|(vmid, guest)| (*vmid, guest.clone())).collect();
            return if value.is_empty() { Fact::unavailable(why) } else { Fact::Partial { value, why } };
        }
    };
    for guest in guests.values_mut() {
        let silent = nodes.get(&guest.node).is_some_and(Result::is_err);
        let offline = online.and_then(|online| online.get(&guest.node)) == Some(&false);
        if silent || offline {
            guest.status = Power::Unknown;
        }
    }
    for (vmid, now) in live() {
        let pool = guests.get(vmid).and_then(|guest| guest.pool.clone());
        guests.insert(*vmid, GuestListing { pool, ..now.clone() });
    }
    Fact::complete(guests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::GuestKind;

    fn guest(node: &str, name: Option<&str>, status: Power, pool: Option<&str>) -> GuestListing {
        GuestListing {
            kind: GuestKind::Qemu,
            node: node.parse().unwrap(),
            name: name.map(str::to_owned),
            status,
            tags: Vec::new(),
            pool: pool.map(str::to_owned),
            lock: None,
            template: false,
            memory: None,
        }
    }

    #[test]
    fn the_node_knows_the_state_and_the_site_knows_the_pool() {
        let vmid: Vmid = 100.try_into().unwrap();
        let site = BTreeMap::from([(vmid, guest("a1", None, Power::Unknown, Some("p")))]);
        let node = BTreeMap::from([(vmid, guest("a1", Some("x"), Power::Running, None))]);
        let joined = join(Ok(site), &BTreeMap::from([("a1".parse().unwrap(), Ok(node))]), None);
        assert_eq!(joined, Fact::complete(BTreeMap::from([(vmid, guest("a1", Some("x"), Power::Running, Some("p")))])));
    }

    #[test]
    fn guests_of_an_offline_node_are_there_and_their_state_is_unknown() {
        let vmid: Vmid = 100.try_into().unwrap();
        let site = || Ok(BTreeMap::from([(vmid, guest("a2", Some("x"), Power::Running, None))]));
        let a2: NodeName = "a2".parse().unwrap();
        let unknown = Fact::complete(BTreeMap::from([(vmid, guest("a2", Some("x"), Power::Unknown, None))]));
        assert_eq!(join(site(), &BTreeMap::new(), Some(&BTreeMap::from([(a2.clone(), false)]))), unknown);
        assert_eq!(join(site(), &BTreeMap::from([(a2, Err("595".into()))]), None), unknown);
    }

    #[test]
    fn without_the_site_s_list_the_nodes_tell_only_a_part() {
        let vmid: Vmid = 100.try_into().unwrap();
        let node = BTreeMap::from([(vmid, guest("a1", Some("x"), Power::Running, None))]);
        let joined = join(Err("403".into()), &BTreeMap::from([("a1".parse().unwrap(), Ok(node))]), None);
        assert!(!joined.is_complete() && joined.value().is_some());
    }
}
