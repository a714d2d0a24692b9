//! Parameters of `/nodes/N/network`.

use super::formats as f;
use super::param::{Kind, Param, optional as o, required, since_9, until_8};
use super::property_strings::{ipv4, ipv6};

const FILTER_9: &[&str] = &[
    "bridge",
    "bond",
    "eth",
    "alias",
    "vlan",
    "fabric",
    "OVSBridge",
    "OVSBond",
    "OVSPort",
    "OVSIntPort",
    "vnet",
    "any_bridge",
    "any_local_bridge",
    "include_sdn",
];
const FILTER_8: &[&str] = &[
    "bridge",
    "bond",
    "eth",
    "alias",
    "vlan",
    "OVSBridge",
    "OVSBond",
    "OVSPort",
    "OVSIntPort",
    "vnet",
    "any_bridge",
    "any_local_bridge",
];
const TYPES_9: &[&str] = &[
    "bridge",
    "bond",
    "eth",
    "alias",
    "vlan",
    "fabric",
    "OVSBridge",
    "OVSBond",
    "OVSPort",
    "OVSIntPort",
    "vnet",
    "unknown",
];
const TYPES_8: &[&str] =
    &["bridge", "bond", "eth", "alias", "vlan", "OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "vnet", "unknown"];
/// Which interfaces are asked for.
pub const FILTER: &[Param] = &[since_9("type", Kind::Enum(FILTER_9)), until_8("type", Kind::Enum(FILTER_8))];
/// What an interface is.
pub const TYPE: &[Param] = &[
    Param { required: true, ..since_9("type", Kind::Enum(TYPES_9)) },
    Param { required: true, ..until_8("type", Kind::Enum(TYPES_8)) },
];
/// Its name, where it is not in the path.
pub const IFACE: &[Param] = &[required("iface", Kind::ShortPattern(is_iface, 2, 20))];
const VLAN: Kind = Kind::Int { min: Some(1), max: Some(4094) };
/// How it is set up.
pub const CONFIG: &[Param] = &[
    o("address", Kind::Format(ipv4)),
    o("address6", Kind::Format(ipv6)),
    o("autostart", Kind::Bool),
    o("bond-primary", Kind::Text),
    o(
        "bond_mode",
        Kind::Enum(&[
            "balance-rr",
            "active-backup",
            "balance-xor",
            "broadcast",
            "802.3ad",
            "balance-tlb",
            "balance-alb",
            "balance-slb",
            "lacp-balance-slb",
            "lacp-balance-tcp",
        ]),
    ),
    o("bond_xmit_hash_policy", Kind::Enum(&["layer2", "layer2+3", "layer3+4"])),
    o("bridge_ports", Kind::Text),
    o("bridge_vids", Kind::Text),
    o("bridge_vlan_aware", Kind::Bool),
    o("cidr", Kind::Format(cidr4)),
    o("cidr6", Kind::Format(cidr6)),
    o("comments", Kind::Text),
    o("comments6", Kind::Text),
    o("gateway", Kind::Format(ipv4)),
    o("gateway6", Kind::Format(ipv6)),
    o("mtu", Kind::Int { min: Some(1280), max: Some(65520) }),
    o("netmask", Kind::Text),
    o("netmask6", Kind::Int { min: Some(0), max: Some(128) }),
    o("ovs_bonds", Kind::Text),
    o("ovs_bridge", Kind::Text),
    o("ovs_options", Kind::Short { min: 0, max: 1024 }),
    o("ovs_ports", Kind::Text),
    o("ovs_tag", VLAN),
    o("slaves", Kind::Text),
    o("vlan-id", VLAN),
    o("vlan-raw-device", Kind::Text),
];
/// What is no longer to be set.
pub const DROP: &[Param] = &[o("delete", Kind::List(f::config_ids))];
/// How changes are applied.
pub const RELOAD: &[Param] = &[since_9("regenerate-frr", Kind::Bool)];

fn is_iface(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:".contains(&b))
}

fn cidr4(text: &str) -> Result<(), String> {
    let fits = text.contains('/') && text.parse::<ipnet::Ipv4Net>().is_ok();
    if fits { Ok(()) } else { Err("value does not look like a valid IPv4 network".to_owned()) }
}

fn cidr6(text: &str) -> Result<(), String> {
    let fits = text.contains('/') && text.parse::<ipnet::Ipv6Net>().is_ok();
    if fits { Ok(()) } else { Err("value does not look like a valid IPv6 network".to_owned()) }
}
