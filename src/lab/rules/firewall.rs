//! Firewall of the datacenter and of guests: options, groups, aliases, IP sets. Rules are in
//! [`firewall_rules`](super::firewall_rules).

use serde_json::{Value, json};

use super::super::world::{Alias, Firewall, IpSet, IpSetEntry, SecurityGroup, World, conf};
use super::endpoint::Access::{self, All, Every};
use super::firewall_options::{CLUSTER_OPTIONS, GUEST_OPTIONS, NODE_OPTIONS, options, set_options};
use super::formats as f;
use super::param::{Kind, Param, optional as o, required};
use super::tables::DIGEST_64;
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post, Put};

pub(super) const LEVELS: Kind =
    Kind::Enum(&["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"]);
pub(super) const POLICY: Kind = Kind::Enum(&["ACCEPT", "REJECT", "DROP"]);
const NAME: Kind = Kind::ShortPattern(f::is_config_id, 2, 64);
const GROUP: Kind = Kind::ShortPattern(f::is_config_id, 2, 18);
pub(super) const DELETE: Kind = Kind::List(f::config_ids);
const REFS: &[Param] = &[o("type", Kind::Enum(&["alias", "ipset"]))];
const GROUP_CREATE: &[Param] =
    &[required("group", GROUP), o("comment", Kind::Text), o("digest", DIGEST_64), o("rename", GROUP)];
const ALIAS_CREATE: &[Param] =
    &[required("name", NAME), required("cidr", Kind::Format(f::ip_or_cidr)), o("comment", Kind::Text)];
const ALIAS_UPDATE: &[Param] = &[
    required("cidr", Kind::Format(f::ip_or_cidr)),
    o("comment", Kind::Text),
    o("digest", DIGEST_64),
    o("rename", NAME),
];
const IPSET_CREATE: &[Param] =
    &[required("name", NAME), o("comment", Kind::Text), o("digest", DIGEST_64), o("rename", NAME)];
const ENTRY_CREATE: &[Param] =
    &[required("cidr", Kind::Format(f::cidr_or_alias)), o("comment", Kind::Text), o("nomatch", Kind::Bool)];
const ENTRY_UPDATE: &[Param] = &[o("comment", Kind::Text), o("digest", DIGEST_64), o("nomatch", Kind::Bool)];
const WITH_DIGEST: &[Param] = &[o("digest", DIGEST_64)];
const FORCE: &[Param] = &[o("force", Kind::Bool)];

const READ: Access = Every("/", &["Sys.Audit"]);
const WRITE: Access = Every("/", &["Sys.Modify"]);
const READ_GUEST: Access = Every("/vms/{vmid}", &["VM.Audit"]);
const WRITE_GUEST: Access = Every("/vms/{vmid}", &["VM.Config.Network"]);

/// The rows of one guest kind; the paths are spelled out so that they can be looked up.
macro_rules! guest_rows {
    ($base:literal) => {
        &[
            Endpoint::new(Get, concat!($base, "/refs"), &[REFS], READ_GUEST, refs),
            Endpoint::new(Get, concat!($base, "/options"), &[], READ_GUEST, options),
            Endpoint::new(Put, concat!($base, "/options"), &[GUEST_OPTIONS], WRITE_GUEST, set_options),
            Endpoint::new(Get, concat!($base, "/aliases"), &[], READ_GUEST, aliases),
            Endpoint::new(Post, concat!($base, "/aliases"), &[ALIAS_CREATE], WRITE_GUEST, create_alias),
            Endpoint::new(Get, concat!($base, "/aliases/{name}"), &[], READ_GUEST, alias),
            Endpoint::new(Put, concat!($base, "/aliases/{name}"), &[ALIAS_UPDATE], WRITE_GUEST, update_alias),
            Endpoint::new(Delete, concat!($base, "/aliases/{name}"), &[WITH_DIGEST], WRITE_GUEST, delete_alias),
            Endpoint::new(Get, concat!($base, "/ipset"), &[], READ_GUEST, ipsets),
            Endpoint::new(Post, concat!($base, "/ipset"), &[IPSET_CREATE], WRITE_GUEST, create_ipset),
            Endpoint::new(Get, concat!($base, "/ipset/{name}"), &[], READ_GUEST, ipset),
            Endpoint::new(Post, concat!($base, "/ipset/{name}"), &[ENTRY_CREATE], WRITE_GUEST, create_entry),
            Endpoint::new(Delete, concat!($base, "/ipset/{name}"), &[FORCE], WRITE_GUEST, delete_ipset),
            Endpoint::new(Get, concat!($base, "/ipset/{name}/{cidr}"), &[], READ_GUEST, entry),
            Endpoint::new(Put, concat!($base, "/ipset/{name}/{cidr}"), &[ENTRY_UPDATE], WRITE_GUEST, update_entry),
            Endpoint::new(Delete, concat!($base, "/ipset/{name}/{cidr}"), &[WITH_DIGEST], WRITE_GUEST, delete_entry),
        ]
    };
}

