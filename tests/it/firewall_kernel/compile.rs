//! A site's `.fw` files as the chains and sets that `pve-firewall` 9.2 puts into the kernel.
//!
//! After `PVE::Firewall::compile`, in words of our own; the recorded chains of a real 9.2 hold it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::command::{Actions, HOST, INTO, MARK, Scope, commands, set_name};
use super::dotfw::{self, Config, Entry, Env, find_alias, is_name, scoped};
use super::site::{Guest, Site, mac_text};
use super::standard;

const MARK_ON: &str = "0x80000000/0x80000000";
const MARK_OFF: &str = "0x00000000/0x80000000";

/// Chains by name, each with its rules.
pub type Chains = BTreeMap<String, Vec<String>>;

/// What goes into the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    pub v4: Chains,
    pub v6: Chains,
    /// Sets by name, each with the commands that make it.
    pub sets: Chains,
}

/// Compiles a site; nothing at all if its datacenter's firewall is off.
pub fn compile(site: &Site) -> Compiled {
    let text = |name: &str| site.files.get(name).map_or("", String::as_str);
    let mut cluster = dotfw::parse(text("cluster.fw"), Env::Cluster, None).unwrap_or_default();
    if !cluster.on("enable", false) {
        return Compiled::default();
    }
    let host = dotfw::parse(text("host.fw"), Env::Host, Some(&cluster)).unwrap_or_default();
    let guests: Vec<(&Guest, Config)> = site
        .guests
        .iter()
        .filter_map(|guest| {
            let file = dotfw::parse(text(&format!("{}.fw", guest.vmid)), Env::Guest, Some(&cluster))?;
            Some((guest, file))
        })
        .collect();
    // The two things that Proxmox adds itself come after the files were read: no rule of a file can name them unless
    // it declares them.
    let network = cluster.aliases.entry("local_network".to_owned()).or_insert_with(|| site.local_network.clone());
    let entry = Entry { cidr: network.clone(), nomatch: false };
    cluster.ipsets.entry("management".to_owned()).or_default().push(entry);

    let filter = |version| Filter { version, cluster: &cluster, host: &host, chains: Chains::new() }.compile(&guests);
    Compiled { v4: filter(4), v6: filter(6), sets: sets(&cluster, &guests) }
}

struct Filter<'a> {
    version: u8,
    cluster: &'a Config,
    host: &'a Config,
    chains: Chains,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    fn upper(self) -> &'static str {
        if self == Self::In { "IN" } else { "OUT" }
    }

    fn lower(self) -> &'static str {
        if self == Self::In { "in" } else { "out" }
    }
}

