//! What VMs and containers are told in the same words.

use super::guest_addr;
use crate::blueprint::{Blueprint, Guest, HostNetwork, Startup};
use crate::resources::ownership::{notes, owner_tag};
use crate::resources::setting::Setting;

/// What VMs and containers are told in the same words.
pub fn common_settings(blueprint: &Blueprint, guest: &Guest, name_key: &str, nic: &'static str) -> Vec<Setting> {
    let addr = guest_addr(guest);
    let mut tags: Vec<String> = guest.tags.iter().map(ToString::to_string).collect();
    tags.push(owner_tag(&blueprint.name).to_string());
    let network = &blueprint.host_of(guest).network;
    let dns: Vec<String> = network.dns.iter().map(ToString::to_string).collect();
    vec![
        Setting::live(name_key, &guest.name, None),
        Setting::live("description", notes(&blueprint.name, &addr, &guest.notes), None),
        Setting::live("tags", tags.join(";"), None),
        Setting::live("onboot", i32::from(guest.onboot), Some("0")),
        Setting::live("startup", "", None).maybe(startup(guest.startup)),
        Setting::live("protection", i32::from(guest.protection), Some("0")),
        // Cloud-init tells a VM of them when it starts; PVE keeps them pending on a running container.
        Setting::cold("nameserver", "", None).maybe(Some(dns.join(" ")).filter(|d| !d.is_empty())),
        Setting::cold("searchdomain", "", None).maybe(network.domain.clone()),
        Setting::option("net0", "bridge", Some(network.bridge.to_string()), None).based_on(nic),
        Setting::option("net0", "firewall", Some("1".into()), Some("0")),
        Setting::option("net0", "tag", network.vlan.map(|vlan| vlan.to_string()), None),
    ]
}

/// What PVE calls address and gateway of a guest in this network.
pub fn address_options(network: &HostNetwork) -> (&'static str, &'static str) {
    if network.gateway.is_ipv6() { ("ip6", "gw6") } else { ("ip", "gw") }
}

fn startup(startup: Startup) -> Option<String> {
    let parts = [("order", startup.order), ("up", startup.up_s), ("down", startup.down_s)];
    let text: Vec<String> = parts.iter().filter_map(|(name, value)| value.map(|v| format!("{name}={v}"))).collect();
    (!text.is_empty()).then(|| text.join(","))
}
