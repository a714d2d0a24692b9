//! `.fw` files read back: what [`conf::firewall`](super::conf::firewall) writes, and what people write by hand.

use super::{Alias, Firewall, IpSet, IpSetEntry, Rule, SecurityGroup};

enum Section {
    Options,
    Aliases,
    IpSet(String),
    Rules,
    Group(String),
    Unknown,
}

/// Reads a `.fw` file; lines that PVE would not understand are dropped, as PVE drops them when it writes the file.
#[must_use]
pub fn read(text: &str) -> Firewall {
    let mut firewall = Firewall::default();
    let mut section = Section::Unknown;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            section = header(line, &mut firewall);
            continue;
        }
        let (body, comment) = split_comment(line);
        match &section {
            Section::Options => {
                if let Some((name, value)) = line.split_once(':') {
                    firewall.options.insert(name.trim().to_owned(), value.trim().to_owned());
                }
            }
            Section::Aliases => {
                if let Some((name, cidr)) = body.split_once(char::is_whitespace) {
                    let alias = Alias { name: name.to_owned(), cidr: cidr.trim().to_owned(), comment };
                    firewall.aliases.insert(name.to_ascii_lowercase(), alias);
                }
            }
            Section::IpSet(name) => {
                let (nomatch, cidr) = body.strip_prefix('!').map_or((false, body), |rest| (true, rest.trim()));
                if let Some(set) = firewall.ipsets.get_mut(name) {
                    // Of `X` and `!X` the first one counts (9.2.11).
                    set.entries.entry(cidr.to_owned()).or_insert(IpSetEntry { comment, nomatch });
                }
            }
            Section::Rules => firewall.rules.extend(rule(body, comment)),
            Section::Group(name) => {
                if let Some(group) = firewall.groups.get_mut(name) {
                    group.rules.extend(rule(body, comment));
                }
            }
            Section::Unknown => {}
        }
    }
    firewall
}

fn header(line: &str, firewall: &mut Firewall) -> Section {
    let (inside, after) = line[1..].split_once(']').unwrap_or((&line[1..], ""));
    let comment = split_comment(after).1;
    let mut words = inside.split_whitespace();
    let (kind, name) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next());
    match (kind.as_str(), name) {
        ("options", None) => Section::Options,
        ("aliases", None) => Section::Aliases,
        ("rules", None) => Section::Rules,
        ("ipset", Some(name)) => {
            let name = name.to_ascii_lowercase();
            firewall.ipsets.insert(name.clone(), IpSet { comment, ..IpSet::default() });
            Section::IpSet(name)
        }
        ("group", Some(name)) => {
            let name = name.to_ascii_lowercase();
            firewall.groups.insert(name.clone(), SecurityGroup { comment, rules: Vec::new() });
            Section::Group(name)
        }
        _ => Section::Unknown,
    }
}

fn split_comment(line: &str) -> (&str, Option<String>) {
    match line.split_once('#') {
        Some((body, comment)) => (body.trim(), Some(comment.trim().to_owned()).filter(|text| !text.is_empty())),
        None => (line.trim(), None),
    }
}

fn rule(body: &str, comment: Option<String>) -> Option<Rule> {
    let (enabled, body) = body.strip_prefix('|').map_or((true, body), |rest| (false, rest));
    let mut rule = Rule { enabled, ..Rule::default() };
    let mut words = body.split_whitespace();
    let mut set = |name: &str, value: &str| {
        rule.fields.insert(name.to_owned(), value.to_owned());
    };
    set("type", &words.next()?.to_ascii_lowercase());
    let action = words.next()?;
    match action.split_once('(') {
        Some((name, action)) => {
            set("macro", name);
            set("action", action.trim_end_matches(')'));
        }
        None => set("action", action),
    }
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        match flag.trim_start_matches('-') {
            "i" => set("iface", value),
            "p" => set("proto", value),
            other => set(other, value),
        }
    }
    if let Some(comment) = comment {
        set("comment", &comment);
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::super::conf;
    use super::*;

    #[test]
    fn what_is_written_reads_back_byte_for_byte() {
        let text = "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[ALIASES]\n\nPlanHq 192.0.2.10 # a: b\n\n\
                    [IPSET blacklist]\n\n\n[IPSET management] # ours\n\n192.0.2.0/24 # us\n!192.0.2.7\n\n\
                    [RULES]\n\nIN SSH(ACCEPT) -i vmbr0 -source +management\n|IN DROP -p tcp -dport 80,443 -log info # off\nGROUP web\n\n\
                    [group web] # shown\n\nIN ACCEPT -p tcp -dport 443\n\n";
        assert_eq!(conf::firewall(&read(text)), text);
        assert_eq!(conf::firewall(&read("")), "");
    }
}
