//! Zones and their records.

use std::collections::BTreeMap;

use crate::blueprint::dns::{below, zone_of};
use crate::blueprint::draft::Draft;
use crate::blueprint::{Dns, RecordData, Zone};
use crate::diag::Spanned;
use crate::inventory;

/// How long others may keep an answer: short, for what this inventory says may be another thing tomorrow.
const TTL_S: u32 = 300;

pub(super) fn dns(draft: &Draft<'_>) -> Option<Dns> {
    let Some(own) = &draft.inventory.document.dns else { return Some(Dns::default()) };
    let zones = own.zones.iter().flatten();
    Some(Dns {
        zones: zones
            .map(|(name, block)| zone(draft, &name.value.0, block).map(|zone| (name.value.0.clone(), zone)))
            .collect::<Option<_>>()?,
        extra_hosts: own.extra_hosts.is_some_and(|wanted| wanted.value),
    })
}

fn zone(draft: &Draft<'_>, name: &str, block: &Spanned<inventory::Zone>) -> Option<Zone> {
    let guest = draft.guest(&block.guest.as_ref()?.value)?;
    let zones = || draft.zones().map(|(name, _)| name.value.0.as_str());
    let mut records: BTreeMap<String, RecordData> = BTreeMap::new();
    for (own, data) in block.records.iter().flatten() {
        let data = match &data.value {
            inventory::RecordData::Address(address) => RecordData::Address(*address),
            inventory::RecordData::Name(other) => RecordData::Name(other.clone()),
        };
        records.insert(own.value.0.clone(), data);
    }
    if block.guests.is_none_or(|wanted| wanted.value) {
        for guest in &draft.guests {
            let address = guest.own.address.as_ref()?.value.0;
            records.insert(guest.name.to_string(), RecordData::Address(address));
        }
    }
    if let Some(proxy) = draft.ingress_guest() {
        for (_, site, _) in draft.all_routes() {
            let Some(label) = below(&site.value.0, name).filter(|_| zone_of(&site.value.0, zones()) == Some(name))
            else {
                continue;
            };
            // A name that stands for another one can have nothing else, and the zone itself has SOA and NS.
            let data = if label != "@" && label != proxy.name.as_str() && records.contains_key(proxy.name.as_str()) {
                RecordData::Name(proxy.name.to_string())
            } else {
                RecordData::Address(proxy.own.address.as_ref()?.value.0)
            };
            records.entry(label.to_owned()).or_insert(data);
        }
    }
    Some(Zone {
        name: name.to_owned(),
        guest: guest.name.value.clone(),
        address: guest.own.address.as_ref()?.value.0,
        email: block.email.as_ref().map_or_else(|| format!("hostmaster@{name}"), |email| email.value.0.clone()),
        ttl_s: block.ttl.map_or(TTL_S, |ttl| ttl.value),
        records,
        span: block.span,
    })
}
