//! Zones with their records, and the names that everything has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Blueprint, Flow, FlowOrigin, Host, Party, SecretRef, Trust};
use crate::diag::Span;
use crate::model::GuestName;

/// What is said of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Zones that guests serve, by name, without a final dot.
    pub zones: BTreeMap<String, Zone>,
    /// The OPNsense that keeps the other zones.
    pub opnsense: Option<OpnSense>,
    /// Whether names are also written into containers.
    pub extra_hosts: bool,
}

/// An OPNsense whose Unbound answers for zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpnSense {
    /// Where its API is: scheme, host and port, without a path.
    pub url: String,
    /// The first part of what opens it.
    pub key: SecretRef,
    /// The second part.
    pub secret: SecretRef,
    /// How it proves who it is; `None` for the CAs that the system trusts.
    pub trust: Option<Trust>,
    /// Zones by name, each with its names (`@` is the zone itself) and their addresses: an override has nothing else.
    pub zones: BTreeMap<String, BTreeMap<String, IpAddr>>,
    /// Where it was declared.
    pub span: Span,
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

/// The address that `label` of `zone` comes down to; `None` where it leads out of the zone, to nothing, or in a circle.
#[must_use]
pub fn address_of(records: &BTreeMap<String, RecordData>, zone: &str, label: &str) -> Option<IpAddr> {
    let mut label = label;
    for _ in 0..=records.len() {
        match records.get(label)? {
            RecordData::Address(address) => return Some(*address),
            RecordData::Name(other) => {
                label = match other.strip_suffix('.') {
                    Some(complete) => below(complete, zone)?,
                    None => other,
                }
            }
        }
    }
    None
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
        for (zone, records) in self.dns.opnsense.iter().flat_map(|router| &router.zones) {
            let full = |name: &str| if name == "@" { zone.clone() } else { format!("{name}.{zone}") };
            names.extend(
                records.iter().filter(|(name, _)| !name.starts_with('*')).map(|(name, address)| (full(name), *address)),
            );
        }
        if let Some(ingress) = &self.ingress {
            names.extend(ingress.sites.keys().map(|site| (site.clone(), ingress.address)));
        }
        names
    }
}

/// What zones of the inventory say of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<'a> {
    /// The zone that it is in.
    pub zone: &'a Zone,
    /// Its address; none, if the zone has no such name or leads out of the inventory.
    pub address: Option<IpAddr>,
}

impl Blueprint {
    /// What the zones say of a name, other names on the way followed; none, if it is in no zone.
    #[must_use]
    pub fn look_up(&self, name: &str) -> Option<Answered<'_>> {
        let zone = &self.dns.zones[zone_of(name, self.dns.zones.keys().map(String::as_str))?];
        let mut name = name.to_owned();
        // No chain of names is longer than there are records.
        for _ in 0..=self.dns.zones.values().map(|zone| zone.records.len()).sum() {
            let Some(zone) = zone_of(&name, self.dns.zones.keys().map(String::as_str)) else { break };
            let zone = &self.dns.zones[zone];
            match below(&name, &zone.name).and_then(|name| zone.records.get(name)) {
                Some(RecordData::Address(address)) => return Some(Answered { zone, address: Some(*address) }),
                Some(RecordData::Name(other)) => {
                    name = match other.strip_suffix('.') {
                        Some(whole) => whole.to_owned(),
                        None => format!("{other}.{}", zone.name),
                    };
                }
                None => break,
            }
        }
        Some(Answered { zone, address: None })
    }
}

/// Guests that ask a host itself for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameService {
    /// The network that they are in.
    pub from: IpNet,
    /// The address that they ask.
    pub to: IpAddr,
}

impl Blueprint {
    /// Who may ask a host for names: guests whose name server is an address that the inventory knows the host by, their
    /// gateway, or something else in their network that is no guest. Whether the latter two are the host is not written
    /// down; where they are not, the host has no such address and nobody comes to ask it.
    #[must_use]
    pub fn name_services(&self, host: &Host) -> BTreeSet<NameService> {
        let own = host.addresses();
        let asked = |flow: &Flow| {
            let (FlowOrigin::Names, Party::Guest(guest), Party::Network(server)) = (&flow.why, &flow.from, &flow.to)
            else {
                return None;
            };
            let (near, to) = (self.host_of(self.guests.get(guest)?), server.addr());
            let from = near.network.subnet.trunc();
            let here = near.name == host.name && (to == near.network.gateway || from.contains(&to));
            (here || own.contains(&to)).then_some(NameService { from, to })
        };
        self.flows.iter().filter_map(asked).filter(|asked| asked.from.addr().is_ipv4() == asked.to.is_ipv4()).collect()
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
        let at = |name: &str| blueprint.look_up(name).map(|found| found.address.map(|address| address.to_string()));
        assert_eq!(at("files.example.com"), Some(Some("10.2.0.5".into())), "by way of another name");
        assert_eq!((at("nope.example.com"), at("example.org")), (Some(None), None));
        let names = blueprint.host_names();
        assert_eq!(names["chat.example.com"].to_string(), "10.0.0.10");
        assert_eq!(names["nas.example.com"].to_string(), "10.2.0.5");
        assert_eq!(names["proj-x"].to_string(), "10.0.0.123");
    }

    #[test]
    fn a_host_that_is_the_name_server_of_guests_is_known_to_be_asked() {
        let of = |over: &str| -> Vec<String> {
            let blueprint = with(over);
            let host = blueprint.hosts.values().next().unwrap();
            blueprint.name_services(host).iter().map(|asked| format!("{} {}", asked.from, asked.to)).collect()
        };
        assert_eq!(of(""), ["10.0.0.0/24 10.0.0.1"], "the gateway may be the host");
        assert_eq!(of("hosts: { hq: { network: { dns: [192.168.10.2, 1.1.1.1] } } }"), ["10.0.0.0/24 192.168.10.2"]);
        assert_eq!(of("hosts: { hq: { network: { dns: [10.0.0.10] } } }"), [""; 0], "a guest");
        assert_eq!(of("guests: { plan-hq: { internet: false }, proj-x: { internet: false } }"), [""; 0]);
        let tunnel =
            "hosts: { hq: { api: { host: 127.0.0.1 }, ssh: { host: 127.0.0.1 }, network: { dns: [192.168.10.2] } } }";
        assert_eq!(of(tunnel), ["10.0.0.0/24 192.168.10.2"], "however it is reached from here");
    }
}
