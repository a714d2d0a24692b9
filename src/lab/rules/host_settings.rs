//! `/nodes/N/{dns,time,hosts,config}`: settings of the host itself.

use serde_json::{Map, Value, json};

use super::super::world::{World, conf};
use super::endpoint::Access::Every;
use super::param::{Kind, Param, optional as o, required, since_9_2, until_9_1};
use super::tables::{DIGEST_40, DIGEST_64};
use super::{Answer, Call, Endpoint, Refusal, formats as f};
use crate::ports::Method::{Get, Post, Put};

const PROPERTIES: &[&str] = &[
    "acme",
    "acmedomain0",
    "acmedomain1",
    "acmedomain2",
    "acmedomain3",
    "acmedomain4",
    "acmedomain5",
    "ballooning-target",
    "description",
    "startall-onboot-delay",
    "wakeonlan",
];
const PROPERTIES_9_2: &[&str] = &[
    "acme",
    "acmedomain0",
    "acmedomain1",
    "acmedomain2",
    "acmedomain3",
    "acmedomain4",
    "acmedomain5",
    "ballooning-target",
    "description",
    "location",
    "startall-onboot-delay",
    "wakeonlan",
];
const DNS: &[Param] = &[
    o("dns1", Kind::Format(ip)),
    o("dns2", Kind::Format(ip)),
    o("dns3", Kind::Format(ip)),
    required("search", Kind::Text),
];
const TIME: &[Param] = &[required("timezone", Kind::Text)];
const HOSTS: &[Param] = &[required("data", Kind::Text), o("digest", DIGEST_64)];
const CONFIG_GET: &[Param] =
    &[until_9_1("property", Kind::Enum(PROPERTIES)), since_9_2("property", Kind::Enum(PROPERTIES_9_2))];
const CONFIG_PUT: &[Param] = &[
    o("acme", Kind::Text),
    o("acmedomain[n]", Kind::Text),
    o("ballooning-target", Kind::Int { min: Some(0), max: Some(100) }),
    o("delete", Kind::List(f::config_ids)),
    o("description", Kind::Short { min: 0, max: 65536 }),
    o("digest", DIGEST_40),
    since_9_2("location", Kind::Text),
    o("startall-onboot-delay", Kind::Int { min: Some(0), max: Some(300) }),
    o("wakeonlan", Kind::Text),
];
const AUDIT: super::Access = Every("/nodes/{node}", &["Sys.Audit"]);
const MODIFY: super::Access = Every("/nodes/{node}", &["Sys.Modify"]);

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/dns", &[], AUDIT, dns),
    Endpoint::new(Put, "/nodes/{node}/dns", &[DNS], MODIFY, set_dns),
    Endpoint::new(Get, "/nodes/{node}/time", &[], AUDIT, time),
    Endpoint::new(Put, "/nodes/{node}/time", &[TIME], MODIFY, set_time),
    Endpoint::new(Get, "/nodes/{node}/hosts", &[], Every("/", &["Sys.Audit"]), hosts),
    Endpoint::new(Post, "/nodes/{node}/hosts", &[HOSTS], MODIFY, set_hosts),
    Endpoint::new(Get, "/nodes/{node}/config", &[CONFIG_GET], Every("/", &["Sys.Audit"]), config),
    Endpoint::new(Put, "/nodes/{node}/config", &[CONFIG_PUT], Every("/", &["Sys.Modify"]), set_config),
];

fn ip(text: &str) -> Result<(), String> {
    let fits = text.parse::<std::net::IpAddr>().is_ok();
    if fits { Ok(()) } else { Err("value does not look like a valid IP address".to_owned()) }
}

fn dns(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let system = &call.world.nodes[call.var("node")].system;
    let mut row = Map::new();
    if let Some(search) = &system.search {
        row.insert("search".to_owned(), json!(search));
    }
    for (index, server) in system.dns.iter().take(3).enumerate() {
        row.insert(format!("dns{}", index + 1), json!(server));
    }
    Ok(Value::Object(row).into())
}