/// The rows of VMs.
pub const QEMU: &[Endpoint] = guest_rows!("/nodes/{node}/qemu/{vmid}/firewall");
/// The rows of containers.
pub const LXC: &[Endpoint] = guest_rows!("/nodes/{node}/lxc/{vmid}/firewall");

/// The rows of nodes.
pub const NODE: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/firewall/options", &[], Every("/nodes/{node}", &["Sys.Audit"]), options),
    Endpoint::new(
        Put,
        "/nodes/{node}/firewall/options",
        &[NODE_OPTIONS],
        Every("/nodes/{node}", &["Sys.Modify"]),
        set_options,
    ),
];

/// The rows of the datacenter.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/firewall/refs", &[REFS], READ, refs),
    Endpoint::new(Get, "/cluster/firewall/options", &[], READ, options),
    Endpoint::new(Put, "/cluster/firewall/options", &[CLUSTER_OPTIONS], WRITE, set_options),
    Endpoint::new(Get, "/cluster/firewall/groups", &[], All, groups),
    Endpoint::new(Post, "/cluster/firewall/groups", &[GROUP_CREATE], WRITE, create_group),
    Endpoint::new(Delete, "/cluster/firewall/groups/{group}", &[], WRITE, delete_group),
    Endpoint::new(Get, "/cluster/firewall/aliases", &[], READ, aliases),
    Endpoint::new(Post, "/cluster/firewall/aliases", &[ALIAS_CREATE], WRITE, create_alias),
    Endpoint::new(Get, "/cluster/firewall/aliases/{name}", &[], READ, alias),
    Endpoint::new(Put, "/cluster/firewall/aliases/{name}", &[ALIAS_UPDATE], WRITE, update_alias),
    Endpoint::new(Delete, "/cluster/firewall/aliases/{name}", &[WITH_DIGEST], WRITE, delete_alias),
    Endpoint::new(Get, "/cluster/firewall/ipset", &[], READ, ipsets),
    Endpoint::new(Post, "/cluster/firewall/ipset", &[IPSET_CREATE], WRITE, create_ipset),
    Endpoint::new(Get, "/cluster/firewall/ipset/{name}", &[], READ, ipset),
    Endpoint::new(Post, "/cluster/firewall/ipset/{name}", &[ENTRY_CREATE], WRITE, create_entry),
    Endpoint::new(Delete, "/cluster/firewall/ipset/{name}", &[FORCE], WRITE, delete_ipset),
    Endpoint::new(Get, "/cluster/firewall/ipset/{name}/{cidr}", &[], READ, entry),
    Endpoint::new(Put, "/cluster/firewall/ipset/{name}/{cidr}", &[ENTRY_UPDATE], WRITE, update_entry),
    Endpoint::new(Delete, "/cluster/firewall/ipset/{name}/{cidr}", &[WITH_DIGEST], WRITE, delete_entry),
];

/// Whose firewall a path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The datacenter's.
    Cluster,
    /// A host's own.
    Node(String),
    /// A guest's, there or not.
    Guest(u32),
}

/// The firewall of a target.
pub fn scope<'a>(world: &'a mut World, target: &Target) -> &'a mut Firewall {
    match target {
        Target::Guest(vmid) => world.guest_firewalls.entry(*vmid).or_default(),
        Target::Node(node) => &mut world.nodes.entry(node.clone()).or_default().firewall,
        Target::Cluster => &mut world.firewall,
    }
}

/// Whose firewall the path is about.
pub fn target(call: &Call<'_>) -> Target {
    match (call.vars.contains_key("vmid"), call.vars.get("node")) {
        (true, _) => Target::Guest(call.vmid()),
        (false, Some(node)) => Target::Node(node.clone()),
        (false, None) => Target::Cluster,
    }
}

pub(super) fn of(call: &Call<'_>) -> Firewall {
    match target(call) {
        Target::Guest(vmid) => call.world.guest_firewalls.get(&vmid).cloned().unwrap_or_default(),
        Target::Node(node) => call.world.nodes.get(&node).map(|n| n.firewall.clone()).unwrap_or_default(),
        Target::Cluster => call.world.firewall.clone(),
    }
}

pub(super) const CHANGED: &str = "detected modified configuration - file changed by other user? Try again.";

pub(super) fn check_digest(call: &Call<'_>, digest: &str) -> Result<(), Refusal> {
    match call.values.get("digest") {
        Some(given) if given != digest => Err(CHANGED.into()),
        _ => Ok(()),
    }
}

