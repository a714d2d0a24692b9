//! What VM and container configurations have in common: values as PVE prints them, digests, pending.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::disks::normal;
use crate::lab::rules::Refusal;
use crate::lab::rules::formats::split_list;
use crate::lab::rules::param::{Kind, Param};
use crate::lab::rules::property_strings::NIC_MODELS;
use crate::lab::rules::tables::{LXC_CONFIG, QEMU_CONFIG};
use crate::lab::world::property::{Properties, truth};
use crate::lab::world::{Guest, GuestKind, GuestSnapshot, Pending, World, conf};

/// The parameter table of a kind's configuration.
#[must_use]
pub fn table(kind: GuestKind) -> &'static [Param] {
    match kind {
        GuestKind::Qemu => QEMU_CONFIG,
        GuestKind::Lxc => LXC_CONFIG,
    }
}

/// A stored value as JSON: numbers for numbers and switches, but text for `memory` of VMs and for
/// `cpulimit` (9.2.11).
#[must_use]
pub fn value(kind: GuestKind, key: &str, text: &str) -> Value {
    let number = match table(kind).iter().find(|p| p.is(key)).map(|p| p.kind) {
        Some(Kind::Int { .. } | Kind::Bool) => text.parse::<i64>().ok(),
        _ if key == "snaptime" => text.parse::<i64>().ok(),
        _ => None,
    };
    match number {
        Some(number) => json!(number),
        None if key == "cipassword" => json!("**********"),
        None if key == "description" => json!(description(kind, text)),
        None => json!(text),
    }
}

/// A description as it is read back: VMs lose trailing white space, containers always end in one newline.
#[must_use]
pub fn description(kind: GuestKind, text: &str) -> String {
    match kind {
        GuestKind::Qemu => text.trim_end().to_owned(),
        GuestKind::Lxc => format!("{}\n", text.trim_end_matches('\n')),
    }
}

/// A number as PVE stores it (`02` becomes `2`); every other value as it is.
#[must_use]
pub fn number(kind: GuestKind, key: &str, value: &str) -> String {
    match table(kind).iter().find(|p| p.is(key)).map(|p| p.kind) {
        Some(Kind::Int { .. }) => value.parse::<i64>().map_or_else(|_| value.to_owned(), |n| n.to_string()),
        _ => value.to_owned(),
    }
}

/// A whole configuration as JSON.
#[must_use]
pub fn object(kind: GuestKind, config: &BTreeMap<String, String>) -> Map<String, Value> {
    config.iter().map(|(key, text)| (key.clone(), value(kind, key, text))).collect()
}

/// A snapshot's section as JSON.
#[must_use]
pub fn section(kind: GuestKind, snapshot: &GuestSnapshot) -> Map<String, Value> {
    let mut row = object(kind, &snapshot.config);
    row.insert("snaptime".into(), json!(snapshot.time));
    if !snapshot.description.is_empty() {
        row.insert("description".into(), json!(description(kind, &snapshot.description)));
    }
    if let Some(parent) = &snapshot.parent {
        row.insert("parent".into(), json!(parent));
    }
    row
}

/// Digest of a guest's configuration file.
#[must_use]
pub fn digest(guest: &Guest) -> String {
    conf::digest(&conf::guest(guest))
}

/// `GET …/pending`.
#[must_use]
pub fn pending(guest: &Guest) -> Vec<Value> {
    let mut rows = vec![json!({"key": "digest", "value": digest(guest)})];
    for (key, text) in &guest.config {
        let mut row = json!({"key": key, "value": value(guest.kind, key, text)});
        match guest.pending.get(key) {
            Some(Pending::Set(new)) => row["pending"] = value(guest.kind, key, new),
            Some(Pending::Delete) => row["delete"] = json!(1),
            Some(Pending::Destroy) => row["delete"] = json!(2),
            None => {}
        }
        rows.push(row);
    }
    for (key, pending) in guest.pending.iter().filter(|(key, _)| !guest.config.contains_key(*key)) {
        if let Pending::Set(new) = pending {
            rows.push(json!({"key": key, "pending": value(guest.kind, key, new)}));
        }
    }
    rows
}

