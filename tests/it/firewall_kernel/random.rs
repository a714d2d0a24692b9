//! Sites at random, and what is sent through them. The same seed gives the same site on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use fastrand::Rng;

use super::compile::link_local;
use super::macros;
use super::site::{Card, End, Guest, Load, Packet, Site};
use super::world::{Ground, NOBODYS_LINK_LOCAL, v6_of};

/// Everybody who may be in a site.
pub fn population() -> Vec<Guest> {
    let card = |guest: u8, place: u8| Card {
        mac: [0xBC, 0x24, 0x11, 0, place, guest],
        firewall: true,
        v4: Ipv4Addr::new(10, 0, 0, guest + 100 * place),
        v6: v6_of(Ipv4Addr::new(10, 0, 0, guest + 100 * place)),
        named_v4: true,
        named_v6: true,
    };
    let guest = |vmid, vm, cards: &[Card]| Guest { vmid, vm, cards: cards.to_vec() };
    vec![
        guest(100, true, &[card(10, 0), card(10, 1)]),
        guest(101, true, &[card(11, 0)]),
        guest(200, false, &[card(20, 0), card(20, 1)]),
        guest(201, false, &[card(21, 0)]),
        guest(202, false, &[card(22, 0)]),
    ]
}

/// A site.
pub fn site(seed: u64) -> Site {
    let mut rng = Rng::with_seed(seed);
    let mut guests = population();
    while guests.len() > 2 && rng.f32() < 0.3 {
        guests.remove(rng.usize(..guests.len()));
    }
    for guest in &mut guests {
        for card in &mut guest.cards {
            card.firewall = rng.f32() < 0.85;
            card.named_v4 = !guest.vm && rng.f32() < 0.9;
            card.named_v6 = !guest.vm && rng.f32() < 0.6;
        }
    }
    let mut writer = Writer { rng, sets: Vec::new() };
    let mut files = BTreeMap::new();
    files.insert("cluster.fw".to_owned(), writer.cluster());
    if writer.chance(0.6) {
        files.insert("host.fw".to_owned(), writer.host());
    }
    for guest in &guests {
        if writer.chance(0.93) {
            files.insert(format!("{}.fw", guest.vmid), writer.guest(guest));
        }
    }
    Site { files, guests, local_network: "10.0.0.0/24".to_owned() }
}

/// Writes files.
struct Writer {
    rng: Rng,
    /// Sets that there are, of the datacenter and of the guest that is written.
    sets: Vec<String>,
}

const V4: &[&str] = &[
    "10.0.0.10",
    "10.0.0.11",
    "10.0.0.20",
    "10.0.0.22",
    "10.0.0.2",
    "10.0.0.99",
    "10.0.0.77",
    "192.168.50.9",
    "192.168.50.0/24",
    "10.0.0.0/24",
    "10.0.0.0/28",
    "10.0.0.16/29",
    "10.0.0.96/27",
    "10.0.0.21,10.0.0.10",
    "10.0.0.20,10.0.0.0/28,192.168.50.9",
    "10.0.0.20-10.0.0.22",
    "10.0.0.90-192.168.60.1",
    "0.0.0.0/0",
];
const V6: &[&str] = &[
    "fd00::a00:a",
    "fd00::a00:14",
    "fd00::a00:15",
    "fd00::a00:2",
    "fd00::/64",
    "fd00::a00:0/125",
    "fd00::a00:10/124",
    "fd00::a00:14,fd00::a00:a",
    "fd00::a00:14-fd00::a00:16",
    "fe80::/10",
];
const ALIASES: &[&str] = &["planhq", "dc/planhq", "lan", "six", "dc/six", "own", "guest/own"];
const PORTS: &[&str] = &[
    "22",
    "80",
    "443",
    "4000",
    "6379",
    "8006",
    "8000:8100",
    "80,443,4000",
    "22,8000:8010",
    "1:1023",
    "5000:65535",
    "53",
    "137",
    "11434",
];