fn part<T: serde::Serialize>(part: &T) -> String {
    conf::digest(&serde_json::to_string(part).unwrap_or_default())
}

fn groups(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let groups = &call.world.firewall.groups;
    let digest = conf::digest(&conf::firewall(&call.world.firewall));
    let rows = groups.iter().map(|(name, group)| {
        let mut row = json!({"group": name, "digest": digest});
        if let Some(comment) = &group.comment {
            row["comment"] = json!(comment);
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

fn create_group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let digest = conf::digest(&conf::firewall(&call.world.firewall));
    check_digest(call, &digest)?;
    let name = call.values.text("group").to_owned();
    let comment = call.values.get("comment").map(str::to_owned);
    let groups = &mut call.world.firewall.groups;
    if let Some(old) = call.values.get("rename") {
        let Some(mut group) = groups.remove(old) else {
            return Err(Refusal::param("rename", format!("Security group '{old}' does not exist")));
        };
        if old != name && groups.contains_key(&name) {
            groups.insert(old.to_owned(), group);
            return Err(Refusal::param("group", format!("Security group '{name}' already exists")));
        }
        group.comment = comment.or(group.comment);
        groups.insert(name, group);
        return Ok(().into());
    }
    if groups.contains_key(&name) {
        return Err(Refusal::param("group", format!("Security group '{name}' already exists")));
    }
    groups.insert(name, SecurityGroup { comment, rules: Vec::new() });
    Ok(().into())
}

fn delete_group(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.var("group").to_owned();
    match call.world.firewall.groups.get(&name) {
        // PVE says nothing about one that is not there.
        None => Ok(().into()),
        Some(group) if !group.rules.is_empty() => Err(format!("Security group '{name}' is not empty").into()),
        Some(_) => {
            call.world.firewall.groups.remove(&name);
            Ok(().into())
        }
    }
}

fn alias_row(alias: &Alias) -> Value {
    let version = if alias.cidr.contains(':') { 6 } else { 4 };
    let mut row = json!({"name": alias.name, "cidr": alias.cidr, "ipversion": version});
    if let Some(comment) = &alias.comment {
        row["comment"] = json!(comment);
    }
    row
}

fn aliases(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    let digest = part(&firewall.aliases);
    let rows = firewall.aliases.values().map(|alias| {
        let mut row = alias_row(alias);
        row["digest"] = json!(digest);
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

fn alias(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    let found = firewall.aliases.get(&call.var("name").to_ascii_lowercase());
    Ok(alias_row(found.ok_or_else(|| Refusal::param("name", "no such alias"))?).into())
}

fn create_alias(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let name = call.values.text("name").to_owned();
    let alias = Alias {
        name: name.clone(),
        cidr: call.values.text("cidr").to_owned(),
        comment: call.values.get("comment").map(str::to_owned),
    };
    let target = target(call);
    let aliases = &mut scope(call.world, &target).aliases;
    if aliases.contains_key(&name.to_ascii_lowercase()) {
        return Err(Refusal::param("name", format!("alias '{name}' already exists")));
    }
    aliases.insert(name.to_ascii_lowercase(), alias);
    Ok(().into())
}

fn update_alias(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    check_digest(call, &part(&firewall.aliases))?;
    let key = call.var("name").to_ascii_lowercase();
    let old = firewall.aliases.get(&key).ok_or_else(|| Refusal::param("name", "no such alias"))?;
    // A comment that is not repeated is gone (9.2.11).
    let name = call.values.get("rename").unwrap_or(&old.name).to_owned();
    let alias = Alias {
        name: name.clone(),
        cidr: call.values.text("cidr").to_owned(),
        comment: call.values.get("comment").map(str::to_owned),
    };
    let target = target(call);
    let aliases = &mut scope(call.world, &target).aliases;
    aliases.remove(&key);
    aliases.insert(name.to_ascii_lowercase(), alias);
    Ok(().into())
}

fn delete_alias(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    check_digest(call, &part(&firewall.aliases))?;
    let (key, target) = (call.var("name").to_ascii_lowercase(), target(call));
    scope(call.world, &target).aliases.remove(&key);
    Ok(().into())
}

fn ipsets(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    let digest = part(&firewall.ipsets);
    let rows = firewall.ipsets.iter().map(|(name, set)| {
        let mut row = json!({"name": name, "digest": digest});
        if let Some(comment) = &set.comment {
            row["comment"] = json!(comment);
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

fn create_ipset(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    check_digest(call, &part(&firewall.ipsets))?;
    let name = call.values.text("name").to_ascii_lowercase();
    let comment = call.values.get("comment").map(str::to_owned);
    let rename = call.values.get("rename").map(str::to_ascii_lowercase);
    let target = target(call);
    let sets = &mut scope(call.world, &target).ipsets;
    if let Some(old) = rename {
        let mut set =
            sets.remove(&old).ok_or_else(|| Refusal::param("rename", format!("IPSet '{old}' does not exist")))?;
        set.comment = comment.or(set.comment);
        sets.insert(name, set);
        return Ok(().into());
    }
    if sets.contains_key(&name) {
        return Err(Refusal::param("name", format!("IPSet '{name}' already exists")));
    }
    sets.insert(name, IpSet { comment, ..IpSet::default() });
    Ok(().into())
}

fn the_set(call: &Call<'_>) -> Result<(String, IpSet), Refusal> {
    let name = call.var("name").to_ascii_lowercase();
    let set = of(call).ipsets.remove(&name).ok_or_else(|| Refusal::failed(format!("no such IPSet '{name}'")))?;
    Ok((name, set))
}

fn entry_row(cidr: &str, entry: &IpSetEntry, digest: &str) -> Value {
    let mut row = json!({"cidr": cidr, "digest": digest});
    if let Some(comment) = &entry.comment {
        row["comment"] = json!(comment);
    }
    if entry.nomatch {
        row["nomatch"] = json!(1);
    }
    row
}

fn ipset(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (_, set) = the_set(call)?;
    let digest = part(&set);
    let rows = set.entries.iter().map(|(cidr, entry)| entry_row(cidr, entry, &digest));
    Ok(Value::Array(rows.collect()).into())
}

fn delete_ipset(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (name, set) = the_set(call)?;
    if !set.entries.is_empty() && !call.values.flag("force") {
        return Err(format!("IPSet '{name}' is not empty").into());
    }
    let target = target(call);
    scope(call.world, &target).ipsets.remove(&name);
    Ok(().into())
}

/// A host with its full prefix length is the host; names are lower-case.
fn plain_cidr(cidr: &str) -> String {
    let host = cidr.strip_suffix("/32").filter(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok());
    let host = host.or_else(|| cidr.strip_suffix("/128").filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()));
    host.unwrap_or(cidr).to_owned()
}

fn create_entry(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (name, mut set) = the_set(call)?;
    let cidr = plain_cidr(call.values.text("cidr"));
    if set.entries.contains_key(&cidr) {
        return Err(Refusal::param("cidr", format!("address '{cidr}' already exists")));
    }
    let entry =
        IpSetEntry { comment: call.values.get("comment").map(str::to_owned), nomatch: call.values.flag("nomatch") };
    set.entries.insert(cidr, entry);
    let target = target(call);
    scope(call.world, &target).ipsets.insert(name, set);
    Ok(().into())
}

fn entry(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (_, set) = the_set(call)?;
    let cidr = plain_cidr(call.var("cidr"));
    let found = set.entries.get(&cidr).ok_or_else(|| Refusal::failed(format!("no such IP/Network '{cidr}'")))?;
    Ok(entry_row(&cidr, found, &part(&set)).into())
}

fn update_entry(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (name, mut set) = the_set(call)?;
    check_digest(call, &part(&set))?;
    let cidr = plain_cidr(call.var("cidr"));
    let Some(found) = set.entries.get_mut(&cidr) else {
        return Err(format!("no such IP/Network '{cidr}'").into());
    };
    found.comment = call.values.get("comment").map(str::to_owned);
    found.nomatch = call.values.flag("nomatch");
    let target = target(call);
    scope(call.world, &target).ipsets.insert(name, set);
    Ok(().into())
}

fn delete_entry(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (name, mut set) = the_set(call)?;
    check_digest(call, &part(&set))?;
    set.entries.remove(&plain_cidr(call.var("cidr")));
    let target = target(call);
    scope(call.world, &target).ipsets.insert(name, set);
    Ok(().into())
}

/// What rules may name: sets and aliases of the datacenter, then the guest's own.
fn refs(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let wanted = call.values.get("type");
    let mut rows = Vec::new();
    let mut add = |scope: &str, firewall: &Firewall| {
        let mut row = |kind: &str, name: &str, reference: String, comment: Option<&String>| {
            if wanted.is_none_or(|w| w == kind) {
                let mut row = json!({"type": kind, "name": name, "ref": reference, "scope": scope});
                if let Some(comment) = comment {
                    row["comment"] = json!(comment);
                }
                rows.push(row);
            }
        };
        for (name, set) in &firewall.ipsets {
            row("ipset", name, format!("+{name}"), set.comment.as_ref());
        }
        for (name, alias) in &firewall.aliases {
            row("alias", name, name.clone(), alias.comment.as_ref());
        }
    };
    add("dc", &call.world.firewall);
    if matches!(target(call), Target::Guest(_)) {
        add("guest", &of(call));
    }
    Ok(Value::Array(rows).into())
}
