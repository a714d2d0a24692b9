//! The files of `/etc/pve` that PVE keeps, rendered from the world; nothing is stored for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::lab::world::{Grantee, Node, Task, TaskState, World, conf};

/// Every such file by absolute path.
pub(super) fn rendered(world: &World, node: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = those(world, node, &|_| true);
    let versions = versions(world, &files);
    files.insert("/etc/pve/.version".to_owned(), versions.into_bytes());
    files
}

/// One of them: a search asks for hundreds, and needs no text but that one's.
pub(super) fn rendered_at(world: &World, node: &str, path: &str) -> Option<Vec<u8>> {
    let name = path.strip_prefix("/etc/pve/")?;
    if name == ".version" {
        return rendered(world, node).remove(path);
    }
    those(world, node, &|wanted| wanted == name).remove(path)
}

/// Names of those in a directory.
pub(super) fn names_in(world: &World, node: &str, directory: &str) -> Vec<String> {
    let Some(below) = directory.strip_prefix("/etc/pve").map(|rest| rest.trim_start_matches('/')) else {
        return Vec::new();
    };
    let here = |name: &str| name.rsplit_once('/').map_or("", |(above, _)| above) == below;
    let found = those(world, node, &here).into_keys();
    let mut names: Vec<String> = found.filter_map(|path| Some(path.rsplit_once('/')?.1.to_owned())).collect();
    if below.is_empty() {
        names.push(".version".to_owned());
    }
    names
}

/// Those that are `wanted`, by their path below `/etc/pve`; without the versions of all others.
fn those(world: &World, node: &str, wanted: &dyn Fn(&str) -> bool) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut put = |path: String, text: &dyn Fn() -> String| {
        // PVE removes the file of a firewall that has become empty.
        if !wanted(&path) {
            return;
        }
        let text = text();
        if !text.is_empty() || !path.ends_with(".fw") {
            files.insert(format!("/etc/pve/{path}"), text.into_bytes());
        }
    };
    for (vmid, guest) in &world.guests {
        put(format!("nodes/{}/{}/{vmid}.conf", guest.node, guest.kind.directory()), &|| conf::guest(guest));
    }
    put("firewall/cluster.fw".to_owned(), &|| conf::firewall(&world.firewall));
    for (vmid, firewall) in &world.guest_firewalls {
        put(format!("firewall/{vmid}.fw"), &|| conf::firewall(firewall));
    }
    for (name, host) in &world.nodes {
        put(format!("nodes/{name}/host.fw"), &|| conf::firewall(&host.firewall));
        put(format!("nodes/{name}/pve-ssl.pem"), &|| certificate(host));
    }
    if !world.ha.resources.is_empty() {
        let entry = |id: &String| id.replace(':', ": ") + "\n\n";
        put("ha/resources.cfg".to_owned(), &|| world.ha.resources.keys().map(entry).collect());
    }
    if !world.mappings.is_empty() {
        put("mapping/pci.cfg".to_owned(), &|| conf::mappings(world));
    }
    put("storage.cfg".to_owned(), &|| conf::storages(world));
    put("user.cfg".to_owned(), &|| users(world));
    put(".vmlist".to_owned(), &|| vmlist(world));
    put(".members".to_owned(), &|| members(world, node));
    put(".clusterlog".to_owned(), &|| log(world));
    files
}

/// Proxmox's own certificate, as what `openssl` says about it: a year old, and good for another.
fn certificate(node: &Node) -> String {
    const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
    let at = |ms: i64| {
        let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        at.strftime("%b %e %H:%M:%S %Y GMT").to_string()
    };
    let fingerprint = if node.fingerprint.is_empty() { ["00"; 32].join(":") } else { node.fingerprint.clone() };
    format!(
        "notBefore={}\nnotAfter={}\nsha256 Fingerprint={fingerprint}\n",
        at(node.booted_ms - YEAR_MS),
        at(node.booted_ms + YEAR_MS)
    )
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
    out.push_str(&grants(world));
    out
}

