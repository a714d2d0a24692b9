//! Values that may be one or several.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::Peer;
use crate::diag::Invalid;
use crate::model::PortRange;

/// One end of a firewall rule: one peer or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerList(pub Vec<Peer>);

impl<'de> Deserialize<'de> for PeerList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Peers;

        impl<'de> Visitor<'de> for Peers {
            type Value = PeerList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network, an address, a guest, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PeerList, E> {
                Peer::try_from(text.to_owned()).map(|peer| PeerList(vec![peer])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<PeerList, A::Error> {
                let mut peers = Vec::new();
                while let Some(peer) = items.next_element()? {
                    peers.push(peer);
                }
                Ok(PeerList(peers))
            }
        }

        deserializer.deserialize_any(Peers)
    }
}

impl JsonSchema for PeerList {
    fn schema_name() -> Cow<'static, str> {
        "PeerList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let peer = generator.subschema_for::<Peer>();
        json_schema!({
            "description": "A network, an address or a guest of this inventory, or a list of them",
            "anyOf": [peer, { "type": "array", "items": peer }],
            "examples": ["10.0.0.0/24", "plan-hq", ["10.0.0.10", "10.0.0.11"]],
        })
    }
}

/// Ports as Proxmox writes them: `22`, `80,443`, `6000:6010`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub String);

impl Ports {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
        let part = |part: &str| match part.split_once(':') {
            None => port(part).map(|port| port.to_string()),
            Some((from, to)) => {
                let (from, to) = (port(from)?, port(to)?);
                (from <= to).then(|| format!("{from}:{to}"))
            }
        };
        let parts: Option<Vec<String>> = text.split(',').map(|one| part(one.trim())).collect();
        parts.map(|parts| Self(parts.join(","))).ok_or_else(|| {
            Invalid::new(format!("`{}` is not a port", text.escape_debug()))
                .hint("ports are 1 to 65535: write `22`, `\"80,443\"` or `\"6000:6010\"`")
        })
    }
}

impl Ports {
    /// One range per part.
    #[must_use]
    pub fn ranges(&self) -> Vec<PortRange> {
        let part = |part: &str| {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            PortRange::new(first.parse().ok()?, last.parse().ok()?)
        };
        self.0.split(',').filter_map(part).collect()
    }
}

/// A port, or several in a row: `22`, `8000:8100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSpan(pub PortRange);

impl<'de> Deserialize<'de> for PortSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ports = Ports::deserialize(deserializer)?;
        match ports.ranges().as_slice() {
            [one] => Ok(Self(*one)),
            _ => Err(D::Error::custom("write one port, or a range such as `8000:8100`")),
        }
    }
}

impl JsonSchema for PortSpan {
    fn schema_name() -> Cow<'static, str> {
        "PortSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port, or a range `8000:8100`",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "pattern": "^[0-9]+:[0-9]+$" },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortsVisitor;

        impl<'de> Visitor<'de> for PortsVisitor {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, a range of ports, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ports, E> {
                Ports::parse(text).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, port: u64) -> Result<Ports, E> {
                Ports::parse(&port.to_string()).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ports, A::Error> {
                let mut parts = Vec::new();
                while let Some(Ports(part)) = items.next_element()? {
                    parts.push(part);
                }
                if parts.is_empty() { Err(A::Error::custom("no port is listed")) } else { Ok(Ports(parts.join(","))) }
            }
        }

        deserializer.deserialize_any(PortsVisitor)
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 });
        let text = json_schema!({ "type": "string", "pattern": "^[0-9]+(:[0-9]+)?(, *[0-9]+(:[0-9]+)?)*$" });
        json_schema!({
            "description": "Ports: a number, a range `6000:6010`, or several",
            "anyOf": [one, text, { "type": "array", "minItems": 1, "items": { "anyOf": [one, text] } }],
            "examples": [22, "80,443", "6000:6010"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_what_proxmox_takes() {
        for (text, expected) in [("22", "22"), ("80, 443", "80,443"), ("6000:6010", "6000:6010")] {
            assert_eq!(Ports::parse(text).unwrap().0, expected);
        }
        for wrong in ["", "0", "65536", "10:5", "ssh", "22,", "1:2:3", "+5"] {
            assert!(Ports::parse(wrong).is_err(), "{wrong}");
        }
    }
}
