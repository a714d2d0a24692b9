//! Files to chains, as pve-firewall compiles them (`compile_iptables_filter` of 9.2.11).
//!
//! One set of chains per host and IP version: what goes out of and comes in to each card of each guest, and of the
//! host itself. What Proxmox leaves out of the files is kept in [`Rules::skipped`] with the reason.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::Version;
use super::builtin;
use super::chain::{Chain, Link, Then, When};
use super::network::{Guest, Host, Nic};
use super::origin::{Origin, line};
use super::protocol;
use super::rule::{self, Direction, Place, Rule};
use super::tables::{Fault, Names, Scope};
use crate::blueprint::Verdict;
use crate::model::GuestName;
use crate::model::observed::{ClusterFirewall, FirewallRule, GuestFirewall, GuestKind};

/// The chains of one host for one IP version.
#[derive(Debug)]
pub(super) struct Rules {
    /// What comes in to the host; `None` where its own firewall is off.
    pub host_in: Option<Chain>,
    /// What goes out of the host.
    pub host_out: Option<Chain>,
    /// What every card with a firewall is spared, before its guest's own rules.
    pub guarded: Chain,
    /// Cards whose chains are there, outward and inward.
    pub cards: BTreeMap<(GuestName, u8), (Chain, Chain)>,
    /// Rules that Proxmox leaves out, or that are not modelled.
    pub skipped: Vec<Skipped>,
}

/// A rule that is written in a file and not in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
pub struct Skipped {
    /// The rule.
    pub rule: Origin,
    /// Why.
    pub why: String,
}

/// A list of rules and where it stands.
struct List<'a> {
    file: &'a str,
    section: String,
    rules: &'a [FirewallRule],
    place: Place,
}

impl List<'_> {
    fn origin(&self, position: usize) -> Origin {
        Origin::Rule {
            file: self.file.to_owned(),
            section: self.section.clone(),
            position,
            text: line(&self.rules[position]),
        }
    }
}

/// What is the same for all chains of one version.
struct Compiler<'a> {
    version: Version,
    cluster: &'a ClusterFirewall,
    names: &'a Names,
    standard: builtin::Standard,
    groups: BTreeMap<(String, Direction), Result<Chain, String>>,
    skipped: Vec<Skipped>,
}

const CLUSTER_FILE: &str = "cluster.fw";
const HOST_FILE: &str = "host.fw";

/// Compiles what a host enforces if its datacenter's firewall is on.
pub(super) fn compile<'a>(
    cluster: &ClusterFirewall,
    host: &Host,
    guests: impl Iterator<Item = (&'a GuestName, &'a Guest)> + Clone,
    version: Version,
) -> Rules {
    let local = local_network(cluster, host);
    let mut more = BTreeMap::new();
    more.insert("management".to_owned(), local.map(|network| (network, false)).into_iter().collect());
    let names = Names::read(&cluster.aliases, &cluster.ipsets, None, &more);
    let standard = builtin::Standard::new(version);
    let mut compiler =
        Compiler { version, cluster, names: &names, standard, groups: BTreeMap::new(), skipped: Vec::new() };
    let option = |name: &str| host.firewall.options.get(name).map(String::as_str);
    let own = option("enable") != Some("0");
    let host_in = own.then(|| compiler.host(host, Direction::In, local));
    let host_out = own.then(|| compiler.host(host, Direction::Out, local));
    let guarded = compiler.guarded(option("nosmurfs") != Some("0")).into();
    let mut cards = BTreeMap::new();
    for (name, guest) in guests {
        let Some(firewall) = &guest.firewall else { continue };
        if firewall.options.get("enable").map(String::as_str) != Some("1") {
            continue;
        }
        for nic in guest.nics.iter().filter(|nic| nic.firewall) {
            let names = guest_names(guest, firewall, &names);
            let chains =
                [Direction::In, Direction::Out].map(|direction| compiler.card(guest, firewall, nic, &names, direction));
            match chains {
                [Ok(inward), Ok(outward)] => {
                    cards.insert((name.clone(), nic.index), (outward, inward));
                }
                // `compile_iptables_filter` gives up on the guest, and so nothing is in force.
                [Err(why), _] | [_, Err(why)] => compiler.skipped.push(Skipped {
                    rule: Origin::proxmox(format!("all of {}", guest.file())),
                    why: format!("Proxmox gives up on it, and the guest has no firewall at all: {why}"),
                }),
            }
        }
    }
    let mut skipped = compiler.skipped;
    skipped.extend(names.faults.iter().map(|why| Skipped { rule: Origin::proxmox(CLUSTER_FILE), why: why.clone() }));
    Rules { host_in, host_out, guarded, cards, skipped }
}

