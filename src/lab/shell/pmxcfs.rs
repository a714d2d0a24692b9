//! The files of `/etc/pve` that PVE keeps, rendered from the world; nothing is stored for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::lab::world::{Grantee, World, conf};

/// Every such file by absolute path.
pub(super) fn rendered(world: &World, node: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut put = |path: String, text: String| files.insert(format!("/etc/pve/{path}"), text.into_bytes());
    for (vmid, guest) in &world.guests {
        put(format!("nodes/{}/{}/{vmid}.conf", guest.node, guest.kind.directory()), conf::guest(guest));
    }
    let cluster = conf::firewall(&world.firewall);
    if !cluster.is_empty() {
        put("firewall/cluster.fw".to_owned(), cluster);
    }
    for (vmid, firewall) in &world.guest_firewalls {
        let text = conf::firewall(firewall);
        // PVE removes the file of a firewall that has become empty
        if !text.is_empty() {
            put(format!("firewall/{vmid}.fw"), text);
        }
    }
    if !world.mappings.is_empty() {
        put("mapping/pci.cfg".to_owned(), conf::mappings(world));
    }
    put("storage.cfg".to_owned(), conf::storages(world));
    put("user.cfg".to_owned(), users(world));
    put(".vmlist".to_owned(), vmlist(world));
    put(".members".to_owned(), members(world, node));
    put(".version".to_owned(), versions(world));
    files
}

/// `user.cfg`: users with tokens, pools, roles, access list.
fn users(world: &World) -> String {
    let mut out = String::new();
    for (id, user) in &world.access.users {
        let field = |text: &Option<String>| conf::encode(text.as_deref().unwrap_or_default());
        let _ = writeln!(
            out,
            "user:{id}:{}:{}:{}:{}:{}:{}:{}:",
            u8::from(user.enabled),
            user.expire,
            field(&user.firstname),
            field(&user.lastname),
            user.email.as_deref().unwrap_or_default(),
            field(&user.comment),
            user.keys.as_deref().unwrap_or_default(),
        );
        for (name, token) in &user.tokens {
            let comment = field(&token.comment);
            let _ = writeln!(out, "token:{id}!{name}:{}:{}:{comment}:", token.expire, u8::from(token.privsep));
        }
    }
    out.push('\n');
    for (id, group) in &world.access.groups {
        let comment = conf::encode(group.comment.as_deref().unwrap_or_default());
        let _ = writeln!(out, "group:{id}:{}:{comment}:", join(&group.members));
    }
    out.push('\n');
    for (id, pool) in &world.pools {
        let comment = conf::encode(pool.comment.as_deref().unwrap_or_default());
        let guests: Vec<String> = pool.guests.iter().map(u32::to_string).collect();
        let _ = writeln!(out, "pool:{id}:{comment}:{}:{}:", guests.join(","), join(&pool.storages));
    }
    out.push('\n');
    for (id, privileges) in &world.access.roles {
        let _ = writeln!(out, "role:{id}:{}:", join(privileges));
    }
    out.push('\n');
    for acl in &world.access.acls {
        let grantee = match &acl.grantee {
            Grantee::User(id) | Grantee::Token(id) => id.clone(),
            Grantee::Group(id) => format!("@{id}"),
        };
        let _ = writeln!(out, "acl:{}:{}:{grantee}:{}:", u8::from(acl.propagate), acl.path, acl.role);
    }
    out
}

fn join(items: &std::collections::BTreeSet<String>) -> String {
    items.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn vmlist(world: &World) -> String {
    let entries: Vec<String> = world
        .guests
        .iter()
        .map(|(vmid, guest)| {
            let kind = guest.kind.as_str();
            format!("\"{vmid}\": {{ \"node\": \"{}\", \"type\": \"{kind}\", \"version\": {} }}", guest.node, 1)
        })
        .collect();
    format!("{{\n\"version\": {},\n\"ids\": {{\n{}}}\n\n}}\n", counter(&entries.concat()), entries.join(",\n"))
}

fn members(world: &World, node: &str) -> String {
    let Some(cluster) = &world.cluster else {
        return format!("{{\n\"nodename\": \"{node}\",\n\"version\": 0\n}}\n");
    };
    let online = world.nodes.values().filter(|n| n.online).count();
    let nodes: Vec<String> = world
        .nodes
        .iter()
        .enumerate()
        .map(|(index, (name, node))| {
            format!(
                "\"{name}\": {{ \"id\": {}, \"online\": {}, \"ip\": \"{}\"}}",
                index + 1,
                u8::from(node.online),
                node.address
            )
        })
        .collect();
    format!(
        "{{\n\"nodename\": \"{node}\",\n\"version\": {online},\n\"cluster\": {{ \"name\": \"{cluster}\", \"version\": {}, \"nodes\": {}, \"quorate\": {} }},\n\"nodelist\": {{\n  {}\n  }}\n}}\n",
        nodes.len(),
        nodes.len(),
        u8::from(!world.without_quorum),
        nodes.join(",\n  ")
    )
}

/// PVE counts the changes of each file; the world keeps no such count, so a number that depends on
/// the content stands in for it: it differs whenever the file differs.
fn versions(world: &World) -> String {
    let firewall = conf::firewall(&world.firewall);
    format!(
        "{{\n\"starttime\": {},\n\"vmlist\": {},\n\"storage.cfg\": {},\n\"user.cfg\": {},\n\"firewall/cluster.fw\": {},\n\"mapping/pci.cfg\": {}\n}}\n",
        world.nodes.values().map(|node| node.booted_ms / 1000).min().unwrap_or_default(),
        counter(&world.guests.values().map(conf::guest).collect::<String>()),
        counter(&conf::storages(world)),
        counter(&users(world)),
        counter(&firewall),
        counter(&conf::mappings(world)),
    )
}

fn counter(text: &str) -> u32 {
    u32::from_str_radix(&conf::digest(text)[..7], 16).unwrap_or_default()
}