/// Tags as they are stored: each once; lower case and in order unless the datacenter's `tag-style` says otherwise.
/// Nothing at all is stored as one space.
#[must_use]
pub fn tags(world: &World, text: &str) -> String {
    let style = Properties::parse(world.options.get("tag-style").map_or("", String::as_str));
    let as_written = style.get("case-sensitive").is_some_and(truth);
    let mut tags: Vec<String> = Vec::new();
    for tag in split_list(text) {
        let tag = if as_written { tag.to_owned() } else { tag.to_ascii_lowercase() };
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if style.get("ordering") != Some("config") {
        tags.sort();
    }
    if tags.is_empty() { " ".to_owned() } else { tags.join(";") }
}

/// A NIC of a VM as it is stored; without MAC it gets a new random one every time (9.2.11).
pub fn qemu_net(world: &mut World, text: &str) -> String {
    let mut fields = normal(text, "model");
    let head = fields.take("").filter(|h| !h.is_empty());
    let by_model = fields.0.iter().position(|(key, _)| NIC_MODELS.contains(&key.as_str()));
    let (model, mac) = match (head, by_model) {
        (Some(model), _) => (model, fields.take("macaddr")),
        (None, Some(at)) => {
            let (model, mac) = fields.0.remove(at);
            (model, Some(mac))
        }
        (None, None) => (String::new(), None),
    };
    let mac = mac.unwrap_or_else(|| world.next_mac());
    fields.print(&format!("{model}={mac}"), &[])
}

/// A NIC of a container as it is stored; without MAC it gets a new random one every time (9.2.11).
pub fn lxc_net(world: &mut World, text: &str) -> String {
    let mut fields = normal(text, "name");
    let name = fields.take("").unwrap_or_default();
    fields.take("name");
    fields.set("type", "veth");
    if fields.get("hwaddr").is_none() {
        fields.set("hwaddr", world.next_mac());
    }
    fields.print(&format!("name={name}"), &["bridge"])
}

/// The keys that `delete` names, after PVE's checks.
///
/// # Errors
/// 400 for an unknown key or one that is set in the same request.
pub fn deletions(kind: GuestKind, params: &BTreeMap<String, String>) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for key in split_list(params.get("delete").map_or("", String::as_str)) {
        if params.contains_key(key) {
            let text = format!("you can't use '-{key}' and -delete {key}' at the same time");
            return Err(Refusal::param("delete", text));
        }
        let known = table(kind).iter().any(|p| p.is(key));
        if !known {
            return Err(Refusal::param("delete", format!("unknown option '{key}'")));
        }
        keys.push(key.to_owned());
    }
    Ok(keys)
}

/// Holds a list of public keys against what `ssh-keygen -l` takes.
///
/// # Errors
/// PVE's text.
pub fn check_ssh_keys(text: &str) -> Result<(), Refusal> {
    use base64::Engine;
    let kinds = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let blob = words.next().and_then(|b| base64::engine::general_purpose::STANDARD.decode(b).ok());
        // A key's blob begins with the length and the name of its own kind.
        let named = blob.is_some_and(|b| b.len() > 4 + kind.len() + 16 && b[4..].starts_with(kind.as_bytes()));
        if !(kinds.contains(&kind) && named) {
            return Err("SSH public key validation error".into());
        }
    }
    Ok(())
}

/// A free `unusedN`.
#[must_use]
pub fn unused_key(guest: &Guest) -> String {
    let n = (0..256).find(|n| !guest.config.contains_key(&format!("unused{n}")));
    format!("unused{}", n.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_lower_case_sorted_and_unique() {
        let plain = World::default();
        let tags = |text: &str| super::tags(&plain, text);
        assert_eq!(tags("zeta;alpha;Beta"), "alpha;beta;zeta");
        assert_eq!(tags("b,a c;b"), "a;b;c");
        assert_eq!(tags(""), " ");
        let mut chosen = World::default();
        chosen.options.insert("tag-style".into(), "case-sensitive=1,ordering=config".into());
        assert_eq!(super::tags(&chosen, "zeta;Beta;beta;zeta"), "zeta;Beta;beta");
    }

    #[test]
    fn nics_are_reprinted_model_first_then_by_key() {
        let mut world = World::default();
        let net = qemu_net(&mut world, "bridge=vmbr0,firewall=yes,virtio=BC:24:11:AA:BB:01");
        assert_eq!(net, "virtio=BC:24:11:AA:BB:01,bridge=vmbr0,firewall=1");
        let mac = "model=virtio,macaddr=bc:24:11:00:00:01,bridge=vmbr0";
        assert_eq!(qemu_net(&mut world, mac), "virtio=bc:24:11:00:00:01,bridge=vmbr0");
        let first = qemu_net(&mut world, "virtio,bridge=vmbr0");
        assert_ne!(first, qemu_net(&mut world, "virtio,bridge=vmbr0"), "a new MAC on every write");
        assert_eq!(
            lxc_net(&mut world, "type=veth,name=eth0,hwaddr=BC:24:11:AA:BB:02,bridge=vmbr0,ip=dhcp"),
            "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:AA:BB:02,ip=dhcp,type=veth"
        );
    }

    #[test]
    fn descriptions_read_back_by_kind() {
        assert_eq!(description(GuestKind::Qemu, "  x  \n\n"), "  x");
        assert_eq!(description(GuestKind::Lxc, "x\n\n"), "x\n");
    }
}