/// The alias `local_network` of the datacenter, else the network that Proxmox finds.
fn local_network(cluster: &ClusterFirewall, host: &Host) -> Option<IpNet> {
    let alias = cluster.aliases.get("local_network").and_then(|alias| super::address::network(&alias.cidr).ok());
    alias.or(host.local_network).map(|network| network.trunc())
}

/// Names of a guest, with what Proxmox itself puts into the sets that filter its cards' addresses.
fn guest_names(guest: &Guest, firewall: &GuestFirewall, datacenter: &Names) -> Names {
    let implicit = firewall.options.get("ipfilter").map(String::as_str) == Some("1");
    let mut more = BTreeMap::new();
    for nic in guest.nics.iter().filter(|nic| nic.firewall) {
        let set = format!("ipfilter-net{}", nic.index);
        if !implicit && !firewall.ipsets.contains_key(&set) {
            continue;
        }
        let link_local = nic.mac.map(|mac| (IpNet::from(IpAddr::V6(mac.link_local())), false));
        let others = "fe80::/10".parse::<IpNet>().ok().map(|network| (network, true));
        // Of a VM, Proxmox does not know the addresses.
        let own = nic.addresses.iter().filter(|_| guest.kind == GuestKind::Lxc);
        let own = own.map(|address| (IpNet::from(*address), false));
        more.insert(set, link_local.into_iter().chain(others).chain(own).collect());
    }
    Names::read(&firewall.aliases, &firewall.ipsets, Some(datacenter), &more)
}

