//! Firewall rules: of the datacenter, of security groups, of guests.
//!
//! POST inserts at position 0 whatever `pos` says, and `moveto` makes PVE forget every other field of
//! the same request (9.2.11): to get a wanted order, rules are posted last first.

use serde_json::{Map, Value, json};

use super::super::world::{Firewall, Rule, conf};
use super::endpoint::Access::{self, Every};
use super::firewall::{check_digest, of, scope, target};
use super::firewall_macros::is_macro;
use super::formats as f;
use super::param::{Kind, Param, optional as o, required};
use super::tables::DIGEST_64;
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post, Put};

const LEVELS: Kind = Kind::Enum(&["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"]);
const ACTION: Kind = Kind::ShortPattern(f::is_config_id, 2, 20);
const TYPE: Kind = Kind::Enum(&["in", "out", "forward", "group"]);
const FIELDS: &[Param] = &[
    o("comment", Kind::Text),
    o("dest", Kind::Short { min: 0, max: 512 }),
    o("digest", DIGEST_64),
    o("dport", Kind::Text),
    o("enable", Kind::Int { min: Some(0), max: None }),
    o("icmp-type", Kind::Text),
    o("iface", Kind::Short { min: 2, max: 20 }),
    o("log", LEVELS),
    o("macro", Kind::Short { min: 0, max: 128 }),
    o("proto", Kind::Text),
    o("source", Kind::Short { min: 0, max: 512 }),
    o("sport", Kind::Text),
];
const CREATE: &[Param] =
    &[required("action", ACTION), required("type", TYPE), o("pos", Kind::Int { min: Some(0), max: None })];
const UPDATE: &[Param] = &[
    o("action", ACTION),
    o("delete", Kind::List(f::config_ids)),
    o("moveto", Kind::Int { min: Some(0), max: None }),
    o("type", TYPE),
];
const WITH_DIGEST: &[Param] = &[o("digest", DIGEST_64)];

const READ: Access = Every("/", &["Sys.Audit"]);
const WRITE: Access = Every("/", &["Sys.Modify"]);
const READ_NODE: Access = Every("/nodes/{node}", &["Sys.Audit"]);
const WRITE_NODE: Access = Every("/nodes/{node}", &["Sys.Modify"]);
const READ_GUEST: Access = Every("/vms/{vmid}", &["VM.Audit"]);
const WRITE_GUEST: Access = Every("/vms/{vmid}", &["VM.Config.Network"]);

macro_rules! rows {
    ($list:literal, $read:expr, $write:expr) => {
        &[
            Endpoint::new(Get, $list, &[], $read, list),
            Endpoint::new(Post, $list, &[CREATE, FIELDS], $write, create),
            Endpoint::new(Get, concat!($list, "/{pos}"), &[], $read, get),
            Endpoint::new(Put, concat!($list, "/{pos}"), &[UPDATE, FIELDS], $write, update),
            Endpoint::new(Delete, concat!($list, "/{pos}"), &[WITH_DIGEST], $write, delete),
        ]
    };
}

/// The rows of the datacenter.
pub const CLUSTER: &[Endpoint] = rows!("/cluster/firewall/rules", READ, WRITE);
/// The rows of security groups.
pub const GROUPS: &[Endpoint] = rows!("/cluster/firewall/groups/{group}", READ, WRITE);
/// The rows of nodes.
pub const NODE: &[Endpoint] = rows!("/nodes/{node}/firewall/rules", READ_NODE, WRITE_NODE);
/// The rows of VMs.
pub const QEMU: &[Endpoint] = rows!("/nodes/{node}/qemu/{vmid}/firewall/rules", READ_GUEST, WRITE_GUEST);
/// The rows of containers.
pub const LXC: &[Endpoint] = rows!("/nodes/{node}/lxc/{vmid}/firewall/rules", READ_GUEST, WRITE_GUEST);

