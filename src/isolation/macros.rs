//! Proxmox's firewall macros: a name for ports that belong together.
//!
//! Names, protocols and ports are those of 9.2.11 (`GET /cluster/firewall/macros` gives the names, pve-firewall the
//! rest). Names are compared without regard to case, as Proxmox does.

use super::address::Version;

/// One part of a macro, in the words of a rule; an empty text says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub proto: &'static str,
    pub dport: &'static str,
    pub sport: &'static str,
}

const fn tcp(dport: &'static str) -> Part {
    Part { proto: "tcp", dport, sport: "" }
}

const fn udp(dport: &'static str) -> Part {
    Part { proto: "udp", dport, sport: "" }
}

const fn udp_from(sport: &'static str, dport: &'static str) -> Part {
    Part { proto: "udp", dport, sport }
}

const fn bare(proto: &'static str) -> Part {
    Part { proto, dport: "", sport: "" }
}

const fn kind(proto: &'static str, dport: &'static str) -> Part {
    Part { proto, dport, sport: "" }
}

/// What IPv6 has of its own, or another way.
const FOR_V6: &[(&str, &[Part])] = &[
    ("DHCPv6", &[udp_from("546:547", "546:547")]),
    (
        "NeighborDiscovery",
        &[
            kind("icmpv6", "router-solicitation"),
            kind("icmpv6", "router-advertisement"),
            kind("icmpv6", "neighbor-solicitation"),
            kind("icmpv6", "neighbor-advertisement"),
        ],
    ),
    ("Ping", &[kind("icmpv6", "echo-request")]),
    ("Trcrt", &[udp("33434:33524"), kind("icmpv6", "echo-request")]),
];

const MACROS: &[(&str, &[Part])] = &[
    ("Amanda", &[udp("10080"), tcp("10080")]),
    ("Auth", &[tcp("113")]),
    ("BGP", &[tcp("179")]),
    ("BitTorrent", &[tcp("6881:6889"), udp("6881")]),
    ("BitTorrent32", &[tcp("6881:6999"), udp("6881")]),
    ("CVS", &[tcp("2401")]),
    ("Ceph", &[tcp("6789"), tcp("3300"), tcp("6800:7300")]),
    ("Citrix", &[tcp("1494"), udp("1604"), tcp("2598")]),
    ("DAAP", &[tcp("3689"), udp("3689")]),
    ("DCC", &[tcp("6277")]),
    ("DHCPfwd", &[udp_from("67:68", "67:68")]),
    ("DNS", &[udp("53"), tcp("53")]),
    ("Distcc", &[tcp("3632")]),
    ("FTP", &[tcp("21")]),
    ("Finger", &[tcp("79")]),
    ("GNUnet", &[tcp("2086"), udp("2086"), tcp("1080"), udp("1080")]),
    ("GRE", &[bare("47")]),
    ("Git", &[tcp("9418")]),
    ("HKP", &[tcp("11371")]),
    ("HTTP", &[tcp("80")]),
    ("HTTPS", &[tcp("443")]),
    ("ICPV2", &[udp("3130")]),
    ("ICQ", &[tcp("5190")]),
    ("IMAP", &[tcp("143")]),
    ("IMAPS", &[tcp("993")]),
    ("IPIP", &[bare("94")]),
    ("IPsec", &[udp_from("500", "500"), bare("50")]),
    ("IPsecah", &[udp_from("500", "500"), bare("51")]),
    ("IPsecnat", &[udp("500"), udp("4500"), bare("50")]),
    ("IRC", &[tcp("6667")]),
    ("Jetdirect", &[tcp("9100")]),
    ("L2TP", &[udp("1701")]),
    ("LDAP", &[tcp("389")]),
    ("LDAPS", &[tcp("636")]),
    ("MDNS", &[udp("5353")]),
    ("MSNP", &[tcp("1863")]),
    ("MSSQL", &[tcp("1433")]),
    ("Mail", &[tcp("25"), tcp("465"), tcp("587")]),
    ("Munin", &[tcp("4949")]),
    ("MySQL", &[tcp("3306")]),
    ("NNTP", &[tcp("119")]),
    ("NNTPS", &[tcp("563")]),
    ("NTP", &[udp("123")]),
    ("OSPF", &[bare("89")]),
    ("OpenVPN", &[udp("1194")]),
    ("PCA", &[udp("5632"), tcp("5631")]),
    ("PMG", &[tcp("8006")]),
    ("POP3", &[tcp("110")]),
    ("POP3S", &[tcp("995")]),
    ("PPtP", &[bare("47"), tcp("1723")]),
    ("Ping", &[kind("icmp", "echo-request")]),
    ("PostgreSQL", &[tcp("5432")]),
    ("Printer", &[tcp("515")]),
    ("RDP", &[tcp("3389")]),
    ("RIP", &[udp("520")]),
    ("RNDC", &[tcp("953")]),
    ("Razor", &[tcp("2703")]),
    ("Rdate", &[tcp("37")]),
    ("Rsync", &[tcp("873")]),
    ("SANE", &[tcp("6566")]),
    ("SMB", &[udp("135,445"), udp("137:139"), udp_from("137", "1024:65535"), tcp("135,139,445")]),
    ("SMBswat", &[tcp("901")]),
    ("SMTP", &[tcp("25")]),
    ("SMTPS", &[tcp("465")]),
    ("SNMP", &[udp("161:162"), tcp("161")]),
    ("SPAMD", &[tcp("783")]),
    ("SPICEproxy", &[tcp("3128")]),
    ("SSH", &[tcp("22")]),
    ("SVN", &[tcp("3690")]),
    ("SixXS", &[tcp("3874"), udp("3740"), bare("41"), udp("5072,8374")]),
    ("Squid", &[tcp("3128")]),
    ("Submission", &[tcp("587")]),
    ("Syslog", &[udp("514"), tcp("514")]),
    ("TFTP", &[udp("69")]),
    ("Telnet", &[tcp("23")]),
    ("Telnets", &[tcp("992")]),
    ("Time", &[tcp("37")]),
    ("Trcrt", &[udp("33434:33524"), kind("icmp", "echo-request")]),
    ("VNC", &[tcp("5900:5999")]),
    ("VNCL", &[tcp("5500")]),
    ("Web", &[tcp("80"), tcp("443")]),
    ("Webcache", &[tcp("8080")]),
    ("Webmin", &[tcp("10000")]),
    ("Whois", &[tcp("43")]),
];