impl Filter<'_> {
    fn compile(mut self, guests: &[(&Guest, Config)]) -> Chains {
        self.chains.insert("PVEFW-INPUT".into(), Vec::new());
        self.chains.insert("PVEFW-OUTPUT".into(), Vec::new());
        let allow_invalid = self.host.on("nf_conntrack_allow_invalid", false);
        self.connections("PVEFW-FORWARD", allow_invalid);
        self.input_filters("PVEFW-FWBR-IN");
        self.add("PVEFW-FORWARD", "-m physdev --physdev-is-bridged --physdev-in fwln+ -j PVEFW-FWBR-IN");
        self.chains.insert("PVEFW-FWBR-OUT".into(), Vec::new());
        self.add("PVEFW-FORWARD", "-m physdev --physdev-is-bridged --physdev-out fwln+ -j PVEFW-FWBR-OUT");
        self.chains.extend(standard::chains(self.version));
        if self.host.on("enable", true) {
            self.host(Way::In);
            self.host(Way::Out);
            self.add("PVEFW-OUTPUT", "-j PVEFW-HOST-OUT");
            self.add("PVEFW-INPUT", "-j PVEFW-HOST-IN");
        }
        for (guest, config) in guests.iter().filter(|(_, config)| config.on("enable", false)) {
            for (card, _) in guest.cards.iter().enumerate().filter(|(_, card)| card.firewall) {
                self.card(guest, config, card, Way::In);
                self.card(guest, config, card, Way::Out);
            }
        }
        self.chains
    }

    fn add(&mut self, chain: &str, rule: &str) {
        self.chains.entry(chain.to_owned()).or_default().push(format!("-A {chain} {rule}"));
    }

    fn connections(&mut self, chain: &str, allow_invalid: bool) {
        if !allow_invalid {
            self.add(chain, "-m conntrack --ctstate INVALID -j DROP");
        }
        self.add(chain, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    }

    fn input_filters(&mut self, chain: &str) {
        if self.cluster.ipsets.contains_key("blacklist") {
            self.chains.insert("PVEFW-blacklist".into(), vec!["-A PVEFW-blacklist -j DROP".into()]);
            let set = set_name(0, "blacklist", self.version);
            self.add(chain, &format!("-m set --match-set {set} src -j PVEFW-blacklist"));
        }
        if self.host.on("nosmurfs", true) && self.version == 4 {
            self.add(chain, "-m conntrack --ctstate INVALID,NEW -j PVEFW-smurfs");
        }
        if self.host.on("tcpflags", false) {
            self.add(chain, "-p tcp -j PVEFW-tcpflags");
        }
        self.chains.entry(chain.to_owned()).or_default();
    }

    /// What IPv6 cannot do without.
    fn neighbours(&mut self, chain: &str, options: &Config, way: Way, accept: &str) {
        if self.version == 4 || !options.on("ndp", true) {
            return;
        }
        let advertise = way == Way::In || options.on("radv", false);
        let advertisement = advertise.then_some("router-advertisement");
        let kinds = [Some("router-solicitation"), advertisement, Some("neighbor-solicitation")];
        for kind in kinds.into_iter().chain([Some("neighbor-advertisement")]).flatten() {
            self.add(chain, &format!("-p icmpv6 --icmpv6-type {kind} {accept}"));
        }
    }

    fn policy(&mut self, chain: &str, policy: &str, accept: &str) {
        let rules: &[&str] = match policy {
            "ACCEPT" => &[accept],
            "DROP" => &["-j PVEFW-Drop", "-j DROP"],
            _ => &["-j PVEFW-Reject", "-g PVEFW-reject"],
        };
        for rule in rules {
            // A rule without a match has a gap in its place, one that the compiler writes itself has not.
            let gap = if policy == "ACCEPT" { " " } else { "" };
            self.add(chain, &format!("{gap}{rule}"));
        }
    }

    fn host(&mut self, way: Way) {
        let chain = format!("PVEFW-HOST-{}", way.upper());
        let flag = if way == Way::In { "-i" } else { "-o" };
        self.add(&chain, &format!("{flag} lo -j ACCEPT"));
        self.connections(&chain, false);
        self.neighbours(&chain, self.host, way, HOST.accept);
        if way == Way::In {
            self.input_filters(&chain);
        }
        self.add(&chain, "-p igmp -j RETURN");
        for rule in self.host.rules.iter().chain(&self.cluster.rules) {
            if rule.version.is_some_and(|version| version != self.version) {
                continue;
            }
            let iface = rule.iface.as_ref().map(|name| format!("{flag} {name}"));
            if rule.kind == "group" {
                self.group(&chain, &rule.action, way, HOST, iface.as_deref());
            } else if rule.kind == way.lower() {
                let scope = Scope { version: self.version, cluster: self.cluster, own: None };
                let lines = commands(rule, &chain, HOST, scope, iface.as_deref());
                self.chains.entry(chain.clone()).or_default().extend(lines);
            }
        }
        let option = if way == Way::In { "policy_in" } else { "policy_out" };
        if way == Way::In {
            let set = set_name(0, "management", self.version);
            for ports in ["8006", "5900:5999", "3128", "22", "60000:60050"] {
                self.add(&chain, &format!("-m set --match-set {set} src -p tcp --dport {ports} -j RETURN"));
            }
        } else {
            let network = &self.cluster.aliases["local_network"];
            if dotfw::version(network) == Some(self.version) {
                for ports in ["8006", "22", "5900:5999", "3128"] {
                    self.add(&chain, &format!("-d {network} -p tcp --dport {ports} -j RETURN"));
                }
            }
        }
        let default = if way == Way::In { "DROP" } else { "ACCEPT" };
        let policy = self.cluster.options.get(option).map_or(default, String::as_str);
        self.policy(&chain, policy, HOST.accept);
    }

    fn group(&mut self, chain: &str, group: &str, way: Way, actions: Actions, iface: Option<&str>) {
        let name = |way: Way| format!("GROUP-{group}-{}", way.upper());
        if !self.chains.contains_key(&name(way)) {
            for way in [Way::In, Way::Out] {
                let chain = name(way);
                self.add(&chain, &format!("-j MARK --set-mark {MARK_OFF}"));
                for rule in self.cluster.groups.get(group).into_iter().flatten() {
                    if rule.kind == way.lower() && rule.version.is_none_or(|version| version == self.version) {
                        let scope = Scope { version: self.version, cluster: self.cluster, own: None };
                        let lines = commands(rule, &chain, MARK, scope, None);
                        self.chains.entry(chain.clone()).or_default().extend(lines);
                    }
                }
            }
        }
        let gap = if iface.is_some() { " " } else { "" };
        self.add(chain, &format!("{}{gap}-j {}", iface.unwrap_or_default(), name(way)));
        self.add(chain, &format!("-m mark --mark {MARK_ON} {}", actions.accept));
    }

    fn card(&mut self, guest: &Guest, config: &Config, card: usize, way: Way) {
        let port = guest.port(card);
        let chain = format!("{port}-{}", way.upper());
        let accept = if way == Way::In { INTO.accept } else { MARK.accept };
        self.add(&chain, &format!("-j CONNMARK --set-mark {}", guest.vmid));
        if config.on("dhcp", true) {
            let (client, server) = if self.version == 4 { (68, 67) } else { (546, 547) };
            let (sport, dport) = if way == Way::In { (server, client) } else { (client, server) };
            self.add(&chain, &format!("-p udp --sport {sport} --dport {dport} {accept}"));
        }
        if way == Way::Out {
            if config.on("macfilter", true) {
                let mac = mac_text(guest.cards[card].mac);
                self.add(&chain, &format!("-m mac ! --mac-source {mac} -j DROP"));
            }
            if self.version == 6 && !config.on("radv", false) {
                self.add(&chain, "-p icmpv6 --icmpv6-type router-advertisement -j DROP");
            }
            let filter = format!("ipfilter-net{card}");
            if config.on("ipfilter", false) || config.ipsets.contains_key(&filter) {
                let set = set_name(guest.vmid, &filter, self.version);
                self.add(&chain, &format!("-m set ! --match-set {set} src -j DROP"));
            }
            self.add(&chain, &format!("-j MARK --set-mark {MARK_OFF}"));
        }
        self.neighbours(&chain, config, way, accept);
        for rule in &config.rules {
            let elsewhere = rule.iface.as_ref().is_some_and(|iface| *iface != format!("net{card}"));
            if elsewhere || rule.version.is_some_and(|version| version != self.version) {
                continue;
            }
            if rule.kind == "group" {
                let after = Actions { accept: if way == Way::In { "-j ACCEPT" } else { "-j RETURN" }, ..INTO };
                self.group(&chain, &rule.action, way, after, None);
            } else if rule.kind == way.lower() {
                let scope = Scope { version: self.version, cluster: self.cluster, own: Some((guest.vmid, config)) };
                let actions = if way == Way::In { INTO } else { MARK };
                let lines = commands(rule, &chain, actions, scope, None);
                self.chains.entry(chain.clone()).or_default().extend(lines);
            }
        }
        let (option, default) = if way == Way::In { ("policy_in", "DROP") } else { ("policy_out", "ACCEPT") };
        let policy = config.options.get(option).map_or(default, String::as_str);
        self.policy(&chain, policy, accept);
        let (into, side) = if way == Way::In { ("FWBR-IN", "out") } else { ("FWBR-OUT", "in") };
        self.add(
            &format!("PVEFW-{into}"),
            &format!("-m physdev --physdev-is-bridged --physdev-{side} {port} -j {chain}"),
        );
    }
}

