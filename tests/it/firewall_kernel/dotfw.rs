//! `.fw` files as `PVE::Firewall` reads them, line by line, with what it throws away.
//!
//! Written for this suite alone and from Proxmox's own source: the parsers of `infra` are what is on trial.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::macros;

/// A file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub options: BTreeMap<String, String>,
    /// By name in lower case.
    pub aliases: BTreeMap<String, String>,
    pub ipsets: BTreeMap<String, Vec<Entry>>,
    pub groups: BTreeMap<String, Vec<Rule>>,
    pub rules: Vec<Rule>,
}

impl Config {
    /// Whether a switch is on; `default` if the file does not say.
    pub fn on(&self, option: &str, default: bool) -> bool {
        self.options.get(option).map_or(default, |value| value != "0")
    }
}

/// A line of a set; those with errors are not kept.
#[derive(Debug, Clone)]
pub struct Entry {
    /// An address, a network, or an alias with or without `dc/` and `guest/`.
    pub cidr: String,
    pub nomatch: bool,
}

/// A rule that Proxmox would use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// `in`, `out`, `group`, `forward`.
    pub kind: String,
    /// What to do, or a group's name.
    pub action: String,
    pub macro_name: Option<String>,
    pub iface: Option<String>,
    pub source: Option<String>,
    pub dest: Option<String>,
    pub proto: Option<String>,
    pub dport: Option<String>,
    pub sport: Option<String>,
    pub icmp_type: Option<String>,
    pub version: Option<u8>,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Env {
    Cluster,
    Host,
    Guest,
}

enum Section {
    None,
    Options,
    Aliases,
    Rules,
    Group(String),
    Set(String),
}

/// Reads a file; `cluster` is the datacenter's, where this is another one. Nothing for an empty text, which Proxmox
/// takes for a missing file.
pub fn parse(text: &str, env: Env, cluster: Option<&Config>) -> Option<Config> {
    if text.is_empty() {
        return None;
    }
    let mut config = Config::default();
    let mut section = Section::None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(found) = header(line, env) {
            match &found {
                Section::Group(name) => drop(config.groups.insert(name.clone(), Vec::new())),
                Section::Set(name) => drop(config.ipsets.insert(name.clone(), Vec::new())),
                _ => {}
            }
            section = found;
            continue;
        }
        match &section {
            Section::None => {}
            Section::Options => {
                if let Some((name, value)) = line.split_once(':') {
                    config.options.insert(name.trim().to_ascii_lowercase(), value.trim().to_ascii_uppercase());
                }
            }
            Section::Aliases => {
                let body = line.split('#').next().unwrap_or_default();
                let mut words = body.split_whitespace();
                if let (Some(name), Some(cidr), None) = (words.next(), words.next(), words.next()) {
                    config.aliases.insert(name.to_ascii_lowercase(), short(cidr));
                }
            }
            Section::Rules => {
                let rule = rule(line, env, Some(&config), cluster.unwrap_or(&config), false);
                config.rules.extend(rule);
            }
            Section::Group(name) => {
                let rule = rule(line, env, None, cluster.unwrap_or(&config), true);
                if let (Some(rule), Some(group)) = (rule, config.groups.get_mut(name)) {
                    group.push(rule);
                }
            }
            Section::Set(name) => {
                let entry = entry(line, &config, cluster);
                if let (Some(entry), Some(set)) = (entry, config.ipsets.get_mut(name))
                    && !set.iter().any(|other| other.cidr == entry.cidr)
                {
                    set.push(entry);
                }
            }
        }
    }
    Some(config)
}

fn header(line: &str, env: Env) -> Option<Section> {
    let (name, _) = line.strip_prefix('[')?.split_once(']')?;
    let lower = name.to_ascii_lowercase();
    let named = |prefix: &str| lower.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
    match lower.as_str() {
        "options" => Some(Section::Options),
        "rules" => Some(Section::Rules),
        "aliases" if env != Env::Host => Some(Section::Aliases),
        _ => match (named("group "), named("ipset ")) {
            (Some(group), _) if env == Env::Cluster => Some(Section::Group(group)),
            (_, Some(set)) if env != Env::Host => Some(Section::Set(set)),
            _ => None,
        },
    }
}

fn entry(line: &str, config: &Config, cluster: Option<&Config>) -> Option<Entry> {
    let body = line.split('#').next().unwrap_or_default().trim();
    let (nomatch, cidr) = body.strip_prefix('!').map_or((false, body), |rest| (true, rest.trim()));
    let (scope, name) = scoped(cidr);
    if is_name(name) {
        find_alias(name, scope, Some(config), cluster.unwrap_or(config))?;
        return Some(Entry { cidr: cidr.to_owned(), nomatch });
    }
    version(cidr)?;
    let cidr = short(cidr);
    let zero = cidr.rsplit_once('/').is_some_and(|(_, length)| length.bytes().all(|byte| byte == b'0'));
    (!zero).then_some(Entry { cidr, nomatch })
}

/// `dc/`, `guest/`, and what follows it.
pub fn scoped(text: &str) -> (&str, &str) {
    ["dc/", "guest/", "sdn/"]
        .iter()
        .find_map(|scope| text.strip_prefix(scope).map(|rest| (*scope, rest)))
        .unwrap_or(("", text))
}