/// The parts of a macro for one IP version; none of them if it is about the other one. `None` for a name that is no
/// macro.
pub(super) fn parts(name: &str, version: Version) -> Option<&'static [Part]> {
    let find = |table: &'static [(&'static str, &'static [Part])]| {
        table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, parts)| *parts)
    };
    match (version, find(FOR_V6), find(MACROS)) {
        (Version::V6, Some(six), _) => Some(six),
        (_, _, Some(any)) => Some(any),
        (Version::V4, Some(_), None) => Some(&[]),
        (_, None, None) => None,
    }
}

/// The name of every macro.
pub fn names() -> impl Iterator<Item = &'static str> {
    let only_v6 = FOR_V6.iter().filter(|(name, _)| !MACROS.iter().any(|(known, _)| known == name));
    MACROS.iter().chain(only_v6).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::protocol;

    #[test]
    fn every_part_of_every_macro_can_be_read() {
        for version in Version::ALL {
            for name in names() {
                for part in parts(name, version).unwrap() {
                    protocol::protocol(part.proto).unwrap();
                    if protocol::is_icmp(part.proto) {
                        protocol::icmp_kind(part.dport, version).unwrap();
                    } else {
                        for list in [part.dport, part.sport].into_iter().filter(|list| !list.is_empty()) {
                            protocol::ports(list).unwrap();
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ping_is_another_protocol_in_ipv6_and_names_have_no_case() {
        assert_eq!(parts("pInG", Version::V4).unwrap()[0].proto, "icmp");
        assert_eq!(parts("ping", Version::V6).unwrap()[0].proto, "icmpv6");
        assert_eq!(parts("DHCPv6", Version::V4), Some(&[][..]));
        assert_eq!(parts("Nope", Version::V4), None);
    }
}
