//! The text of configuration files below `/etc/pve`, and the digests of it.
//!
//! The digest that the API hands out is the SHA-1 of the file, so the files are rendered here and
//! nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use super::{Firewall, Guest, GuestKind, Pending, Rule, Storage, StorageKind, World};

/// SHA-1 in hex.
#[must_use]
pub fn digest(text: &str) -> String {
    hex(&Sha1::digest(text.as_bytes()))
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `nodes/NODE/{qemu-server,lxc}/VMID.conf`.
#[must_use]
pub fn guest(guest: &Guest) -> String {
    let mut out = section(guest.kind, &guest.config);
    if !guest.pending.is_empty() {
        let head = if guest.kind == GuestKind::Qemu { "PENDING" } else { "pve:pending" };
        let _ = writeln!(out, "\n[{head}]");
        let deleted: Vec<String> = deletions(guest).collect();
        if !deleted.is_empty() {
            let _ = writeln!(out, "delete: {}", deleted.join(","));
        }
        for (key, pending) in &guest.pending {
            if let Pending::Set(value) = pending {
                let _ = writeln!(out, "{key}: {value}");
            }
        }
    }
    for (name, snapshot) in &guest.snapshots {
        let _ = writeln!(out, "\n[{name}]");
        let mut config = snapshot.config.clone();
        config.insert("snaptime".to_owned(), snapshot.time.to_string());
        if !snapshot.description.is_empty() {
            config.insert("description".to_owned(), snapshot.description.clone());
        }
        if let Some(parent) = &snapshot.parent {
            config.insert("parent".to_owned(), parent.clone());
        }
        if let Some(state) = &snapshot.state {
            config.insert("snapstate".to_owned(), state.clone());
        }
        out.push_str(&section(guest.kind, &config));
    }
    out
}

/// Keys whose deletion waits for the next start; those whose volume goes with them have a `!` before them.
pub fn deletions(guest: &Guest) -> impl Iterator<Item = String> {
    guest.pending.iter().filter_map(|(key, pending)| match pending {
        Pending::Set(_) => None,
        Pending::Delete => Some(key.clone()),
        Pending::Destroy => Some(format!("!{key}")),
    })
}

fn section(kind: GuestKind, config: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    if let Some(description) = config.get("description") {
        for line in description.trim_end_matches('\n').split('\n') {
            let _ = writeln!(out, "#{}", encode(line));
        }
    }
    for (key, value) in config.iter().filter(|(key, _)| key.as_str() != "description") {
        // A description of a snapshot stands in the same place; everything else is one line per key.
        let value = if kind == GuestKind::Lxc && value.contains('\n') { encode(value) } else { value.clone() };
        let _ = writeln!(out, "{key}: {value}");
    }
    out
}

/// PVE's `encode_text`: control characters, `%`, `:` and everything above ASCII become `%XX`.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte < 0x20 || byte == b'%' || byte == b':' || byte >= 0x7f {
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(byte as char);
        }
    }
    out
}

/// A `.fw` file.
#[must_use]
pub fn firewall(firewall: &Firewall) -> String {
    let mut out = String::new();
    if !firewall.options.is_empty() {
        out.push_str("[OPTIONS]\n\n");
        for (key, value) in &firewall.options {
            let _ = writeln!(out, "{key}: {value}");
        }
        out.push('\n');
    }
    if !firewall.aliases.is_empty() {
        out.push_str("[ALIASES]\n\n");
        for alias in firewall.aliases.values() {
            let _ = writeln!(out, "{} {}{}", alias.name, alias.cidr, comment(alias.comment.as_deref()));
        }
        out.push('\n');
    }
    for (name, set) in &firewall.ipsets {
        let _ = writeln!(out, "[IPSET {name}]{}\n", comment(set.comment.as_deref()));
        for (cidr, entry) in &set.entries {
            let not = if entry.nomatch { "!" } else { "" };
            let _ = writeln!(out, "{not}{cidr}{}", comment(entry.comment.as_deref()));
        }
        out.push('\n');
    }
    if !firewall.rules.is_empty() {
        out.push_str("[RULES]\n\n");
        out.push_str(&rules(&firewall.rules));
        out.push('\n');
    }
    for (name, group) in &firewall.groups {
        let _ = writeln!(out, "[group {name}]{}\n", comment(group.comment.as_deref()));
        out.push_str(&rules(&group.rules));
        out.push('\n');
    }
    out
}

