//! Chains that are the same on every host.

/// Of IPv4.
const V4: &[(&str, &[&str])] = &[
    (
        "PVEFW-DropBroadcast",
        &[
            "-m addrtype --dst-type BROADCAST -j DROP",
            "-m addrtype --dst-type MULTICAST -j DROP",
            "-m addrtype --dst-type ANYCAST -j DROP",
            "-d 224.0.0.0/4 -j DROP",
        ],
    ),
    (
        "PVEFW-reject",
        &[
            "-m addrtype --dst-type BROADCAST -j DROP",
            "-s 224.0.0.0/4 -j DROP",
            "-p icmp -j DROP",
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-p udp -j REJECT --reject-with icmp-port-unreachable",
            "-p icmp -j REJECT --reject-with icmp-host-unreachable",
            " -j REJECT --reject-with icmp-host-prohibited",
        ],
    ),
    (
        "PVEFW-smurfs",
        &[
            "-s 0.0.0.0/32 -j RETURN",
            "-m addrtype --src-type BROADCAST -g PVEFW-smurflog",
            "-s 224.0.0.0/4 -g PVEFW-smurflog",
        ],
    ),
    ("PVEFW-smurflog", &[" -j DROP"]),
];

/// Of IPv6.
const V6: &[(&str, &[&str])] = &[
    ("PVEFW-DropBroadcast", &["-d ff00::/8 -j DROP"]),
    (
        "PVEFW-reject",
        &[
            "-p icmpv6 -j DROP",
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-p udp -j REJECT --reject-with icmp6-port-unreachable",
            " -j REJECT --reject-with icmp6-adm-prohibited",
        ],
    ),
];

/// Of both.
const BOTH: &[(&str, &[&str])] = &[
    ("PVEFW-SET-ACCEPT-MARK", &[" -j MARK --set-mark 0x80000000/0x80000000"]),
    (
        "PVEFW-tcpflags",
        &[
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,PSH,URG -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags SYN,RST SYN,RST -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -g PVEFW-logflags",
            "-p tcp -m tcp --sport 0 --tcp-flags FIN,SYN,RST,ACK SYN -g PVEFW-logflags",
        ],
    ),
    ("PVEFW-logflags", &[" -j DROP"]),
];

/// The chains with their rules.
pub fn chains(version: u8) -> Vec<(String, Vec<String>)> {
    let own = if version == 4 { V4 } else { V6 };
    let mut chains: Vec<(String, Vec<String>)> = own
        .iter()
        .chain(BOTH)
        .map(|(chain, rules)| ((*chain).to_owned(), rules.iter().map(|rule| format!("-A {chain} {rule}")).collect()))
        .collect();
    for (chain, noise) in [("PVEFW-Drop", "-j DROP"), ("PVEFW-Reject", "-j PVEFW-reject")] {
        let lines = before_the_policy(version, noise).into_iter().map(|rule| format!("-A {chain} {rule}")).collect();
        chains.push((chain.to_owned(), lines));
    }
    chains
}

/// What a policy of DROP or REJECT does first: some of what is let in anyway, and the noise of a network quietly.
fn before_the_policy(version: u8, noise: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let needed: &[&str] = match version {
        4 => &["icmp -m icmp --icmp-type fragmentation-needed", "icmp -m icmp --icmp-type time-exceeded"],
        _ => {
            rules.push("-p tcp --dport 43 -j PVEFW-reject".to_owned());
            &[
                "icmpv6 -m icmpv6 --icmpv6-type destination-unreachable",
                "icmpv6 -m icmpv6 --icmpv6-type time-exceeded",
                "icmpv6 -m icmpv6 --icmpv6-type packet-too-big",
            ]
        }
    };
    rules.push(" -j PVEFW-DropBroadcast".to_owned());
    rules.extend(needed.iter().map(|kind| format!("-p {kind} -j ACCEPT")));
    rules.push("-m conntrack --ctstate INVALID -j DROP".to_owned());
    for windows in [
        "-p udp --match multiport --dports 135,445",
        "-p udp --dport 137:139",
        "-p udp --sport 137 --dport 1024:65535",
        "-p tcp --match multiport --dports 135,139,445",
    ] {
        rules.push(format!("{windows} {noise}"));
    }
    rules.push("-p udp --dport 1900 -j DROP".to_owned());
    rules.push("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP".to_owned());
    rules.push("-p udp --sport 53 -j DROP".to_owned());
    rules
}
