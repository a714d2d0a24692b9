//! Zones with their records, and the names that everything has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Blueprint;
use crate::diag::Span;
use crate::model::GuestName;

/// What is said of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Zones by name, without a final dot.
    pub zones: BTreeMap<String, Zone>,
    /// Whether names are also written into containers.
    pub extra_hosts: bool,
}

/// A zone that a guest serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name, without a final dot.
    pub name: String,
    /// The guest that BIND runs in.
    pub guest: GuestName,
    /// That guest's address.
    pub address: IpAddr,
    /// Who looks after it.
    pub email: String,
    /// Seconds that others may keep an answer, 1 to 604,800.
    pub ttl_s: u32,
    /// Its records beside SOA and NS, by name below the zone (`@` is the zone itself).
    pub records: BTreeMap<String, RecordData>,
    /// Where it was declared.
    pub span: Span,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordData {
    /// An address.
    Address(IpAddr),
    /// Another name; one that ends in a dot is complete, another one is below the zone.
    Name(String),
}

/// `name` below `zone`: `@` for the zone itself, `None` if it is not in it.
#[must_use]
pub fn below<'n>(name: &'n str, zone: &str) -> Option<&'n str> {
    if name == zone { Some("@") } else { name.strip_suffix(zone)?.strip_suffix('.').filter(|rest| !rest.is_empty()) }
}

/// The zone of `zones` that `name` is in: the longest one.
pub fn zone_of<'z>(name: &str, zones: impl IntoIterator<Item = &'z str>) -> Option<&'z str> {
    zones.into_iter().filter(|zone| below(name, zone).is_some()).max_by_key(|zone| zone.len())
}

impl Blueprint {
    /// Names with their addresses, as far as the inventory knows them: guests by their own name and by the one in each
    /// zone, sites by the proxy's address, and addresses of zones' records. What a container that asks no name server
    /// of ours is told.
    #[must_use]
    pub fn host_names(&self) -> BTreeMap<String, IpAddr> {
        let mut names: BTreeMap<String, IpAddr> =
            self.guests.values().map(|guest| (guest.name.to_string(), guest.interface.address())).collect();
        for zone in self.dns.zones.values() {
            let full = |name: &str| if name == "@" { zone.name.clone() } else { format!("{name}.{}", zone.name) };
            names.extend(zone.records.iter().filter_map(|(name, data)| match data {
                RecordData::Address(address) if !name.starts_with('*') => Some((full(name), *address)),
                RecordData::Address(_) | RecordData::Name(_) => None,
            }));
        }
        if let Some(ingress) = &self.ingress {
            names.extend(ingress.sites.keys().map(|site| (site.clone(), ingress.address)));
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    #[test]
    fn a_name_is_in_the_longest_zone_that_it_ends_in() {
        assert_eq!((below("a.b.c", "b.c"), below("b.c", "b.c"), below("ab.c", "b.c")), (Some("a"), Some("@"), None));
        assert_eq!(zone_of("x.lan.example.com", ["example.com", "lan.example.com"]), Some("lan.example.com"));
        assert_eq!(zone_of("example.org", ["example.com"]), None);
    }

    #[test]
    fn a_zone_has_its_guests_and_its_sites() {
        let blueprint = with(
            "
ingress: { guest: plan-hq, from: [internet], tls: acme }
dns:
  zones:
    example.com: { guest: proj-x, records: { nas: 10.2.0.5, files: nas } }
guests:
  plan-hq: { routes: { chat.example.com: 3000, example.com: 81 } }
",
        );
        let zone = &blueprint.dns.zones["example.com"];
        let records: Vec<String> = zone
            .records
            .iter()
            .map(|(name, data)| match data {
                RecordData::Address(address) => format!("{name} {address}"),
                RecordData::Name(other) => format!("{name} -> {other}"),
            })
            .collect();
        assert_eq!(
            records,
            [
                "@ 10.0.0.10",
                "chat -> plan-hq",
                "files -> nas",
                "nas 10.2.0.5",
                "plan-hq 10.0.0.10",
                "proj-x 10.0.0.123"
            ]
        );
        let names = blueprint.host_names();
        assert_eq!(names["chat.example.com"].to_string(), "10.0.0.10");
        assert_eq!(names["nas.example.com"].to_string(), "10.2.0.5");
        assert_eq!(names["proj-x"].to_string(), "10.0.0.123");
    }
}