impl Writer {
    fn chance(&mut self, of: f32) -> bool {
        self.rng.f32() < of
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.rng.usize(..from.len())]
    }

    /// `key: value` for each that chance takes.
    fn options(&mut self, known: &[(&str, f32, &[&str])]) -> String {
        let mut text = "[OPTIONS]\n\n".to_owned();
        for (key, chance, values) in known {
            if self.chance(*chance) {
                let value = self.pick(values);
                let _ = writeln!(text, "{key}: {value}");
            }
        }
        text.push('\n');
        text
    }

    fn cluster(&mut self) -> String {
        let enable: &[&str] = if self.chance(0.96) { &["1"] } else { &["0"] };
        let mut text = self.options(&[
            ("enable", 1.0, enable),
            ("policy_in", 0.6, &["ACCEPT", "DROP", "REJECT"]),
            ("policy_out", 0.4, &["ACCEPT", "DROP", "REJECT"]),
            ("ebtables", 0.1, &["0", "1"]),
        ]);
        text.push_str("[ALIASES]\n\nplanhq 10.0.0.10 # the one\nlan 10.0.0.0/24\nsix fd00::a00:14\n\n");
        self.sets.clear();
        let mut names = vec!["projects", "friends"];
        if self.chance(0.5) {
            names.push("management");
        }
        if self.chance(0.15) {
            names.push("blacklist");
        }
        for name in names {
            let set = self.set(name, &["planhq", "dc/six"]);
            text.push_str(&set);
            self.sets.extend([name.to_owned(), format!("dc/{name}")]);
        }
        let rules = self.rules(3, "cluster");
        let _ = write!(text, "[RULES]\n\n{rules}\n");
        for group in ["project-ct", "expose-gw", "empty"] {
            let count = if group == "empty" { 0 } else { 4 };
            let rules = self.rules(count, "group");
            let _ = write!(text, "[group {group}]\n\n{rules}\n");
        }
        text
    }

    fn host(&mut self) -> String {
        let mut text = self.options(&[
            ("enable", 0.4, &["0", "1", "1", "1"]),
            ("nosmurfs", 0.2, &["0", "1"]),
            ("tcpflags", 0.3, &["0", "1"]),
            ("ndp", 0.3, &["0", "1"]),
            ("log_level_in", 0.2, &["info", "nolog"]),
        ]);
        let rules = self.rules(3, "host");
        let _ = write!(text, "[RULES]\n\n{rules}\n");
        text
    }

    fn guest(&mut self, guest: &Guest) -> String {
        let mut text = self.options(&[
            ("enable", 0.97, &["0", "1", "1", "1", "1", "1", "1"]),
            ("policy_in", 0.7, &["ACCEPT", "DROP", "REJECT"]),
            ("policy_out", 0.6, &["ACCEPT", "DROP", "REJECT"]),
            ("ipfilter", 0.5, &["0", "1"]),
            ("macfilter", 0.5, &["0", "1"]),
            ("dhcp", 0.4, &["0", "1"]),
            ("ndp", 0.4, &["0", "1"]),
            ("radv", 0.2, &["0", "1"]),
        ]);
        let own = self.pick(&["10.0.0.21", "10.0.0.16/28", "fd00::a00:15"]);
        let _ = write!(text, "[ALIASES]\n\nown {own}\n\n");
        let before = self.sets.len();
        if self.chance(0.4) {
            let set = self.set("locals", &["own", "planhq", "dc/lan"]);
            text.push_str(&set);
            self.sets.extend(["locals".to_owned(), "guest/locals".to_owned()]);
        }
        if self.chance(0.3) {
            let place = self.rng.usize(..guest.cards.len());
            let (v4, v6) = (guest.cards[place].v4, guest.cards[place].v6);
            let _ = write!(text, "[IPSET ipfilter-net{place}]\n\n");
            for (chance, entry) in [(0.8, v4.to_string()), (0.8, v6.to_string()), (0.2, "10.0.0.96/30".to_owned())] {
                if self.chance(chance) {
                    let _ = writeln!(text, "{entry}");
                }
            }
            text.push('\n');
        }
        let rules = self.rules(7, "guest");
        self.sets.truncate(before);
        let _ = write!(text, "[RULES]\n\n{rules}\n");
        text
    }

    fn set(&mut self, name: &str, aliases: &[&str]) -> String {
        let single = |text: &&&str| !text.contains([',', '-']) && !text.ends_with("/0");
        let known: Vec<&str> = V4.iter().chain(V6).filter(single).copied().chain(aliases.iter().copied()).collect();
        let mut entries = BTreeSet::new();
        for _ in 0..self.rng.usize(1..7) {
            let entry = self.pick(&known);
            entries.insert(entry);
        }
        // An address and its alias are one entry, which the kernel takes once only.
        if entries.contains("10.0.0.10") {
            entries.remove("planhq");
        }
        if entries.contains("fd00::a00:14") {
            entries.remove("dc/six");
        }
        if entries.contains("10.0.0.0/24") {
            entries.remove("dc/lan");
        }
        let mut text = format!("[IPSET {name}]\n\n");
        for entry in entries {
            let not = if self.chance(0.15) { "!" } else { "" };
            let _ = writeln!(text, "{not}{entry}");
        }
        text.push('\n');
        text
    }

    fn address(&mut self, whose: &str) -> String {
        match self.rng.u8(..10) {
            0..4 => self.pick(V4).to_owned(),
            4..6 => self.pick(V6).to_owned(),
            6..8 => {
                let own = if whose == "guest" { ALIASES.len() } else { ALIASES.len() - 2 };
                self.pick(&ALIASES[..own]).to_owned()
            }
            _ => {
                // A group knows the datacenter's sets only.
                let place = self.rng.usize(..self.sets.len());
                format!("+{}", self.sets[place])
            }
        }
    }

    fn rules(&mut self, most: usize, whose: &str) -> String {
        let mut text = String::new();
        for _ in 0..if most == 0 { 0 } else { self.rng.usize(..=most) } {
            let rule = self.rule(whose);
            let _ = writeln!(text, "{rule}");
        }
        text
    }

    fn rule(&mut self, whose: &str) -> String {
        let mut rule = if self.chance(0.1) { "|".to_owned() } else { String::new() };
        if whose != "group" && self.chance(0.2) {
            let group = self.pick(&["project-ct", "expose-gw", "empty"]);
            let _ = write!(rule, "GROUP {group}");
            if whose == "guest" && self.chance(0.2) {
                rule.push_str(" -i net0");
            }
            return rule;
        }
        // Rules for what is forwarded are ignored by the iptables variant.
        let forward = whose != "guest" && self.chance(0.05);
        rule.push_str(if forward { "FORWARD " } else { "IN " });
        if !forward && self.chance(0.4) {
            rule.truncate(rule.len() - "IN ".len());
            rule.push_str("OUT ");
        }
        let verdict = self.pick(&["ACCEPT", "ACCEPT", "ACCEPT", "DROP", "REJECT"]);
        let with_macro = self.chance(0.3);
        if with_macro {
            let names: Vec<&str> = macros::all().map(|(name, _)| name).collect();
            let common = ["SSH", "HTTP", "HTTPS", "DNS", "Ping", "Web", "ssh", "SMB", "Trcrt", "NeighborDiscovery"];
            let name = if self.chance(0.7) { self.pick(&common) } else { self.pick(&names) };
            let _ = write!(rule, "{name}({verdict})");
        } else {
            rule.push_str(verdict);
        }
        if whose != "group" && self.chance(0.12) {
            let cards: &[&str] = if whose == "guest" { &["net0", "net1"] } else { &["vmbr0", "lo", "eno1"] };
            let card = self.pick(cards);
            let _ = write!(rule, " -i {card}");
        }
        for (side, chance) in [("-source", 0.5), ("-dest", 0.25)] {
            if self.chance(chance) {
                let address = self.address(whose);
                let _ = write!(rule, " {side} {address}");
            }
        }
        if !with_macro || self.chance(0.1) {
            match self.rng.u8(..12) {
                0..5 => rule.push_str(" -p tcp"),
                5..8 => rule.push_str(" -p udp"),
                8 => rule.push_str(" -p icmp"),
                9 => rule.push_str(" -p ipv6-icmp"),
                _ => return self.finish(rule),
            }
            let ported = rule.ends_with("tcp") || rule.ends_with("udp");
            if ported && self.chance(0.75) {
                let ports = self.pick(PORTS);
                let _ = write!(rule, " -dport {ports}");
            }
            if ported && self.chance(0.08) {
                let ports = self.pick(&["53", "137", "1:1023", "20000:60000"]);
                let _ = write!(rule, " -sport {ports}");
            } else if rule.ends_with("-p icmp") && self.chance(0.5) {
                rule.push_str(" -icmp-type echo-request");
            }
        }
        self.finish(rule)
    }

    fn finish(&mut self, mut rule: String) -> String {
        if self.chance(0.15) {
            let note = self.rng.u8(..);
            let _ = write!(rule, " # note {note}");
        }
        rule
    }
}

