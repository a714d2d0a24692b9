//! Who names an alias, a set or a group of the datacenter's firewall: in every firewall file of the cluster, those of
//! guests that are not ours among them.
//!
//! Proxmox removes what is named without a word, but for the contents of a set and the rules of a group, which must be
//! gone (`PVE/API2/Firewall/{Aliases,IPSet,Groups}.pm`): a rule that names a missing alias or set is left out
//! then, and a guest that names a missing group has no firewall at all.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::observed::{FirewallIpSet, FirewallRule, GuestFirewall, Site};
use crate::model::{NodeName, Vmid};

/// Something of the datacenter's firewall that others name, by its name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Alias(String),
    Set(String),
    Group(String),
}

/// Where something is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Referrer {
    /// The datacenter's own rules.
    Datacenter,
    /// A node's own firewall.
    Host(NodeName),
    /// A guest's firewall, whoever it is of.
    Guest(Vmid),
    /// A group of the datacenter.
    Group(String),
    /// A set of the datacenter.
    Set(String),
    /// Another firewall file, such as that of a VNet.
    File(String),
}

impl fmt::Display for Referrer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datacenter => f.write_str("the rules of the datacenter"),
            Self::Host(node) => write!(f, "the own firewall of node `{node}`"),
            Self::Guest(vmid) => write!(f, "the firewall of guest {vmid}"),
            Self::Group(name) => write!(f, "group `{name}`"),
            Self::Set(name) => write!(f, "set `{name}`"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// Everything that names an object directly.
///
/// # Errors
/// Why it is not known: a file could not be read.
pub fn referrers(site: &Site, object: &Object) -> Result<BTreeSet<Referrer>, String> {
    let why = |why: Option<&str>| why.unwrap_or("not known").to_owned();
    let cluster = site.firewall.value().filter(|_| site.firewall.is_complete());
    let cluster = cluster.ok_or_else(|| why(site.firewall.why()))?;
    let files = site.firewall_files.value().filter(|_| site.firewall_files.is_complete());
    let files = files.ok_or_else(|| why(site.firewall_files.why()))?;
    let mut found = BTreeSet::new();
    if in_rules(&cluster.rules, object) {
        found.insert(Referrer::Datacenter);
    }
    let groups = cluster.groups.iter().filter(|(_, group)| in_rules(&group.rules, object));
    found.extend(groups.map(|(name, _)| Referrer::Group(name.clone())));
    let sets = cluster.ipsets.iter().filter(|(_, set)| in_set(set, object));
    found.extend(sets.map(|(name, _)| Referrer::Set(name.clone())));
    let naming = files.iter().filter(|(_, file)| in_file(file, object));
    found.extend(naming.map(|(path, _)| referrer(path)));
    Ok(found)
}

/// As [`referrers`], with those that name it through a group or a set.
///
/// # Errors
/// As [`referrers`].
pub fn in_the_end(site: &Site, object: &Object) -> Result<BTreeSet<Referrer>, String> {
    let mut found = BTreeSet::new();
    let mut open = vec![object.clone()];
    while let Some(object) = open.pop() {
        for referrer in referrers(site, &object)? {
            if !found.insert(referrer.clone()) {
                continue;
            }
            match referrer {
                Referrer::Group(name) => open.push(Object::Group(name)),
                Referrer::Set(name) => open.push(Object::Set(name)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Whose file it is, by its path.
pub fn referrer(path: &str) -> Referrer {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let known = match parts[..] {
        ["etc", "pve", "nodes", node, "host.fw"] => node.parse().ok().map(Referrer::Host),
        ["etc", "pve", "firewall", file] => file
            .strip_suffix(".fw")
            .and_then(|vmid| vmid.parse::<u32>().ok())
            .and_then(|vmid| Vmid::try_from(vmid).ok())
            .map(Referrer::Guest),
        _ => None,
    };
    known.unwrap_or_else(|| Referrer::File(path.to_owned()))
}

fn in_file(file: &GuestFirewall, object: &Object) -> bool {
    // A name without `dc/` means the guest's own first; that its own is gone some day is no reason to look away.
    in_rules(&file.rules, object) || file.ipsets.values().any(|set| in_set(set, object))
}

fn in_rules(rules: &[FirewallRule], object: &Object) -> bool {
    rules.iter().any(|rule| {
        let get = |name: &str| rule.0.get(name).map(String::as_str);
        match object {
            Object::Group(name) => {
                get("type") == Some("group") && get("action").is_some_and(|named| named.eq_ignore_ascii_case(name))
            }
            _ => ["source", "dest"]
                .into_iter()
                .filter_map(get)
                .flat_map(|end| end.split(','))
                .any(|end| names(end.trim(), object)),
        }
    })
}

fn in_set(set: &FirewallIpSet, object: &Object) -> bool {
    set.entries.keys().any(|entry| names(entry, object))
}

/// Whether one end of a rule, or an entry of a set, means the object: `+dc/set`, `+set`, `dc/alias`, `alias`.
fn names(end: &str, object: &Object) -> bool {
    let plain = |text: &str| text.strip_prefix("dc/").unwrap_or(text).to_ascii_lowercase();
    match (object, end.strip_prefix('+')) {
        (Object::Set(name), Some(set)) => plain(set) == *name,
        (Object::Alias(name), None) => plain(end) == *name,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Fact;
    use crate::proxmox::firewall_file::{read_cluster, read_guest};

    fn site(cluster: &str, files: &[(&str, &str)]) -> Site {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), read_guest(text)));
        Site {
            firewall: Fact::complete(read_cluster(cluster)),
            firewall_files: Fact::complete(files.collect()),
            ..Site::default()
        }
    }

    #[test]
    fn whoever_names_something_of_the_datacenter_is_found_wherever_it_is() {
        let site = site(
            "[IPSET s]\n\ndc/a\n\n[group g]\n\nIN ACCEPT -source +dc/s\n\n[RULES]\n\nGROUP G -i vmbr0\n",
            &[
                ("/etc/pve/firewall/900.fw", "[RULES]\n\n|GROUP g\nIN DROP -source 10.0.0.1,+S\n"),
                ("/etc/pve/nodes/pve2/host.fw", "[RULES]\n\nIN ACCEPT -source a\n"),
                ("/etc/pve/sdn/firewall/v0.fw", "[RULES]\n\nFORWARD DROP -dest dc/A\n"),
                ("/etc/pve/firewall/901.fw", "[RULES]\n\nIN ACCEPT -source +dc/other -dest b\n"),
            ],
        );
        let said = |object: Object| -> Vec<String> {
            referrers(&site, &object).unwrap().iter().map(ToString::to_string).collect()
        };
        let alias = said(Object::Alias("a".into()));
        assert_eq!(alias, ["the own firewall of node `pve2`", "set `s`", "/etc/pve/sdn/firewall/v0.fw"]);
        assert_eq!(said(Object::Set("s".into())), ["the firewall of guest 900", "group `g`"]);
        assert_eq!(said(Object::Group("g".into())), ["the rules of the datacenter", "the firewall of guest 900"]);
        let all = in_the_end(&site, &Object::Alias("a".into())).unwrap();
        assert!(all.contains(&Referrer::Datacenter), "through a set and a group: {all:?}");
    }

    #[test]
    fn what_could_not_be_read_is_not_unused() {
        let mut site = site("", &[]);
        assert_eq!(referrers(&site, &Object::Group("g".into())), Ok(BTreeSet::new()));
        site.firewall_files = Fact::unavailable("no SSH");
        assert_eq!(referrers(&site, &Object::Group("g".into())), Err("no SSH".to_owned()));
    }
}
