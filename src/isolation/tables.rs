//! Names in rules: aliases and IP sets of the datacenter and of a guest, and which of them is meant.
//!
//! A guest's own name comes before the datacenter's unless `dc/` or `guest/` says which (`ipt_gen_src_or_dst_match`
//! of pve-firewall). Sets are compared by the name as it is written in the rule, aliases in lower case.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::address::{self, Addresses, IpSet, Version};
use crate::model::observed::{FirewallAlias, FirewallIpSet};

/// An IP set, compiled for both versions.
#[derive(Debug, Clone, Default)]
pub(super) struct BothSets {
    v4: Arc<IpSet>,
    v6: Arc<IpSet>,
}

impl BothSets {
    pub fn of(&self, version: Version) -> &Arc<IpSet> {
        match version {
            Version::V4 => &self.v4,
            Version::V6 => &self.v6,
        }
    }

    /// From entries in the order that they are put in.
    pub fn new(entries: impl IntoIterator<Item = (IpNet, bool)>) -> Self {
        let (mut v4, mut v6) = (IpSet::default(), IpSet::default());
        for (network, exception) in entries {
            let set = if network.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            set.insert(network, exception);
        }
        Self { v4: Arc::new(v4), v6: Arc::new(v6) }
    }
}

/// Names of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub aliases: BTreeMap<String, IpNet>,
    pub sets: BTreeMap<String, BothSets>,
    /// What Proxmox leaves out of these names, and why.
    pub faults: Vec<String>,
}

impl Names {
    /// Names of a file; `more` are entries that Proxmox adds to sets by itself.
    pub fn read(
        aliases: &BTreeMap<String, FirewallAlias>,
        sets: &BTreeMap<String, FirewallIpSet>,
        datacenter: Option<&Names>,
        more: &BTreeMap<String, Vec<(IpNet, bool)>>,
    ) -> Self {
        let mut names = Self::default();
        for (name, alias) in aliases {
            match address::network(&alias.cidr) {
                Ok(network) => {
                    names.aliases.insert(name.to_ascii_lowercase(), network.trunc());
                }
                Err(why) => names.faults.push(format!("alias `{name}`: {why}")),
            }
        }
        let no_entries = FirewallIpSet::default();
        let all = sets.keys().chain(more.keys());
        for name in all {
            let set = sets.get(name).unwrap_or(&no_entries);
            let mut entries = Vec::new();
            for (text, entry) in &set.entries {
                match names.entry(text, datacenter) {
                    Ok(network) => entries.push((network, entry.nomatch)),
                    Err(why) => names.faults.push(format!("set `{name}`: {why}")),
                }
            }
            entries.extend(more.get(name).into_iter().flatten());
            names.sets.insert(name.to_ascii_lowercase(), BothSets::new(entries));
        }
        names
    }

    fn entry(&self, text: &str, datacenter: Option<&Self>) -> Result<IpNet, String> {
        // A name of the datacenter is its own in its own file.
        let found = match datacenter {
            Some(_) => alias(text, datacenter, Some(self)),
            None => alias(text, Some(self), None),
        };
        let network = match found {
            Some(found) => found?,
            None => address::network(text)?,
        };
        if network.prefix_len() == 0 { Err(format!("`{text}` is everything, which no set takes")) } else { Ok(network) }
    }
}

/// What `text` stands for if it is the name of an alias at all.
fn alias(text: &str, datacenter: Option<&Names>, own: Option<&Names>) -> Option<Result<IpNet, String>> {
    let (scope, name) = scoped(text);
    if !is_name(name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let in_own = own.filter(|_| scope != Some("dc")).and_then(|names| names.aliases.get(&lower));
    let in_datacenter = datacenter.filter(|_| scope != Some("guest")).and_then(|names| names.aliases.get(&lower));
    Some(in_own.or(in_datacenter).copied().ok_or_else(|| format!("there is no alias `{text}`")))
}

fn scoped(text: &str) -> (Option<&str>, &str) {
    ["dc", "guest", "sdn"]
        .into_iter()
        .find_map(|scope| text.strip_prefix(scope)?.strip_prefix('/').map(|name| (Some(scope), name)))
        .unwrap_or((None, text))
}

fn is_name(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Addresses that a rule is about.
#[derive(Debug, Clone)]
pub(super) enum Where {
    /// These.
    Addresses(Addresses),
    /// Those of a set.
    Set(BothSets),
}

/// Why a rule is not what it seems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Proxmox leaves the rule out.
    Skipped(String),
    /// Proxmox gives up on the list that the rule stands in, if that is a group.
    Breaks(String),
}

/// Names that can be used in a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub datacenter: &'a Names,
    pub own: Option<&'a Names>,
}