impl Compiler<'_> {
    fn accepting(direction: Direction) -> Then {
        match direction {
            Direction::In => Then::Accept,
            Direction::Out => Then::MarkAndLeave,
        }
    }

    fn then(&self, verdict: Verdict, accept: &Then) -> Then {
        match verdict {
            Verdict::Accept => accept.clone(),
            Verdict::Drop => Then::Drop,
            Verdict::Reject => Then::Jump(self.standard.reject.clone()),
        }
    }

    /// One card of a guest: `tap100i0-IN` and its like.
    fn card(
        &mut self,
        guest: &Guest,
        firewall: &GuestFirewall,
        nic: &Nic,
        names: &Names,
        direction: Direction,
    ) -> Result<Chain, String> {
        let file = guest.file();
        let option = |name: &str| firewall.options.get(name).map(String::as_str);
        let said = |name: &str, default: &str| Some(Origin::option(&file, name, option(name), default));
        let accept = Self::accepting(direction);
        let mut chain = Vec::new();
        if option("dhcp") != Some("0") {
            let (client, server) = match self.version {
                Version::V4 => (68, 67),
                Version::V6 => (546, 547),
            };
            let (from, to) = if direction == Direction::Out { (client, server) } else { (server, client) };
            let when = When {
                protocol: Some(protocol::UDP),
                sport: vec![(from, from)],
                dport: vec![(to, to)],
                ..When::default()
            };
            chain.push(Link::new(when, accept.clone(), said("dhcp", "1")));
        }
        if direction == Direction::Out {
            if option("macfilter") != Some("0") {
                let when = When { other_mac_than: Some(nic.mac), ..When::default() };
                chain.push(Link::new(when, Then::Drop, said("macfilter", "1")));
            }
            if self.version == Version::V6 && option("radv") != Some("1") {
                let when = builtin::icmpv6("router-advertisement");
                chain.push(Link::new(when, Then::Drop, said("radv", "0")));
            }
            let set = format!("ipfilter-net{}", nic.index);
            if let Some(own) =
                names.sets.get(&set).filter(|_| option("ipfilter") == Some("1") || firewall.ipsets.contains_key(&set))
            {
                let when = When { source_not_in: Some(own.of(self.version).clone()), ..When::default() };
                let by = match option("ipfilter") {
                    Some("1") => Origin::option(&file, "ipfilter", Some("1"), "0"),
                    _ => Origin::proxmox(format!("{file} [IPSET {set}]")),
                };
                chain.push(Link::new(when, Then::Drop, Some(by)));
            }
            chain.push(Link::new(When::default(), Then::Unmark, None));
        }
        if self.version == Version::V6 && option("ndp") != Some("0") {
            chain.extend(builtin::discovery(direction, option("radv") == Some("1"), &accept, said("ndp", "1")));
        }
        let list = List { file: &file, section: "RULES".into(), rules: &firewall.rules, place: Place::Guest };
        let card = format!("net{}", nic.index);
        let after_group = if direction == Direction::Out { Then::Return } else { Then::Accept };
        for (position, rule) in self.read(&list, Some(names)) {
            let here = |iface: &Option<String>| iface.as_ref().is_none_or(|iface| *iface == card);
            match rule {
                Ok(Rule::Packets { direction: of, verdict, iface, when }) if of == direction && here(&iface) => {
                    let then = self.then(verdict, &accept);
                    chain.extend(links(when, &then, &list.origin(position)));
                }
                Ok(Rule::Group { name, iface }) if here(&iface) => {
                    let group = self.group(&name, direction)?;
                    chain.push(Link::new(When::default(), Then::Jump(group), Some(list.origin(position))));
                    let when = When { marked: true, ..When::default() };
                    chain.push(Link::new(when, after_group.clone(), None));
                }
                _ => {}
            }
        }
        let (name, default) = match direction {
            Direction::In => ("policy_in", "DROP"),
            Direction::Out => ("policy_out", "ACCEPT"),
        };
        self.policy(&mut chain, &file, name, option(name), default, &accept);
        Ok(chain.into())
    }

    /// The rules of a list; a fault is noted once and the rule left out.
    fn read(&mut self, list: &List<'_>, own: Option<&Names>) -> Vec<(usize, Result<Rule, Fault>)> {
        let scope = Scope { datacenter: self.names, own };
        let mut read = Vec::new();
        for (position, fields) in list.rules.iter().enumerate() {
            let rule = rule::read(fields, list.place, scope, self.version);
            let why = match &rule {
                Err(Fault::Skipped(why) | Fault::Breaks(why)) => format!("Proxmox leaves it out: {why}"),
                Ok(Rule::Forward) => "rules for forwarded traffic are enforced by the nftables variant only".to_owned(),
                Ok(_) => String::new(),
            };
            let skipped = Skipped { rule: list.origin(position), why };
            if !skipped.why.is_empty() && !self.skipped.contains(&skipped) {
                self.skipped.push(skipped);
            }
            read.push((position, rule));
        }
        read
    }

    /// A security group: accepting sets the mark, which whoever jumped here looks at.
    fn group(&mut self, name: &str, direction: Direction) -> Result<Chain, String> {
        let key = (name.to_owned(), direction);
        if let Some(done) = self.groups.get(&key) {
            return done.clone();
        }
        let rules = self.cluster.groups.get(name).map(|group| group.rules.as_slice()).unwrap_or_default();
        let list = List { file: CLUSTER_FILE, section: format!("group {name}"), rules, place: Place::Group };
        let mut chain = vec![Link::new(When::default(), Then::Unmark, None)];
        let mut broken = None;
        for (position, rule) in self.read(&list, None) {
            match rule {
                Ok(Rule::Packets { direction: of, verdict, when, .. }) if of == direction => {
                    let then = self.then(verdict, &Then::MarkAndLeave);
                    chain.extend(links(when, &then, &list.origin(position)));
                }
                Err(Fault::Breaks(why)) => broken = Some(format!("group `{name}`: {why}")),
                _ => {}
            }
        }
        let done = broken.map_or_else(|| Ok(Chain::from(chain)), Err);
        self.groups.insert(key, done.clone());
        done
    }

    fn policy(&self, chain: &mut Vec<Link>, file: &str, name: &str, set: Option<&str>, default: &str, accept: &Then) {
        let origin = Origin::option(file, name, set, default);
        let (first, last) = match set.unwrap_or(default).to_ascii_uppercase().as_str() {
            "ACCEPT" => (None, accept.clone()),
            "REJECT" => (Some(&self.standard.rejected), Then::Jump(self.standard.reject.clone())),
            _ => (Some(&self.standard.dropped), Then::Drop),
        };
        if let Some(first) = first {
            chain.push(Link::new(When::default(), Then::Jump(first.clone()), None));
        }
        chain.push(Link::new(When::default(), last, Some(origin)));
    }

    /// `PVEFW-FWBR-IN`, and a part of what comes in to a host.
    fn guarded(&self, smurfs: bool) -> Vec<Link> {
        let mut chain = Vec::new();
        if let Some(blacklist) = self.names.sets.get("blacklist") {
            let source = Some(super::tables::Where::Set(blacklist.clone()));
            let origin = Origin::proxmox(format!("{CLUSTER_FILE} [IPSET blacklist]"));
            chain.push(Link::new(When { source, ..When::default() }, Then::Drop, Some(origin)));
        }
        if smurfs && self.version == Version::V4 {
            chain.push(Link::new(When::default(), Then::Jump(self.standard.smurfs.clone()), None));
        }
        chain
    }

    /// `PVEFW-HOST-IN` and `PVEFW-HOST-OUT`.
    fn host(&mut self, host: &Host, direction: Direction, local: Option<IpNet>) -> Chain {
        let option = |name: &str| host.firewall.options.get(name).map(String::as_str);
        let mut chain = Vec::new();
        if self.version == Version::V6 && option("ndp") != Some("0") {
            let origin = Origin::option(HOST_FILE, "ndp", option("ndp"), "1");
            chain.extend(builtin::discovery(direction, false, &Then::Return, Some(origin)));
        }
        if direction == Direction::In {
            chain.extend(self.guarded(option("nosmurfs") != Some("0")));
        }
        let when = When { protocol: Some(protocol::IGMP), ..When::default() };
        chain.push(Link::new(when, Then::Return, Some(Origin::proxmox("Proxmox lets IGMP pass"))));
        let lists = [
            List { file: HOST_FILE, section: "RULES".into(), rules: &host.firewall.rules, place: Place::Host },
            List { file: CLUSTER_FILE, section: "RULES".into(), rules: &self.cluster.rules, place: Place::Host },
        ];
        for list in &lists {
            for (position, rule) in self.read(list, None) {
                match rule {
                    Ok(Rule::Packets { direction: of, verdict, iface, when }) if of == direction => {
                        let then = self.then(verdict, &Then::Return);
                        let when = when.into_iter().map(|when| on(when, direction, iface.clone())).collect();
                        chain.extend(links(when, &then, &list.origin(position)));
                    }
                    Ok(Rule::Group { name, iface }) => {
                        // A group that breaks breaks nothing but this rule.
                        let Ok(group) = self.group(&name, direction) else { continue };
                        let origin = list.origin(position);
                        let when = on(When::default(), direction, iface);
                        chain.push(Link::new(when, Then::Jump(group), Some(origin.clone())));
                        // PVE asks for the mark whatever the interface (`ruleset_add_group_rule`): what a guest's own
                        // chain has accepted still carries it.
                        let when = When { marked: true, ..When::default() };
                        chain.push(Link::new(when, Then::Return, None));
                    }
                    _ => {}
                }
            }
        }
        chain.extend(builtin::management(direction, self.names, local, self.version));
        let (name, default) = match direction {
            Direction::In => ("policy_in", "DROP"),
            Direction::Out => ("policy_out", "ACCEPT"),
        };
        let set = self.cluster.options.get(name).map(String::as_str);
        self.policy(&mut chain, CLUSTER_FILE, name, set, default, &Then::Return);
        chain.into()
    }
}

fn links(when: Vec<When>, then: &Then, origin: &Origin) -> Vec<Link> {
    when.into_iter().map(|when| Link::new(when, then.clone(), Some(origin.clone()))).collect()
}

fn on(mut when: When, direction: Direction, iface: Option<String>) -> When {
    match direction {
        Direction::In => when.iface_in = iface,
        Direction::Out => when.iface_out = iface,
    }
    when
}
