//! Where packages come from.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Apt, AptSource, ConfigFiles};
use crate::ports::Output;

/// Asks for what is not in the configuration files. Of the subscription only that there is one: its file holds
/// the key.
pub const COMMANDS: &[&[&str]] = &[
    &["find", "/etc/subscription", "-maxdepth", "0", "-type", "f", "-size", "+0"],
    &["find", "/var/lib/apt/lists", "-maxdepth", "1", "-name", "*proxmox*", "-printf", "%T@ %f\\n"],
];

/// Reads it.
///
/// # Errors
/// When something is there and could not be read.
pub fn read(outputs: &[Output], config: &ConfigFiles) -> Result<Apt, Invalid> {
    let [subscription, indexes] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut apt =
        Apt { subscription: !text::absent(subscription, "find")? && !subscription.stdout.is_empty(), ..Apt::default() };
    if !text::absent(indexes, "find")? {
        for line in String::from_utf8_lossy(&indexes.stdout).lines() {
            let Some((modified, name)) = line.split_once(' ') else { continue };
            if let Some(modified) = modified.split('.').next().and_then(|seconds| seconds.parse().ok()) {
                apt.indexes.insert(name.to_owned(), modified);
            }
        }
    }
    const LIST: &str = "/etc/apt/sources.list";
    if let Some(text) = config.content(LIST) {
        apt.sources.extend(one_line(LIST, text));
    }
    for (path, file) in config.in_dir("/etc/apt/sources.list.d", ".list") {
        apt.sources.extend(one_line(path, &file.content));
    }
    for (path, file) in config.in_dir("/etc/apt/sources.list.d", ".sources") {
        apt.sources.extend(stanzas(path, &file.content));
    }
    Ok(apt)
}

/// `deb [options] URI SUITE COMPONENT…`; one with `#` before it is not used.
fn one_line(path: &str, text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let (enabled, line) = match line.strip_prefix('#') {
            Some(rest) => (false, rest.trim_start_matches(['#', ' '])),
            None => (true, line),
        };
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if words.next() != Some("deb") {
            continue;
        }
        let mut words = words.peekable();
        if words.peek().is_some_and(|word| word.starts_with('[')) {
            while words.next().is_some_and(|word| !word.ends_with(']')) {}
        }
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else { continue };
        for component in words {
            sources.push(source(path, index + 1, uri, suite, component, enabled));
        }
    }
    sources
}

/// Stanzas of fields, as `deb822(5)` has them; unused with `Enabled: no`.
fn stanzas(path: &str, text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut begin = 1;
    let lines = text.lines().map(Some).chain([None]).enumerate();
    for (index, line) in lines {
        match line {
            Some(line) if line.starts_with('#') => {}
            Some(line) if line.starts_with([' ', '\t']) && !line.trim().is_empty() => {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            }
            Some(line) if !line.trim().is_empty() => {
                if fields.is_empty() {
                    begin = index + 1;
                }
                if let Some((name, value)) = line.split_once(':') {
                    fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
            _ => sources.extend(stanza(path, begin, &std::mem::take(&mut fields))),
        }
    }
    sources
}

fn stanza(path: &str, line: usize, fields: &[(String, String)]) -> Vec<AptSource> {
    let words = |name: &str| -> Vec<&str> {
        let found = fields.iter().rev().find(|(field, _)| field == name);
        found.map(|(_, value)| value.split_whitespace().collect()).unwrap_or_default()
    };
    if !words("types").contains(&"deb") {
        return Vec::new();
    }
    let off = ["no", "false", "off", "0", "without", "disable"];
    let enabled = !words("enabled").first().is_some_and(|word| off.contains(&word.to_ascii_lowercase().as_str()));
    let (uris, suites, components) = (words("uris"), words("suites"), words("components"));
    let mut sources = Vec::new();
    for uri in &uris {
        for suite in &suites {
            for component in &components {
                sources.push(source(path, line, uri, suite, component, enabled));
            }
        }
    }
    sources.truncate(1000);
    sources
}

fn source(path: &str, line: usize, uri: &str, suite: &str, component: &str, enabled: bool) -> AptSource {
    AptSource {
        file: path.to_owned(),
        line,
        uri: uri.trim_end_matches('/').to_owned(),
        suite: suite.to_owned(),
        component: component.to_owned(),
        enabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;
    use crate::model::machine::ConfigFile;

    fn apt(files: &[(&str, &str)], subscription: bool) -> Apt {
        let mut config = ConfigFiles::default();
        for (path, content) in files {
            let file = ConfigFile { content: (*content).to_owned(), ..ConfigFile::default() };
            config.files.insert((*path).to_owned(), file);
        }
        let key = match subscription {
            true => output(0, "/etc/subscription\n", ""),
            false => output(1, "", "find: '/etc/subscription': No such file or directory\n"),
        };
        let lists = "1763700000.0000000000 download.proxmox.com_debian_pve_dists_trixie_InRelease\n";
        read(&[key, output(0, lists, "")], &config).unwrap()
    }

    #[test]
    fn both_formats_are_read_and_unused_sources_are_kept_as_such() {
        let ceph = "Types: deb\nURIs: https://enterprise.proxmox.com/debian/ceph-squid\nSuites: trixie\n\
                    Components: enterprise\nEnabled: false\nSigned-By: /usr/share/keyrings/proxmox-archive-keyring.gpg\n\n\
                    # more\nTypes: deb deb-src\nURIs: http://deb.debian.org/debian/\nSuites: trixie trixie-updates\n\
                    Components: main\n contrib\n";
        let list = "# deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n\
                    deb [arch=amd64 signed-by=/x] http://download.proxmox.com/debian/pve bookworm pve-no-subscription # yes\n\
                    deb-src http://deb.debian.org/debian bookworm main\n# a word about deb\n";
        let files = [("/etc/apt/sources.list.d/a.sources", ceph), ("/etc/apt/sources.list.d/pve.list", list)];
        let apt = apt(&files, false);
        assert_eq!(apt.sources.len(), 7);
        let pve: Vec<_> = apt.sources.iter().filter(|s| s.uri.ends_with("/pve")).collect();
        assert_eq!((pve[0].enabled, pve[0].component.as_str()), (false, "pve-enterprise"));
        assert_eq!((pve[1].enabled, pve[1].suite.as_str(), pve[1].line), (true, "bookworm", 2));
        assert!(apt.sources.iter().any(|s| s.uri.ends_with("ceph-squid") && !s.enabled && s.line == 1));
        assert_eq!(apt.sources.iter().filter(|s| s.uri == "http://deb.debian.org/debian" && s.enabled).count(), 4);
        assert!(!apt.subscription);
        assert_eq!(apt.indexes.len(), 1);
    }

    #[test]
    fn a_stored_key_is_seen_and_not_read() {
        assert!(apt(&[], true).subscription);
    }

    #[test]
    fn hostile_files_end() {
        for text in ["deb", "deb [", "deb [a", "deb [a] b", "Types: deb", " x", "Types: deb\nURIs: a\nSuites: b\n\n"] {
            apt(&[("/etc/apt/sources.list", text), ("/etc/apt/sources.list.d/x.sources", text)], false);
        }
    }
}
