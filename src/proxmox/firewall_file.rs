//! `/etc/pve/firewall/*.fw`: options, aliases, sets, groups and rules as Proxmox stores them.
//!
//! Read over SSH, since one `cat` tells of all guests what the API would need two calls each for. The
//! words are translated into those of the API, so that a rule means the same wherever it was read.
//! A line that Proxmox itself does not take for a rule is none here either, or positions would differ.
//! Format observed on 9.2.11 and in pve-firewall's own parser.

use std::collections::BTreeMap;

use crate::model::entrance::HostFirewall;
use crate::model::observed::{
    ClusterFirewall, FirewallAlias, FirewallGroup, FirewallIpSet, FirewallRule, GuestFirewall, IpSetEntry,
};

enum Section {
    Options,
    Aliases,
    Rules,
    Group(String),
    IpSet(String),
    Other,
}

/// Reads `cluster.fw`.
#[must_use]
pub fn read_cluster(text: &str) -> ClusterFirewall {
    let mut firewall = ClusterFirewall { present: true, ..ClusterFirewall::default() };
    each_line(text, |section, line| match section {
        Section::Options => insert_option(&mut firewall.options, line),
        Section::Group(header) => {
            let (name, comment) = named_header(header);
            let group = firewall.groups.entry(name).or_default();
            group.comment = comment;
            group.rules.extend(line.and_then(rule));
        }
        Section::IpSet(header) => insert_entry(&mut firewall.ipsets, header, line),
        Section::Aliases => firewall.aliases.extend(line.and_then(alias)),
        Section::Rules => firewall.rules.extend(line.and_then(rule)),
        Section::Other => {}
    });
    firewall
}

/// Reads a host's `host.fw`.
#[must_use]
pub fn read_host(text: &str) -> HostFirewall {
    let GuestFirewall { options, rules, .. } = read_guest(text);
    HostFirewall { present: true, options, rules }
}

/// Reads a guest's file.
#[must_use]
pub fn read_guest(text: &str) -> GuestFirewall {
    let mut firewall = GuestFirewall::default();
    each_line(text, |section, line| match section {
        Section::Options => insert_option(&mut firewall.options, line),
        Section::Rules => firewall.rules.extend(line.and_then(rule)),
        Section::IpSet(header) => insert_entry(&mut firewall.ipsets, header, line),
        Section::Aliases => firewall.aliases.extend(line.and_then(alias)),
        Section::Group(_) | Section::Other => {}
    });
    firewall
}

/// Calls back once for each section header (without a line) and for each line in it.
fn each_line(text: &str, mut take: impl FnMut(&Section, Option<&str>)) {
    let mut section = Section::Other;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            section = header(line);
            take(&section, None);
        } else {
            take(&section, Some(line));
        }
    }
}

fn header(line: &str) -> Section {
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("[options]") {
        Section::Options
    } else if lower.starts_with("[aliases]") {
        Section::Aliases
    } else if lower.starts_with("[rules]") {
        Section::Rules
    } else if lower.starts_with("[group ") {
        Section::Group(line["[group ".len()..].to_owned())
    } else if lower.starts_with("[ipset ") {
        Section::IpSet(line["[ipset ".len()..].to_owned())
    } else {
        Section::Other
    }
}

/// `project-ct] # projects` is a name and a comment.
fn named_header(rest: &str) -> (String, String) {
    let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
    let comment = after.trim().strip_prefix('#').map(str::trim).unwrap_or_default();
    (name.trim().to_ascii_lowercase(), comment.to_owned())
}

/// `!10.0.0.0/24 # comment`.
fn entry(line: &str) -> Option<(String, IpSetEntry)> {
    let (body, comment) = line.split_once('#').unwrap_or((line, ""));
    let (nomatch, cidr) = body.trim().strip_prefix('!').map_or((false, body.trim()), |cidr| (true, cidr.trim()));
    (!cidr.is_empty()).then(|| (cidr.to_owned(), IpSetEntry { comment: comment.trim().to_owned(), nomatch }))
}

/// The first of two entries for the same network counts (`duplicate ipset entry` is an error to PVE).
fn insert_entry(sets: &mut BTreeMap<String, FirewallIpSet>, header: &str, line: Option<&str>) {
    let (name, comment) = named_header(header);
    let set = sets.entry(name).or_default();
    set.comment = comment;
    if let Some((cidr, entry)) = line.and_then(entry) {
        set.entries.entry(cidr).or_insert(entry);
    }
}

/// `planhq 10.0.0.10 # comment`.
fn alias(line: &str) -> Option<(String, FirewallAlias)> {
    let (body, comment) = line.split_once('#').unwrap_or((line, ""));
    let (name, cidr) = body.trim().split_once(char::is_whitespace)?;
    let cidr = cidr.trim();
    let alias = FirewallAlias { cidr: cidr.to_owned(), comment: comment.trim().to_owned() };
    (!cidr.is_empty() && !cidr.contains(char::is_whitespace)).then(|| (name.to_ascii_lowercase(), alias))
}

fn insert_option(options: &mut BTreeMap<String, String>, line: Option<&str>) {
    if let Some((name, value)) = line.and_then(|line| line.split_once(':')) {
        options.insert(name.trim().to_owned(), value.trim().to_owned());
    }
}