/// Whether it is the name of an alias or a set.
pub fn is_name(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What an alias stands for, the guest's own before the datacenter's.
pub fn find_alias(name: &str, scope: &str, own: Option<&Config>, cluster: &Config) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let own = own.filter(|_| scope != "dc/").and_then(|own| own.aliases.get(&name));
    own.or_else(|| (scope != "guest/").then(|| cluster.aliases.get(&name)).flatten()).cloned()
}

/// 4 or 6, if it is an address or a network.
pub fn version(cidr: &str) -> Option<u8> {
    let address = cidr.split('/').next()?;
    match address.parse().ok()? {
        IpAddr::V4(_) => Some(4),
        IpAddr::V6(_) => Some(6),
    }
}

fn short(cidr: &str) -> String {
    let whole = if cidr.contains(':') { "/128" } else { "/32" };
    cidr.strip_suffix(whole).unwrap_or(cidr).to_owned()
}

/// A rule, unless Proxmox would not use it: disabled, unreadable, or with an error in it.
fn rule(line: &str, env: Env, own: Option<&Config>, cluster: &Config, in_group: bool) -> Option<Rule> {
    let body = line.split('#').next().unwrap_or_default().trim();
    if body.starts_with('|') {
        return None;
    }
    let mut words = body.split_whitespace();
    let mut rule = Rule { kind: words.next()?.to_ascii_lowercase(), ..Rule::default() };
    let action = words.next()?;
    match action.split_once('(') {
        Some((name, verdict)) if rule.kind != "group" => {
            rule.macro_name = Some(macros::named(name)?.to_owned());
            verdict.strip_suffix(')')?.clone_into(&mut rule.action);
        }
        _ => action.clone_into(&mut rule.action),
    }
    while let Some(flag) = words.next() {
        let value = Some(words.next()?.to_owned());
        if rule.kind == "group" && flag != "-i" {
            return None;
        }
        match flag {
            "-i" => rule.iface = value,
            "-p" | "-proto" | "--proto" => rule.proto = value,
            "-dport" | "--dport" => rule.dport = value,
            "-sport" | "--sport" => rule.sport = value,
            "-source" | "--source" => rule.source = value,
            "-dest" | "--dest" => rule.dest = value,
            "-icmp-type" | "--icmp-type" => rule.icmp_type = value,
            "-log" | "--log" => {}
            _ => return None,
        }
    }
    verify(rule, env, own, cluster, in_group)
}

/// What Proxmox finds wrong with a rule makes it ignore the rule.
fn verify(mut rule: Rule, env: Env, own: Option<&Config>, cluster: &Config, in_group: bool) -> Option<Rule> {
    let allowed: &[&str] = match (in_group, env) {
        (true, _) => &["in", "out", "forward"],
        (false, Env::Guest) => &["in", "out", "group"],
        (false, _) => &["in", "out", "forward", "group"],
    };
    let action_known = matches!(rule.action.as_str(), "ACCEPT" | "DROP" | "REJECT") || rule.kind == "group";
    if !allowed.contains(&rule.kind.as_str()) || !action_known {
        return None;
    }
    let card = |name: &str| name.strip_prefix("net").is_some_and(|n| n.parse::<u32>().is_ok());
    match &rule.iface {
        Some(_) if in_group => return None,
        Some(iface) if env == Env::Guest && !card(iface) => return None,
        _ => {}
    }
    let mut versions = Vec::new();
    let icmp = match rule.proto.as_deref() {
        Some("icmp") => Some(4),
        Some("icmpv6" | "ipv6-icmp") => Some(6),
        _ => None,
    };
    versions.extend(icmp);
    let has_ports = matches!(rule.proto.as_deref(), Some("tcp" | "udp" | "sctp" | "dccp" | "udplite" | "6" | "17"));
    if rule.dport.is_some() && !(has_ports || icmp.is_some()) || rule.sport.is_some() && !has_ports {
        return None;
    }
    for address in [&rule.source, &rule.dest].into_iter().flatten() {
        versions.extend(address_version(address, own, cluster)?);
    }
    versions.dedup();
    if versions.len() > 1 {
        return None;
    }
    rule.version = versions.first().copied();
    if rule.macro_name.is_some() {
        macros::expand(&rule, rule.version)?;
    }
    Some(rule)
}

/// The version that an address field fixes, nothing at all if the field is wrong.
fn address_version(text: &str, own: Option<&Config>, cluster: &Config) -> Option<Option<u8>> {
    if let Some(set) = text.strip_prefix('+') {
        let (_, name) = scoped(set);
        let known = cluster.ipsets.contains_key(name) || own.is_some_and(|own| own.ipsets.contains_key(name));
        return known.then_some(None);
    }
    let (scope, name) = scoped(text);
    if is_name(name) {
        return find_alias(name, scope, own, cluster).map(|cidr| version(&cidr));
    }
    let mut versions = Vec::new();
    for part in text.split(',') {
        let first = part.split('-').next()?;
        versions.push(version(first)?);
    }
    versions.dedup();
    (versions.len() == 1).then(|| versions.first().copied())
}
