//! Protocols, ports and ICMP types by the names that rules use.
//!
//! Numbers are those of IANA; the names are those that Proxmox takes (its own tables of protocols, services and ICMP
//! types). A name that is not here is said to be unknown, never guessed.

use std::net::IpAddr;

use super::address::Version;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;
pub(super) const IGMP: u8 = 2;

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payload {
    /// The first segment of a connection.
    Tcp {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
    },
    /// A datagram.
    Udp {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
    },
    /// A message of ICMP, or of ICMPv6 in an IPv6 packet.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// Anything else, by its protocol number.
    Other(u8),
}

impl Payload {
    /// A source port of an ordinary client, that no rule of Proxmox's own asks for.
    pub const CLIENT_PORT: u16 = 40_000;

    /// A connection of an ordinary client.
    #[must_use]
    pub fn tcp(to: u16) -> Self {
        Self::Tcp { from: Self::CLIENT_PORT, to }
    }

    /// A datagram of an ordinary client.
    #[must_use]
    pub fn udp(to: u16) -> Self {
        Self::Udp { from: Self::CLIENT_PORT, to }
    }

    /// An echo request to this address.
    #[must_use]
    pub fn ping(to: IpAddr) -> Self {
        Self::Icmp { kind: if to.is_ipv4() { 8 } else { 128 }, code: 0 }
    }

    pub(super) fn protocol(self, version: Version) -> u8 {
        match (self, version) {
            (Self::Tcp { .. }, _) => TCP,
            (Self::Udp { .. }, _) => UDP,
            (Self::Icmp { .. }, Version::V4) => ICMP,
            (Self::Icmp { .. }, Version::V6) => ICMPV6,
            (Self::Other(number), _) => number,
        }
    }

    /// Source and destination port.
    pub(super) fn ports(self) -> Option<(u16, u16)> {
        match self {
            Self::Tcp { from, to } | Self::Udp { from, to } => Some((from, to)),
            Self::Icmp { .. } | Self::Other(_) => None,
        }
    }
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0),
    ("icmp", ICMP),
    ("igmp", IGMP),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", TCP),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("udp", UDP),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("icmpv6", ICMPV6),
    ("ipv6-icmp", ICMPV6),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
];

/// The number of a protocol by name or number.
pub(super) fn protocol(text: &str) -> Result<u8, String> {
    let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    named.or_else(|| text.parse().ok()).ok_or_else(|| format!("protocol `{text}` is not known"))
}

/// Whether Proxmox lets rules name ports of it.
pub(super) fn has_ports(protocol: &str) -> bool {
    ["udp", "17", "udplite", "136", "tcp", "6", "dccp", "33", "sctp", "132"].contains(&protocol)
}

/// Whether it is one of the three names under which rules may name an ICMP type.
pub(super) fn is_icmp(protocol: &str) -> bool {
    ["icmp", "icmpv6", "ipv6-icmp"].contains(&protocol)
}

/// Ports by name that people write; Proxmox takes those of `/etc/services`, whatever the protocol.
const SERVICES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("imap2", 143),
    ("snmp", 161),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("syslog", 514),
    ("submission", 587),
    ("ldaps", 636),
    ("domain-s", 853),
    ("rsync", 873),
    ("imaps", 993),
    ("pop3s", 995),
    ("openvpn", 1194),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("redis", 6379),
    ("http-alt", 8080),
];

/// Ports as inclusive ranges; none means any.
pub(super) type Ports = Vec<(u16, u16)>;

/// Reads `22`, `80,443`, `8000:8100` or `ssh`.
pub(super) fn ports(text: &str) -> Result<Ports, String> {
    let one = |item: &str| -> Result<u16, String> {
        if item.bytes().all(|byte| byte.is_ascii_digit()) {
            return item.parse().map_err(|_| format!("`{item}` is no port"));
        }
        let named = SERVICES.iter().find(|(name, _)| *name == item).map(|(_, port)| *port);
        named.ok_or_else(|| format!("no port is known by the name `{item}`"))
    };
    let mut ranges = Ports::new();
    let mut count = 0;
    for item in text.split(',') {
        let (first, last) = match item.split_once(':') {
            Some((first, last)) => (one(first)?, one(last)?),
            None => (one(item)?, one(item)?),
        };
        count += if item.contains(':') { 2 } else { 1 };
        if item.is_empty() || first > last {
            return Err(format!("`{text}` is no list of ports"));
        }
        ranges.push((first, last));
    }
    // Proxmox counts a range as two.
    if count > 15 { Err("a list of ports has more than 15 numbers".into()) } else { Ok(ranges) }
}

const ICMP_TYPES: &[(&str, u8, Option<u8>)] = &[
    ("echo-reply", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

const ICMPV6_TYPES: &[(&str, u8, Option<u8>)] = &[
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)),
    ("echo-request", 128, None),
    ("echo-reply", 129, None),
    ("router-solicitation", 133, None),
    ("router-advertisement", 134, None),
    ("neighbor-solicitation", 135, None),
    ("neighbour-solicitation", 135, None),
    ("neighbor-advertisement", 136, None),
    ("neighbour-advertisement", 136, None),
    ("redirect", 137, None),
];

/// An ICMP type with one code of it, or all; `None` for any type.
pub(super) type IcmpKind = Option<(u8, Option<u8>)>;

/// Reads the type of an ICMP message by name or number.
pub(super) fn icmp_kind(text: &str, version: Version) -> Result<IcmpKind, String> {
    let table = match version {
        Version::V4 => ICMP_TYPES,
        Version::V6 => ICMPV6_TYPES,
    };
    if text == "any" && version == Version::V4 {
        return Ok(None);
    }
    let named = table.iter().find(|(name, ..)| *name == text).map(|(_, kind, code)| (*kind, *code));
    let numbered = || text.parse().ok().map(|kind| (kind, None));
    named.or_else(numbered).map(Some).ok_or_else(|| format!("ICMP type `{text}` is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ports_are_read_as_proxmox_counts_them() {
        assert_eq!(ports("80,443,8000:8100").unwrap(), [(80, 80), (443, 443), (8000, 8100)]);
        assert_eq!(ports("ssh").unwrap(), [(22, 22)]);
        let many = (1..=16).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
        for wrong in ["", "80,", "90:80", "65536", "nonsense", &many] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_name_is_another_type_in_either_version() {
        assert_eq!(icmp_kind("echo-request", Version::V4), Ok(Some((8, None))));
        assert_eq!(icmp_kind("echo-request", Version::V6), Ok(Some((128, None))));
        assert!(icmp_kind("packet-too-big", Version::V4).is_err());
    }
}