/// What is sent through a site: everybody to everybody over both versions of IP, with every protocol, on ports that
/// its rules name and next to them; and forged.
pub fn packets(site: &Site, ground: &Ground, seed: u64) -> Vec<Packet> {
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let ports = ports(site);
    let mut ends = vec![(End::Host, ground.host), (End::Outside, ground.outside[0])];
    for (place, guest) in site.guests.iter().enumerate() {
        ends.extend(guest.cards.iter().enumerate().map(|(card, one)| (End::Guest(place, card), one.v4)));
    }
    let mut packets = Vec::new();
    for (from, from_v4) in &ends {
        for (to, to_v4) in &ends {
            let same_guest = matches!((from, to), (End::Guest(a, _), End::Guest(b, _)) if a == b);
            if from == to || same_guest {
                continue;
            }
            for six in [false, true] {
                let address = |v4: Ipv4Addr| if six { IpAddr::V6(v6_of(v4)) } else { IpAddr::V4(v4) };
                let port = |rng: &mut Rng| ports[rng.usize(..ports.len())];
                let mut loads = vec![Load::Tcp { dport: port(&mut rng) }, Load::Tcp { dport: port(&mut rng) }];
                loads.push(Load::Udp { dport: port(&mut rng), sport: None });
                match rng.u8(..6) {
                    0 => loads.push(Load::Ping),
                    // Every port of its own, so that no connection that was let in before lets it in.
                    1 => loads.push(Load::Udp { dport: rng.u16(1025..20_000), sport: Some([53, 137][rng.usize(..2)]) }),
                    _ => loads.push(Load::Udp { dport: port(&mut rng), sport: None }),
                }
                let genuine = Packet {
                    from: *from,
                    to: *to,
                    source: address(*from_v4),
                    dest: address(*to_v4),
                    load: loads[0],
                    foreign_mac: false,
                };
                packets.extend(loads.iter().map(|load| Packet { load: *load, ..genuine.clone() }));
                let mut liars = vec![address(ground.nobody[0])];
                liars.extend(ends.iter().filter(|(end, _)| end != from && end != to).map(|(_, v4)| address(*v4)));
                if let (End::Guest(guest, card), true) = (from, six) {
                    liars.push(link_local(site.guests[*guest].cards[*card].mac).into());
                    liars.push(NOBODYS_LINK_LOCAL.into());
                }
                // The host itself is not lied to in its own name: it would not take it from anybody.
                let source = liars[rng.usize(..liars.len())];
                if !(source == address(ground.host) || matches!(from, End::Host) && six) {
                    let load = loads[rng.usize(..loads.len().min(3))];
                    packets.push(Packet { source, load, ..genuine.clone() });
                }
                if matches!(from, End::Guest(_, 0)) && rng.u8(..3) == 0 {
                    packets.push(Packet { foreign_mac: true, ..genuine });
                }
            }
        }
    }
    packets
}

fn ports(site: &Site) -> Vec<u16> {
    let mut ports = BTreeSet::from([22, 80, 8006]);
    let mut texts: Vec<String> = Vec::new();
    for line in site.files.values().flat_map(|file| file.lines()) {
        let lower = line.to_ascii_lowercase();
        for (name, parts) in macros::all() {
            if lower.contains(&format!(" {}(", name.to_ascii_lowercase())) {
                texts.extend(parts.split_whitespace().filter_map(|part| part.split('/').nth(1)).map(ToOwned::to_owned));
            }
        }
        texts.extend(line.split("-dport ").skip(1).filter_map(|rest| rest.split(' ').next()).map(ToOwned::to_owned));
    }
    for number in texts.iter().flat_map(|text| text.split([',', ':'])).filter_map(|text| text.parse::<u16>().ok()) {
        ports.extend([number.saturating_sub(1).max(1), number, number.saturating_add(1)]);
    }
    ports.into_iter().collect()
}