impl Scope<'_> {
    /// What `source` or `dest` of a rule is about.
    pub fn resolve(&self, text: &str) -> Result<Where, Fault> {
        if let Some(set) = text.strip_prefix('+') {
            return self.set(set);
        }
        let (scope, name) = scoped(text);
        if !is_name(name) || scope == Some("sdn") {
            return Addresses::parse(text).map(Where::Addresses).map_err(Fault::Skipped);
        }
        if let Some(Ok(network)) = alias(text, Some(self.datacenter), self.own) {
            return Ok(Where::Addresses(Addresses::of_network(network)));
        }
        // Checked without regard to the scope, and looked up with it.
        let anywhere = alias(name, Some(self.datacenter), self.own).is_some_and(|found| found.is_ok());
        let why = format!("there is no alias `{text}`");
        Err(if anywhere { Fault::Breaks(why) } else { Fault::Skipped(why) })
    }

    fn set(&self, text: &str) -> Result<Where, Fault> {
        let (scope, name) = scoped(text);
        let find = |names: Option<&Names>| names.and_then(|names| names.sets.get(name).cloned());
        let own = find(self.own);
        let datacenter = find(Some(self.datacenter));
        let why = format!("there is no set `{text}`");
        if own.is_none() && datacenter.is_none() {
            return Err(Fault::Skipped(why));
        }
        let own = own.filter(|_| scope.is_none_or(|scope| scope == "guest"));
        let datacenter = datacenter.filter(|_| scope.is_none_or(|scope| scope == "dc"));
        own.or(datacenter).map(Where::Set).ok_or(Fault::Breaks(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(alias: &str, set: &str, entry: &str) -> Names {
        let aliases =
            BTreeMap::from([(alias.to_owned(), FirewallAlias { cidr: entry.to_owned(), ..Default::default() })]);
        let mut one = FirewallIpSet::default();
        one.entries.insert(alias.to_owned(), crate::model::observed::IpSetEntry::default());
        Names::read(&aliases, &BTreeMap::from([(set.to_owned(), one)]), None, &BTreeMap::new())
    }

    #[test]
    fn the_datacenters_sets_may_name_its_aliases_with_and_without_dc() {
        for entry in ["hq", "dc/hq", "guest/hq"] {
            let aliases =
                BTreeMap::from([("hq".to_owned(), FirewallAlias { cidr: "10.0.0.1".into(), ..Default::default() })]);
            let mut set = FirewallIpSet::default();
            set.entries.insert(entry.to_owned(), crate::model::observed::IpSetEntry::default());
            let names = Names::read(&aliases, &BTreeMap::from([("all".to_owned(), set)]), None, &BTreeMap::new());
            let holds = names.sets["all"].of(Version::V4).contains("10.0.0.1".parse().unwrap());
            assert_eq!(
                (holds, names.faults.len()),
                if entry == "guest/hq" { (false, 1) } else { (true, 0) },
                "{entry}"
            );
        }
    }

    #[test]
    fn a_guests_own_name_comes_first_unless_the_rule_says_which() {
        let (datacenter, own) = (names("hq", "all", "10.0.0.1"), names("hq", "all", "10.0.0.2"));
        let scope = Scope { datacenter: &datacenter, own: Some(&own) };
        let contains = |text: &str, address: &str| match scope.resolve(text).unwrap() {
            Where::Addresses(list) => list.contains(address.parse().unwrap()),
            Where::Set(set) => set.of(Version::V4).contains(address.parse().unwrap()),
        };
        for (text, address) in [("hq", 2), ("dc/hq", 1), ("guest/hq", 2), ("+all", 2), ("+dc/all", 1), ("HQ", 2)] {
            assert!(contains(text, &format!("10.0.0.{address}")), "{text}");
            assert!(!contains(text, &format!("10.0.0.{}", 3 - address)), "{text}");
        }
        assert!(matches!(scope.resolve("+All"), Err(Fault::Skipped(_))), "sets have a case");
        let none = Names::default();
        let scope = Scope { datacenter: &datacenter, own: Some(&none) };
        assert!(matches!(scope.resolve("+guest/all"), Err(Fault::Breaks(_))));
        assert!(matches!(scope.resolve("guest/hq"), Err(Fault::Breaks(_))));
        assert!(matches!(scope.resolve("nobody"), Err(Fault::Skipped(_))));
    }
}
