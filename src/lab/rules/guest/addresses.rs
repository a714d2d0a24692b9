//! Addresses and MACs of a guest's NICs, as its configuration has them.

use crate::lab::rules::property_strings::NIC_MODELS;
use crate::lab::world::property::Properties;
use crate::lab::world::{Guest, GuestKind};

/// Addresses that a guest's NIC has: the static one of its configuration.
#[must_use]
pub fn addresses(guest: &Guest, index: u32) -> Vec<String> {
    let key = if guest.kind == GuestKind::Qemu { format!("ipconfig{index}") } else { format!("net{index}") };
    let fields = Properties::parse(guest.config.get(&key).map_or("", String::as_str));
    ["ip", "ip6"].iter().filter_map(|k| fields.get(k)).filter(|a| a.contains('/')).map(str::to_owned).collect()
}

/// MAC of a NIC, in lower case.
#[must_use]
pub fn mac(guest: &Guest, index: u32) -> Option<String> {
    let fields = Properties::parse(guest.config.get(&format!("net{index}"))?);
    let model = fields.0.iter().find(|(key, _)| NIC_MODELS.contains(&key.as_str()));
    Some(
        fields
            .get("hwaddr")
            .map_or_else(|| model.map(|(_, m)| m.clone()).unwrap_or_default(), str::to_owned)
            .to_ascii_lowercase(),
    )
}