/// `|IN SSH(ACCEPT) -source 10.0.0.0/24 -p tcp -dport 22 # comment`.
fn rule(line: &str) -> Option<FirewallRule> {
    let (body, comment) = match line.split_once('#') {
        Some((body, comment)) => (body, Some(comment.trim())),
        None => (line, None),
    };
    let (enable, body) = match body.trim().strip_prefix('|') {
        Some(body) => ("0", body),
        None => ("1", body.trim()),
    };
    let mut words = body.split_whitespace();
    let mut fields = BTreeMap::from([("enable".to_owned(), enable.to_owned())]);
    let kind = words.next()?.to_ascii_lowercase();
    let action = words.next()?;
    match action.split_once('(') {
        Some((macro_name, action)) => {
            fields.insert("macro".to_owned(), macro_name.to_owned());
            fields.insert("action".to_owned(), action.trim_end_matches(')').to_owned());
        }
        None => {
            fields.insert("action".to_owned(), action.to_owned());
        }
    }
    fields.insert("type".to_owned(), kind);
    while let Some(flag) = words.next() {
        let name = match flag {
            "-i" => "iface",
            _ if fields["type"] == "group" => return None,
            "-p" | "-proto" | "--proto" => "proto",
            _ => flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?,
        };
        if !["iface", "proto", "dport", "sport", "source", "dest", "log", "icmp-type"].contains(&name) {
            return None;
        }
        fields.insert(name.to_owned(), words.next()?.to_owned());
    }
    if let Some(comment) = comment.filter(|c| !c.is_empty()) {
        fields.insert("comment".to_owned(), comment.to_owned());
    }
    Some(FirewallRule(fields))
}

/// Whether a group by this name is there at all, even without rules.
#[must_use]
pub fn group<'a>(firewall: &'a ClusterFirewall, name: &str) -> Option<&'a FirewallGroup> {
    firewall.groups.get(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_file_gives_options_and_groups() {
        let firewall = read_cluster(
            "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nplanhq 192.0.2.10\n\n[IPSET infra-projects]\n\n192.0.2.20 # proj-x\n\n\
             [group project-ct] # projects\n\nIN DROP -source +dc/infra-projects # no east-west\n\n[group empty]\n\n",
        );
        assert_eq!(firewall.options["enable"], "1");
        let group = &firewall.groups["project-ct"];
        assert_eq!(group.comment, "projects");
        assert_eq!(group.rules.len(), 1);
        assert_eq!(group.rules[0].0["source"], "+dc/infra-projects");
        assert_eq!(group.rules[0].0["comment"], "no east-west");
        assert!(firewall.groups["empty"].rules.is_empty());
        assert_eq!(firewall.ipsets["infra-projects"].entries["192.0.2.20"].comment, "proj-x");
        assert_eq!(firewall.aliases["planhq"].cidr, "192.0.2.10");
    }

    #[test]
    fn lines_that_proxmox_takes_for_no_rule_are_none() {
        let text = "[RULES]\n\nIN ACCEPT -p tcp -dport\nIN ACCEPT -nonsense 1\nIN\nGROUP a -p tcp\n# IN DROP\nGROUP a -i net0\n";
        let firewall = read_guest(text);
        assert_eq!(firewall.rules.len(), 1, "{firewall:?}");
    }

    #[test]
    fn guests_have_sets_and_aliases_of_their_own() {
        let firewall = read_guest("[ALIASES]\n\nSelf 10.0.0.9 # me\n\n[IPSET ipfilter-net0]\n\n10.0.0.9\n!10.0.0.9\n");
        assert_eq!(
            (firewall.aliases["self"].cidr.as_str(), firewall.aliases["self"].comment.as_str()),
            ("10.0.0.9", "me")
        );
        assert!(!firewall.ipsets["ipfilter-net0"].entries["10.0.0.9"].nomatch, "the first of two counts");
    }

    #[test]
    fn sets_and_rules_of_the_datacenter_are_read() {
        let text = "[IPSET management] # us\n\n!192.0.2.7\n192.0.2.0/24\n\n[RULES]\n\nIN DROP -p tcp -dport 22\n";
        let firewall = read_cluster(text);
        let set = &firewall.ipsets["management"];
        assert!(set.comment == "us" && set.entries["192.0.2.7"].nomatch && !set.entries["192.0.2.0/24"].nomatch);
        assert_eq!(firewall.rules.len(), 1);
        assert!(read_host("[OPTIONS]\n\nenable: 0\n").options["enable"] == "0");
    }

    #[test]
    fn guest_file_gives_rules_top_first() {
        let firewall = read_guest(
            "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[RULES]\n\nIN ACCEPT -source planhq -p tcp -dport 22\n|IN SSH(DROP) -i net0\nGROUP project-ct\n",
        );
        assert_eq!(firewall.options["policy_in"], "DROP");
        let [first, second, third] = &firewall.rules[..] else { panic!("three rules") };
        assert_eq!((first.0["proto"].as_str(), first.0["dport"].as_str()), ("tcp", "22"));
        assert_eq!(
            (second.0["enable"].as_str(), second.0["macro"].as_str(), second.0["iface"].as_str()),
            ("0", "SSH", "net0")
        );
        assert_eq!((third.0["type"].as_str(), third.0["action"].as_str()), ("group", "project-ct"));
    }
}