/// The access list: per path those with the same roles in one line.
fn grants(world: &World) -> String {
    let mut roles: BTreeMap<(&str, bool, String), BTreeSet<&str>> = BTreeMap::new();
    for acl in &world.access.acls {
        let grantee = match &acl.grantee {
            Grantee::User(id) | Grantee::Token(id) => id.clone(),
            Grantee::Group(id) => format!("@{id}"),
        };
        roles.entry((acl.path.as_str(), acl.propagate, grantee)).or_default().insert(&acl.role);
    }
    let mut lines: BTreeMap<(&str, bool, String), Vec<String>> = BTreeMap::new();
    for ((path, propagate, grantee), roles) in roles {
        let roles = roles.into_iter().collect::<Vec<_>>().join(",");
        lines.entry((path, propagate, roles)).or_default().push(grantee);
    }
    let line = |((path, propagate, roles), grantees): (&(&str, bool, String), &Vec<String>)| {
        format!("acl:{}:{path}:{}:{roles}:\n", u8::from(*propagate), grantees.join(","))
    };
    lines.iter().map(line).collect()
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

/// Files that pmxcfs watches, in its order, with those that the lab has not got.
const WATCHED: [&str; 43] = [
    "corosync.conf",
    "corosync.conf.new",
    "storage.cfg",
    "user.cfg",
    "domains.cfg",
    "notifications.cfg",
    "priv/notifications.cfg",
    "priv/shadow.cfg",
    "priv/acme/plugins.cfg",
    "priv/tfa.cfg",
    "priv/token.cfg",
    "priv/wg-keys.cfg",
    "datacenter.cfg",
    "vzdump.cron",
    "vzdump.conf",
    "jobs.cfg",
    "ha/crm_commands",
    "ha/manager_status",
    "ha/resources.cfg",
    "ha/rules.cfg",
    "ha/groups.cfg",
    "ha/fence.cfg",
    "status.cfg",
    "replication.cfg",
    "ceph.conf",
    "sdn/vnets.cfg",
    "sdn/zones.cfg",
    "sdn/controllers.cfg",
    "sdn/subnets.cfg",
    "sdn/ipams.cfg",
    "sdn/mac-cache.json",
    "sdn/pve-ipam-state.json",
    "sdn/dns.cfg",
    "sdn/fabrics.cfg",
    "sdn/route-maps.cfg",
    "sdn/prefix-lists.cfg",
    "sdn/.running-config",
    "virtual-guest/cpu-models.conf",
    "virtual-guest/profiles.cfg",
    "firewall/cluster.fw",
    "mapping/directory.cfg",
    "mapping/pci.cfg",
    "mapping/usb.cfg",
];

/// PVE counts the changes of each file; the world keeps no such count, so a number that depends on
/// the content stands in for it: it differs whenever the file differs.
fn versions(world: &World, files: &BTreeMap<String, Vec<u8>>) -> String {
    let of = |name: &str| {
        let stored = || world.nodes.values().find_map(|node| node.files.get(&format!("/etc/pve/{name}")));
        match files.get(&format!("/etc/pve/{name}")) {
            Some(text) => counter(&String::from_utf8_lossy(text)),
            None => stored().map_or(1, |file| counter(&String::from_utf8_lossy(&file.content))),
        }
    };
    let mut out = format!(
        "{{\n\"starttime\": {},\n\"clinfo\": 0,\n\"vmlist\": {},\n",
        world.nodes.values().map(|node| node.booted_ms / 1000).min().unwrap_or_default(),
        counter(&world.guests.values().map(conf::guest).collect::<String>()),
    );
    for name in WATCHED {
        let _ = writeln!(out, "\"{name}\": {},", of(name));
    }
    let kept = ["kv/static-info", "kv/cpuflags-tcg", "kv/cpuflags-kvm", "kv/version-info"];
    let nodes: Vec<String> = world
        .nodes
        .keys()
        .map(|node| {
            let tasks = world.tasks.iter().filter(|task| task.node == *node).count();
            let kept: String = kept.iter().map(|name| format!("\"{name}\": 0,\n")).collect();
            format!("\"{node}\": {{\n\"tasklist\": {tasks},\n{kept}\"kv/network\": 0}}")
        })
        .collect();
    let _ = write!(out, "\"kvstore\": {{\n{}\n}}\n}}\n", nodes.join(",\n"));
    out
}

/// The cluster's log, newest first: what began and ended.
fn log(world: &World) -> String {
    let mut entries = Vec::new();
    for task in &world.tasks {
        let mut say = |seconds: i64, text: String| {
            entries.push((seconds, task, text));
        };
        say(task.started_ms / 1000, format!("starting task {}", task.upid));
        if let TaskState::Stopped { ended_ms, exit } = &task.state {
            say(ended_ms / 1000, format!("end task {} {exit}", task.upid));
        }
    }
    let program = |kind: &str| if kind.starts_with("vz") { "pct" } else { "qm" };
    let line = |(uid, (time, task, text)): (usize, &(i64, &Task, String))| {
        let text = serde_json::Value::from(text.as_str());
        format!(
            "{{\"uid\": {}, \"time\": {time}, \"pri\": 6, \"tag\": \"{}\", \"pid\": {}, \"node\": \"{}\", \"user\": \"{}\", \"msg\": {text}}}",
            uid + 1,
            program(&task.kind),
            task.pid,
            task.node,
            task.user,
        )
    };
    let lines: Vec<String> = entries.iter().enumerate().map(line).rev().collect();
    format!("{{\n\"data\": [\n{}\n]\n}}\n", lines.join(",\n"))
}

fn counter(text: &str) -> u32 {
    u32::from_str_radix(&conf::digest(text)[..7], 16).unwrap_or_default()
}
