//! Zones and their records.

use std::collections::BTreeMap;

use crate::blueprint::dns::{address_of, below, zone_of};
use crate::blueprint::draft::Draft;
use crate::blueprint::{Dns, OpnSense, RecordData, SecretRef, Trust, Zone};
use crate::diag::Spanned;
use crate::inventory;

/// How long others may keep an answer: short, for what this inventory says may be another thing tomorrow.
const TTL_S: u32 = 300;

pub(super) fn dns(draft: &Draft<'_>) -> Option<Dns> {
    let Some(own) = &draft.inventory.document.dns else { return Some(Dns::default()) };
    let zones = own.zones.iter().flatten().filter(|(_, block)| block.guest.is_some());
    Some(Dns {
        zones: zones
            .map(|(name, block)| zone(draft, &name.value.0, block).map(|zone| (name.value.0.clone(), zone)))
            .collect::<Option<_>>()?,
        opnsense: match &own.opnsense {
            Some(router) => Some(opnsense(draft, router)?),
            None => None,
        },
        extra_hosts: own.extra_hosts.is_some_and(|wanted| wanted.value),
    })
}

/// The OPNsense with every zone that no guest serves.
fn opnsense(draft: &Draft<'_>, own: &Spanned<inventory::OpnSense>) -> Option<OpnSense> {
    let secret = |name: &Option<Spanned<inventory::SecretName>>| {
        name.as_ref().map(|name| SecretRef { name: name.value.0.clone(), span: name.span })
    };
    let zones = draft.zones().filter(|(_, block)| block.guest.is_none()).map(|(name, block)| {
        let name = name.value.0.as_str();
        let records = records(draft, name, block)?;
        let addresses = records.keys().filter_map(|label| Some((label.clone(), address_of(&records, name, label)?)));
        Some((name.to_owned(), addresses.collect()))
    });
    Some(OpnSense {
        url: own.url.as_ref()?.value.0.trim_end_matches('/').to_owned(),
        key: secret(&own.key)?,
        secret: secret(&own.secret)?,
        trust: match (&own.fingerprint, &own.ca_file) {
            (Some(fingerprint), None) => Some(Trust::Fingerprint(fingerprint.value)),
            (None, Some(file)) => Some(Trust::CaFile(file.value.0.clone())),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        },
        zones: zones.collect::<Option<_>>()?,
        span: own.span,
    })
}

/// What is in a zone: what was written, the guests, and the sites below it.
fn records(draft: &Draft<'_>, name: &str, block: &inventory::Zone) -> Option<BTreeMap<String, RecordData>> {
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
    Some(records)
}

fn zone(draft: &Draft<'_>, name: &str, block: &Spanned<inventory::Zone>) -> Option<Zone> {
    let guest = draft.guest(&block.guest.as_ref()?.value)?;
    Some(Zone {
        name: name.to_owned(),
        guest: guest.name.value.clone(),
        address: guest.own.address.as_ref()?.value.0,
        email: block.email.as_ref().map_or_else(|| format!("hostmaster@{name}"), |email| email.value.0.clone()),
        ttl_s: block.ttl.map_or(TTL_S, |ttl| ttl.value),
        records: records(draft, name, block)?,
        span: block.span,
    })
}