fn sets(cluster: &Config, guests: &[(&Guest, Config)]) -> Chains {
    let mut made = Chains::new();
    for (guest, config) in guests {
        let mut wanted = config.ipsets.clone();
        for (place, card) in guest.cards.iter().enumerate().filter(|(_, card)| card.firewall) {
            let name = format!("ipfilter-net{place}");
            if config.on("ipfilter", false) {
                wanted.entry(name.clone()).or_default();
            }
            if let Some(set) = wanted.get_mut(&name) {
                let own = |cidr: String, nomatch| Entry { cidr, nomatch };
                set.push(own(link_local(card.mac).to_string(), false));
                set.push(own("fe80::/10".to_owned(), true));
                let named = [card.named_v4.then(|| card.v4.to_string()), card.named_v6.then(|| card.v6.to_string())];
                set.extend(named.into_iter().flatten().map(|address| own(address, false)));
            }
        }
        for (name, entries) in &wanted {
            set(&mut made, guest.vmid, name, entries, Some(config), cluster);
        }
    }
    for (name, entries) in &cluster.ipsets {
        set(&mut made, 0, name, entries, None, cluster);
    }
    made
}

fn set(made: &mut Chains, vmid: u32, name: &str, entries: &[Entry], own: Option<&Config>, cluster: &Config) {
    for version in [4, 6] {
        // Proxmox sorts them as text; of two equal ones the last is kept.
        let mut sorted = BTreeMap::new();
        for entry in entries {
            let (scope, alias) = scoped(&entry.cidr);
            let resolved =
                if is_name(alias) { find_alias(alias, scope, own, cluster) } else { Some(entry.cidr.clone()) };
            if let Some(cidr) = resolved.filter(|cidr| dotfw::version(cidr) == Some(version)) {
                sorted.insert(cidr, entry.nomatch);
            }
        }
        let size = entries.len().max(64).next_power_of_two();
        let family = if version == 4 { "inet" } else { "inet6" };
        let set = set_name(vmid, name, version);
        let mut lines =
            vec![format!("create {set} hash:net family {family} hashsize {size} maxelem {size} bucketsize 12")];
        lines.extend(
            sorted.iter().map(|(cidr, nomatch)| format!("add {set} {cidr}{}", if *nomatch { " nomatch" } else { "" })),
        );
        made.insert(set, lines);
    }
}

/// The address that a card gives itself (RFC 4291).
pub fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        pair(mac[0] ^ 2, mac[1]),
        pair(mac[2], 0xff),
        pair(0xfe, mac[3]),
        pair(mac[4], mac[5]),
    )
}