fn set_dns(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let search = call.values.text("search").to_owned();
    let given = ["dns1", "dns2", "dns3"].map(|key| call.values.get(key).map(str::to_owned));
    if let Some(host) = call.world.nodes.get_mut(&node) {
        // Servers that are not named stay in their place.
        let old = std::mem::take(&mut host.system.dns);
        let places = given.into_iter().enumerate();
        host.system.dns = places.filter_map(|(index, new)| new.or_else(|| old.get(index).cloned())).collect();
        host.system.search = Some(search);
    }
    Ok(().into())
}

fn time(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let now = call.world.now();
    let zone = &call.world.nodes[call.var("node")].system.timezone;
    let offset = jiff::tz::TimeZone::get(zone).ok().and_then(|zone| {
        let now = jiff::Timestamp::from_second(now).ok()?;
        Some(i64::from(zone.to_offset(now).seconds()))
    });
    Ok(json!({"timezone": zone, "localtime": now + offset.unwrap_or_default(), "time": now}).into())
}

fn set_time(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, zone) = (call.node(), call.values.text("timezone").to_owned());
    if zone != "UTC" && jiff::tz::TimeZone::get(&zone).is_err() {
        return Err(format!("No such timezone: '{zone}'").into());
    }
    if let Some(host) = call.world.nodes.get_mut(&node) {
        host.system.timezone = zone;
    }
    Ok(().into())
}

/// `/etc/hosts` of a node.
#[must_use]
fn hosts_file(world: &World, node: &str) -> String {
    let host = &world.nodes[node];
    let domain = host.system.search.as_deref().unwrap_or("localdomain");
    host.system.hosts.clone().unwrap_or_else(|| {
        format!("127.0.0.1 localhost.localdomain localhost\n{} {node}.{domain} {node}\n", host.address)
    })
}

fn hosts(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let text = hosts_file(call.world, call.var("node"));
    Ok(json!({"digest": conf::digest(&text), "data": text}).into())
}

fn set_hosts(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let old = conf::digest(&hosts_file(call.world, &node));
    if call.values.get("digest").is_some_and(|digest| digest != old) {
        return Err("detected modified configuration - file changed by other user? Try again.".into());
    }
    let data = call.values.text("data").to_owned();
    if let Some(host) = call.world.nodes.get_mut(&node) {
        host.system.hosts = Some(data);
    }
    Ok(().into())
}

/// `nodes/N/config`.
#[must_use]
fn config_file(world: &World, node: &str) -> String {
    let config = &world.nodes[node].system.config;
    let mut out = String::new();
    for line in config.get("description").into_iter().flat_map(|d| d.trim_end_matches('\n').split('\n')) {
        out.push_str(&format!("#{}\n", conf::encode(line)));
    }
    for (key, value) in config.iter().filter(|(key, _)| *key != "description") {
        out.push_str(&format!("{key}: {value}\n"));
    }
    out
}

fn config(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let wanted = call.values.get("property");
    let config = &call.world.nodes[&node].system.config;
    let mut row = Map::new();
    for (key, value) in config.iter().filter(|(key, _)| wanted.is_none_or(|w| w == *key)) {
        let value = match key.as_str() {
            // A description is lines of comments in the file, each with its end.
            "description" => json!(format!("{}\n", value.trim_end_matches('\n'))),
            "ballooning-target" | "startall-onboot-delay" => json!(value.parse::<i64>().unwrap_or_default()),
            _ => json!(value),
        };
        row.insert(key.clone(), value);
    }
    if !config.is_empty() {
        row.insert("digest".to_owned(), json!(conf::digest(&config_file(call.world, &node))));
    }
    Ok(Value::Object(row).into())
}

fn set_config(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let mut given = call.values.plain();
    let digest = given.remove("digest");
    if digest.is_some_and(|digest| digest != conf::digest(&config_file(call.world, &node))) {
        return Err("detected modified configuration - file changed by other user? Try again.".into());
    }
    let delete = given.remove("delete").unwrap_or_default();
    if let Some(host) = call.world.nodes.get_mut(&node) {
        for key in f::split_list(&delete) {
            host.system.config.remove(key);
        }
        host.system.config.extend(given);
        host.system.config.retain(|key, value| key != "description" || !value.is_empty());
    }
    Ok(().into())
}
