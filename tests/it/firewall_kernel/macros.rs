//! Proxmox's macros: names, protocols and ports, after the table in `PVE::Firewall`.

use super::dotfw::Rule;

/// Name, for IPv4, and for IPv6 where it differs: `protocol/destination port/source port`.
const MACROS: &[(&str, &str, Option<&str>)] = &[
    ("Amanda", "udp/10080 tcp/10080", None),
    ("Auth", "tcp/113", None),
    ("BGP", "tcp/179", None),
    ("BitTorrent", "tcp/6881:6889 udp/6881", None),
    ("BitTorrent32", "tcp/6881:6999 udp/6881", None),
    ("Ceph", "tcp/6789 tcp/3300 tcp/6800:7300", None),
    ("CVS", "tcp/2401", None),
    ("Citrix", "tcp/1494 udp/1604 tcp/2598", None),
    ("DAAP", "tcp/3689 udp/3689", None),
    ("DCC", "tcp/6277", None),
    ("DHCPfwd", "udp/67:68/67:68", None),
    ("DHCPv6", "", Some("udp/546:547/546:547")),
    ("DNS", "udp/53 tcp/53", None),
    ("Distcc", "tcp/3632", None),
    ("FTP", "tcp/21", None),
    ("Finger", "tcp/79", None),
    ("GNUnet", "tcp/2086 udp/2086 tcp/1080 udp/1080", None),
    ("GRE", "47", None),
    ("Git", "tcp/9418", None),
    ("HKP", "tcp/11371", None),
    ("HTTP", "tcp/80", None),
    ("HTTPS", "tcp/443", None),
    ("ICPV2", "udp/3130", None),
    ("ICQ", "tcp/5190", None),
    ("IMAP", "tcp/143", None),
    ("IMAPS", "tcp/993", None),
    ("IPIP", "94", None),
    ("IPsec", "udp/500/500 50", None),
    ("IPsecah", "udp/500/500 51", None),
    ("IPsecnat", "udp/500 udp/4500 50", None),
    ("IRC", "tcp/6667", None),
    ("Jetdirect", "tcp/9100", None),
    ("L2TP", "udp/1701", None),
    ("LDAP", "tcp/389", None),
    ("LDAPS", "tcp/636", None),
    ("MDNS", "udp/5353", None),
    ("MSNP", "tcp/1863", None),
    ("MSSQL", "tcp/1433", None),
    ("Mail", "tcp/25 tcp/465 tcp/587", None),
    ("Munin", "tcp/4949", None),
    ("MySQL", "tcp/3306", None),
    ("NNTP", "tcp/119", None),
    ("NNTPS", "tcp/563", None),
    ("NTP", "udp/123", None),
    (
        "NeighborDiscovery",
        "",
        Some(
            "icmpv6/router-solicitation icmpv6/router-advertisement icmpv6/neighbor-solicitation \
             icmpv6/neighbor-advertisement",
        ),
    ),
    ("OSPF", "89", None),
    ("OpenVPN", "udp/1194", None),
    ("PCA", "udp/5632 tcp/5631", None),
    ("PMG", "tcp/8006", None),
    ("POP3", "tcp/110", None),
    ("POP3S", "tcp/995", None),
    ("PPtP", "47 tcp/1723", None),
    ("Ping", "icmp/echo-request", Some("icmpv6/echo-request")),
    ("PostgreSQL", "tcp/5432", None),
    ("Printer", "tcp/515", None),
    ("RDP", "tcp/3389", None),
    ("RIP", "udp/520", None),
    ("RNDC", "tcp/953", None),
    ("Razor", "tcp/2703", None),
    ("Rdate", "tcp/37", None),
    ("Rsync", "tcp/873", None),
    ("SANE", "tcp/6566", None),
    ("SMB", "udp/135,445 udp/137:139 udp/1024:65535/137 tcp/135,139,445", None),
    ("SMBswat", "tcp/901", None),
    ("SMTP", "tcp/25", None),
    ("SMTPS", "tcp/465", None),
    ("SNMP", "udp/161:162 tcp/161", None),
    ("SPAMD", "tcp/783", None),
    ("SPICEproxy", "tcp/3128", None),
    ("SSH", "tcp/22", None),
    ("SVN", "tcp/3690", None),
    ("SixXS", "tcp/3874 udp/3740 41 udp/5072,8374", None),
    ("Squid", "tcp/3128", None),
    ("Submission", "tcp/587", None),
    ("Syslog", "udp/514 tcp/514", None),
    ("TFTP", "udp/69", None),
    ("Telnet", "tcp/23", None),
    ("Telnets", "tcp/992", None),
    ("Time", "tcp/37", None),
    ("Trcrt", "udp/33434:33524 icmp/echo-request", Some("udp/33434:33524 icmpv6/echo-request")),
    ("VNC", "tcp/5900:5999", None),
    ("VNCL", "tcp/5500", None),
    ("Web", "tcp/80 tcp/443", None),
    ("Webcache", "tcp/8080", None),
    ("Webmin", "tcp/10000", None),
    ("Whois", "tcp/43", None),
];

/// Every name with what it lets through over IPv4.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    MACROS.iter().map(|(name, parts, _)| (*name, *parts))
}

/// The proper spelling of a macro's name.
pub fn named(name: &str) -> Option<&'static str> {
    MACROS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name)).map(|(known, _, _)| *known)
}

/// The rules that one with a macro stands for; nothing if it says something else than its macro.
pub fn expand(rule: &Rule, version: Option<u8>) -> Option<Vec<Rule>> {
    let (_, v4, v6) = MACROS.iter().find(|(known, _, _)| Some(*known) == rule.macro_name.as_deref())?;
    let only_v6 = v4.is_empty();
    if only_v6 && version == Some(4) {
        return Some(Vec::new());
    }
    let parts = if version == Some(6) || only_v6 { v6.unwrap_or(v4) } else { v4 };
    parts.split_whitespace().map(|part| one(rule, part)).collect()
}

fn one(rule: &Rule, part: &str) -> Option<Rule> {
    let mut fields = part.split('/');
    let mut made = Rule { macro_name: None, ..rule.clone() };
    for slot in [&mut made.proto, &mut made.dport, &mut made.sport] {
        let Some(own) = fields.next() else { break };
        if slot.as_deref().is_some_and(|said| said != own) {
            return None;
        }
        *slot = Some(own.to_owned());
    }
    Some(made)
}