fn rules(call: &Call<'_>) -> Result<Vec<Rule>, Refusal> {
    let mut firewall = of(call);
    match call.vars.get("group") {
        None => Ok(firewall.rules),
        Some(group) => {
            let found = firewall.groups.remove(group);
            Ok(found.ok_or_else(|| Refusal::failed(format!("no such security group '{group}'")))?.rules)
        }
    }
}

fn store(call: &mut Call<'_>, rules: Vec<Rule>) {
    let target = target(call);
    let group = call.vars.get("group").cloned();
    let firewall = scope(call.world, &target);
    match group.and_then(|name| firewall.groups.get_mut(&name)) {
        Some(group) => group.rules = rules,
        None => firewall.rules = rules,
    }
}

fn digest(rules: &[Rule]) -> String {
    conf::digest(&conf::rules(rules))
}

fn shown(call: &Call<'_>, rule: &Rule, digest: &str, pos: Value) -> Value {
    let mut row: Map<String, Value> = rule.fields.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    row.insert("pos".into(), pos);
    row.insert("enable".into(), json!(u8::from(rule.enabled)));
    row.insert("digest".into(), json!(digest));
    let firewall = of(call);
    let version = ["source", "dest"]
        .iter()
        .filter_map(|key| rule.fields.get(*key))
        .find_map(|a| ip_version(&call.world.firewall, &firewall, a));
    if let Some(version) = version {
        row.insert("ipversion".into(), json!(version));
    }
    Value::Object(row)
}

/// Version of an address or alias; sets have none.
fn ip_version(cluster: &Firewall, own: &Firewall, spec: &str) -> Option<u8> {
    let first = spec.split([',', '-']).next()?;
    if first.starts_with('+') {
        return None;
    }
    if f::is_cidr(first) {
        return Some(if first.contains(':') { 6 } else { 4 });
    }
    let alias = find_alias(cluster, own, first)?;
    Some(if alias.contains(':') { 6 } else { 4 })
}

fn find_alias<'a>(cluster: &'a Firewall, own: &'a Firewall, name: &str) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let found = match (lower.strip_prefix("dc/"), lower.strip_prefix("guest/")) {
        (Some(name), _) => cluster.aliases.get(name),
        (_, Some(name)) => own.aliases.get(name),
        _ => own.aliases.get(&lower).or_else(|| cluster.aliases.get(&lower)),
    };
    found.map(|alias| alias.cidr.as_str())
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let rules = rules(call)?;
    let digest = digest(&rules);
    let rows = rules.iter().enumerate().map(|(pos, rule)| shown(call, rule, &digest, json!(pos))).collect();
    Ok(Value::Array(rows).into())
}

fn position(call: &Call<'_>, rules: &[Rule]) -> Result<usize, Refusal> {
    let pos = call.var("pos").parse::<usize>().unwrap_or(usize::MAX);
    if pos < rules.len() { Ok(pos) } else { Err(format!("no rule at position {}", call.var("pos")).into()) }
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let rules = rules(call)?;
    let pos = position(call, &rules)?;
    // The single form has the position as text (9.2.11).
    Ok(shown(call, &rules[pos], &digest(&rules), json!(pos.to_string())).into())
}

fn apply(call: &Call<'_>, rule: &mut Rule) {
    for (key, value) in call.values.plain() {
        match key.as_str() {
            "enable" => rule.enabled = value != "0",
            "digest" | "pos" | "delete" | "moveto" => {}
            _ if value.is_empty() => {
                rule.fields.remove(&key);
            }
            _ => {
                rule.fields.insert(key, value);
            }
        }
    }
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut rules = rules(call)?;
    check_digest(call, &digest(&rules))?;
    let mut rule = Rule::default();
    apply(call, &mut rule);
    verify(call, &rule)?;
    rules.insert(0, rule);
    store(call, rules);
    Ok(().into())
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut rules = rules(call)?;
    check_digest(call, &digest(&rules))?;
    let pos = position(call, &rules)?;
    if let Some(to) = call.values.int("moveto").and_then(|to| usize::try_from(to).ok()) {
        // It goes before the one that is at `to` now; beyond the end means to the end.
        let rule = rules.remove(pos);
        let to = if to > pos { to - 1 } else { to };
        rules.insert(to.min(rules.len()), rule);
        store(call, rules);
        return Ok(().into());
    }
    let mut rule = rules[pos].clone();
    for key in f::split_list(call.values.text("delete")) {
        let known = FIELDS.iter().chain(CREATE).any(|p| p.name == key);
        if !known {
            return Err(Refusal::param("delete", format!("no such property ('{key}')")));
        }
        rule.fields.remove(key);
        if key == "enable" {
            rule.enabled = false;
        }
    }
    apply(call, &mut rule);
    verify(call, &rule)?;
    rules[pos] = rule;
    store(call, rules);
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut rules = rules(call)?;
    check_digest(call, &digest(&rules))?;
    let pos = position(call, &rules)?;
    rules.remove(pos);
    store(call, rules);
    Ok(().into())
}