fn comment(text: Option<&str>) -> String {
    text.filter(|t| !t.is_empty()).map(|t| format!(" # {t}")).unwrap_or_default()
}

/// Rules as lines.
#[must_use]
pub fn rules(rules: &[Rule]) -> String {
    rules.iter().fold(String::new(), |mut out, rule| {
        let _ = writeln!(out, "{}", rule_line(rule));
        out
    })
}

fn rule_line(rule: &Rule) -> String {
    let field = |name: &str| rule.fields.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let mut out = if rule.enabled { String::new() } else { "|".to_owned() };
    let kind = field("type").unwrap_or_default();
    let action = field("action").unwrap_or_default();
    if kind == "group" {
        let _ = write!(out, "GROUP {action}");
    } else {
        let _ = write!(out, "{} ", kind.to_ascii_uppercase());
        match field("macro") {
            Some(name) => {
                let _ = write!(out, "{name}({action})");
            }
            None => out.push_str(action),
        }
    }
    let flags = [
        ("iface", "-i"),
        ("source", "-source"),
        ("dest", "-dest"),
        ("proto", "-p"),
        ("dport", "-dport"),
        ("sport", "-sport"),
        ("log", "-log"),
        ("icmp-type", "-icmp-type"),
    ];
    for (name, flag) in flags {
        if let Some(value) = field(name) {
            let _ = write!(out, " {flag} {value}");
        }
    }
    out.push_str(&comment(field("comment")));
    out
}

/// `mapping/pci.cfg`.
#[must_use]
pub fn mappings(world: &World) -> String {
    let mut out = String::new();
    for (id, mapping) in &world.mappings {
        let _ = writeln!(out, "{id}");
        if let Some(description) = &mapping.description {
            let _ = writeln!(out, "\tdescription {description}");
        }
        if mapping.live_migration {
            out.push_str("\tlive-migration-capable 1\n");
        }
        for map in &mapping.map {
            let _ = writeln!(out, "\tmap {map}");
        }
        if mapping.mdev {
            out.push_str("\tmdev 1\n");
        }
        out.push('\n');
    }
    out
}

/// `storage.cfg`: what is required first, then everything else by name.
#[must_use]
pub fn storages(world: &World) -> String {
    let mut out = String::new();
    for (id, storage) in world.storages.iter().filter(|(_, s)| !s.assumed) {
        let _ = writeln!(out, "{}: {id}", storage.type_name());
        if storage.disabled {
            out.push_str("\tdisable\n");
        }
        for (key, value) in storage_keys(storage) {
            let _ = writeln!(out, "\t{key} {value}");
        }
        let mut rest = storage.options.clone();
        rest.insert("content".to_owned(), storage.content_list());
        if let StorageKind::ZfsPool { sparse: true, .. } = storage.kind {
            rest.insert("sparse".to_owned(), "1".to_owned());
        }
        if !storage.nodes.is_empty() {
            rest.insert("nodes".to_owned(), storage.nodes.iter().cloned().collect::<Vec<_>>().join(","));
        }
        for (key, value) in rest {
            let _ = writeln!(out, "\t{key} {value}");
        }
        out.push('\n');
    }
    out
}

/// Keys that a storage of its type must have, and that never change.
#[must_use]
pub fn storage_keys(storage: &Storage) -> Vec<(&'static str, &str)> {
    match &storage.kind {
        StorageKind::Dir { path, .. } => vec![("path", path)],
        StorageKind::ZfsPool { pool, .. } => vec![("pool", pool)],
        StorageKind::Lvm { vgname } => vec![("vgname", vgname)],
        StorageKind::LvmThin { vgname, thinpool } => vec![("thinpool", thinpool), ("vgname", vgname)],
        StorageKind::Nfs { server, export, path } => vec![("export", export), ("path", path), ("server", server)],
        StorageKind::Cifs { server, share, path } => vec![("path", path), ("server", server), ("share", share)],
        StorageKind::Pbs { server, datastore } => vec![("datastore", datastore), ("server", server)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hashes_as_the_empty_file() {
        assert_eq!(digest(&firewall(&Firewall::default())), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }

    #[test]
    fn descriptions_are_percent_encoded_comments() {
        let config = BTreeMap::from([("description".to_owned(), "a: b\nü".to_owned())]);
        let text = guest(&Guest::new(GuestKind::Qemu, "pve1", config));
        assert_eq!(text, "#a%3A b\n#%C3%BC\n");
    }
}
