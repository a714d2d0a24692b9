//! Firewall files as the resources here would write them: what is judged before it is written.
//!
//! Put together from the same functions that the steps are made of, so that nothing can be judged that is not written.

use super::{datacenter_firewall, flow_firewall, guest_firewall, host_firewall};
use crate::blueprint::{Blueprint, Guest, Host};
use crate::model::entrance::HostFirewall;
use crate::model::observed::{ClusterFirewall, GuestFirewall};

/// What is ours in `cluster.fw` of a site.
#[must_use]
pub fn cluster(blueprint: &Blueprint, site: &str) -> ClusterFirewall {
    let mut file = datacenter_firewall::file(blueprint, site).unwrap_or_default();
    let ClusterFirewall { aliases, ipsets, groups, .. } = flow_firewall::site_firewall(blueprint, site);
    file.aliases.extend(aliases);
    file.ipsets.extend(ipsets);
    file.groups.extend(groups);
    file
}

/// What is ours in `host.fw`, if the inventory declares the host's firewall.
#[must_use]
pub fn host(blueprint: &Blueprint, host: &Host) -> Option<HostFirewall> {
    host_firewall::file_of(blueprint, host)
}

/// A guest's file.
#[must_use]
pub fn guest(blueprint: &Blueprint, guest: &Guest) -> GuestFirewall {
    guest_firewall::wanted(blueprint, guest)
}