/// PVE's own checks of a rule; what it does not look at is not looked at here either: whether a group
/// exists, and whether the guest does.
fn verify(call: &Call<'_>, rule: &Rule) -> Result<(), Refusal> {
    let field = |name: &str| rule.fields.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let mut errors = std::collections::BTreeMap::new();
    let mut wrong = |name: &str, text: String| {
        errors.insert(name.to_owned(), text);
    };
    let (kind, action) = (field("type").unwrap_or_default(), field("action").unwrap_or_default());
    if kind == "group" {
        if call.vars.contains_key("group") {
            wrong("type", "invalid rule type 'group' for rule_env 'group'".to_owned());
        }
    } else if !matches!(action, "ACCEPT" | "DROP" | "REJECT") {
        wrong("action", format!("unknown action '{action}'"));
    }
    if let Some(name) = field("macro").filter(|name| !is_macro(name)) {
        wrong("macro", format!("unknown macro '{name}'"));
    }
    if let Some(iface) = field("iface") {
        let numbered = iface.strip_prefix("net").is_some_and(|n| n.parse::<u32>().is_ok());
        if call.vars.contains_key("vmid") && !numbered {
            wrong("iface", "value does not match the regex pattern 'net\\d+'".to_owned());
        }
    }
    let own = of(call);
    for key in ["source", "dest"] {
        let Some(spec) = field(key) else { continue };
        if let Some(name) = spec.strip_prefix('+') {
            let bare = name.strip_prefix("dc/").or_else(|| name.strip_prefix("guest/")).unwrap_or(name);
            let lower = bare.to_ascii_lowercase();
            if !own.ipsets.contains_key(&lower) && !call.world.firewall.ipsets.contains_key(&lower) {
                wrong(key, format!("no such ipset '{bare}'"));
            }
        } else {
            for one in spec.split(',') {
                let range = one.split('-').all(|end| end.parse::<std::net::IpAddr>().is_ok());
                if f::is_cidr(one) || range {
                    continue;
                }
                let name = one.strip_prefix("dc/").or_else(|| one.strip_prefix("guest/")).unwrap_or(one);
                if !f::is_config_id(name) {
                    let text = "invalid format - value does not look like a valid IP address or CIDR network\n";
                    wrong(key, text.to_owned());
                } else if find_alias(&call.world.firewall, &own, one).is_none() {
                    wrong(key, format!("no such alias '{name}'"));
                }
            }
        }
    }
    for key in ["dport", "sport"] {
        if field(key).is_some() && field("proto").is_none() && field("macro").is_none() {
            wrong("proto", format!("missing property - '{key}' requires this property"));
        }
        if let Some(text) = field(key).filter(|p| !ports(p)) {
            let _ = text;
            wrong(key, "invalid format - value does not look like a valid port range\n".to_owned());
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Params(errors)) }
}

fn ports(text: &str) -> bool {
    text.split(',').all(|part| {
        part.split(':').count() <= 2
            && part.split(':').all(|port| {
                port.parse::<u16>().is_ok()
                    || (!port.is_empty() && port.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
            })
    })
}
