//! `/cluster/sdn`: zones and virtual networks as they are configured; nothing of it runs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::world::{World, conf};
use super::endpoint::Access::{All, Every};
use super::param::{Kind, Param, optional as o, required, since_9, since_9_2, until_8, until_9_1};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post};

const ANY_INT: Kind = Kind::Int { min: None, max: None };
const ZONE_TYPES: Kind = Kind::Enum(&["evpn", "faucet", "qinq", "simple", "vlan", "vxlan"]);
const VIEW: &[Param] = &[o("pending", Kind::Bool), o("running", Kind::Bool)];
const BY_TYPE: &[Param] = &[o("type", ZONE_TYPES)];
const LOCK: &[Param] = &[since_9("lock-token", Kind::Text)];
const NAME: Kind = Kind::Pattern(is_name);
const NAME_9_2: Kind = Kind::ShortPattern(is_name, 2, 8);
const ZONE: &[Param] = &[
    Param { required: true, ..until_9_1("zone", NAME) },
    Param { required: true, ..since_9_2("zone", NAME_9_2) },
    required("type", ZONE_TYPES),
    o("bridge", Kind::Text),
    o("dhcp", Kind::Enum(&["dnsmasq"])),
    o("dns", Kind::Text),
    o("dnszone", Kind::Text),
    o("ipam", Kind::Text),
    o("mtu", ANY_INT),
    o("nodes", Kind::Text),
    o("peers", Kind::Text),
    o("reversedns", Kind::Text),
    o("tag", Kind::Int { min: Some(0), max: None }),
    o("vlan-protocol", Kind::Enum(&["802.1q", "802.1ad"])),
    o("vxlan-port", Kind::Int { min: Some(1), max: Some(65536) }),
];
const VNET: &[Param] = &[
    Param { required: true, ..until_9_1("vnet", NAME) },
    Param { required: true, ..since_9_2("vnet", NAME_9_2) },
    required("zone", Kind::Text),
    o("alias", Kind::Short { min: 0, max: 256 }),
    o("isolate-ports", Kind::Bool),
    until_8("tag", ANY_INT),
    since_9("tag", Kind::Int { min: Some(1), max: Some(16_777_215) }),
    o("type", Kind::Enum(&["vnet"])),
    o("vlanaware", Kind::Bool),
];
const OWNER: super::Access = Every("/sdn/zones/{zone}", &["SDN.Allocate"]);
const LOOK: &[&str] = &["SDN.Audit", "SDN.Allocate"];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/sdn/zones", &[VIEW, BY_TYPE], All, zones),
    Endpoint::new(Post, "/cluster/sdn/zones", &[ZONE, LOCK], Every("/sdn/zones", &["SDN.Allocate"]), add_zone),
    Endpoint::new(Get, "/cluster/sdn/zones/{zone}", &[VIEW], OWNER, zone),
    Endpoint::new(Delete, "/cluster/sdn/zones/{zone}", &[LOCK], OWNER, remove_zone),
    Endpoint::new(Get, "/cluster/sdn/vnets", &[VIEW], All, vnets),
    Endpoint::new(Post, "/cluster/sdn/vnets", &[VNET, LOCK], OWNER, add_vnet),
    Endpoint::new(Get, "/cluster/sdn/vnets/{vnet}", &[VIEW], All, vnet),
    Endpoint::new(Delete, "/cluster/sdn/vnets/{vnet}", &[LOCK], All, remove_vnet),
];

fn is_name(text: &str) -> bool {
    (2..=8).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

type Options = BTreeMap<String, String>;

fn digest(entries: &BTreeMap<String, Options>, head: &str) -> String {
    let mut out = String::new();
    for (id, options) in entries {
        out.push_str(&format!("{head}: {id}\n"));
        options.iter().for_each(|(key, value)| out.push_str(&format!("\t{key} {value}\n")));
        out.push('\n');
    }
    conf::digest(&out)
}

fn row(id: (&str, &str), options: &Options, digest: String) -> Value {
    let number = |key: &str| matches!(key, "tag" | "mtu" | "vlanaware" | "isolate-ports" | "vxlan-port");
    let mut row: Map<String, Value> = options
        .iter()
        .map(|(key, text)| match text.parse::<i64>() {
            Ok(n) if number(key) => (key.clone(), json!(n)),
            _ => (key.clone(), json!(text)),
        })
        .collect();
    row.insert(id.0.to_owned(), json!(id.1));
    row.insert("digest".to_owned(), json!(digest));
    Value::Object(row)
}

fn zones(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (world, wanted) = (&*call.world, call.values.get("type"));
    let visible = world.sdn.zones.iter().filter(|(id, options)| {
        world.may(call.caller, &format!("/sdn/zones/{id}"), LOOK)
            && wanted.is_none_or(|w| options.get("type").is_some_and(|t| t == w))
    });
    let all = digest(&world.sdn.zones, "zone");
    Ok(Value::Array(visible.map(|(id, options)| row(("zone", id), options, all.clone())).collect()).into())
}

fn zone(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("zone");
    let options = call.world.sdn.zones.get(id).ok_or_else(|| format!("sdn '{id}' does not exist"))?;
    Ok(row(("zone", id), options, digest(&call.world.sdn.zones, "zone")).into())
}

fn add_zone(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut given = call.values.plain();
    let id = given.remove("zone").unwrap_or_default();
    given.remove("lock-token");
    let fail = |text: String| Refusal::failed(format!("create sdn zone object failed: {text}"));
    let needs: &[&str] = match given.get("type").map(String::as_str) {
        Some("vlan") => &["bridge"],
        Some("qinq") => &["bridge", "tag"],
        Some("vxlan") => &["peers"],
        Some("evpn") => &["controller", "vrf-vxlan"],
        _ => &[],
    };
    if let Some(key) = needs.iter().find(|key| !given.contains_key(**key)) {
        return Err(format!("missing value for required option '{key}'").into());
    }
    if call.world.sdn.zones.contains_key(&id) {
        return Err(fail(format!("sdn zone object ID '{id}' already defined")));
    }
    call.world.sdn.zones.insert(id, given);
    Ok(().into())
}

fn remove_zone(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("zone").to_owned();
    let fail = |text: String| Refusal::failed(format!("delete sdn zone object failed: {text}"));
    if !call.world.sdn.zones.contains_key(&id) {
        return Err(fail(format!("sdn '{id}' does not exist")));
    }
    if call.world.sdn.vnets.values().any(|v| v.get("zone") == Some(&id)) {
        return Err(fail(format!("zone {id} is used by vnet")));
    }
    call.world.sdn.zones.remove(&id);
    Ok(().into())
}

fn zone_of(world: &World, id: &str) -> Result<String, Refusal> {
    let options = world.sdn.vnets.get(id).ok_or_else(|| format!("sdn '{id}' does not exist"))?;
    Ok(options.get("zone").cloned().unwrap_or_default())
}

fn vnets(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &*call.world;
    let visible = world.sdn.vnets.iter().filter(|(id, options)| {
        let zone = options.get("zone").map(String::as_str).unwrap_or_default();
        world.may(call.caller, &format!("/sdn/zones/{zone}/{id}"), LOOK)
    });
    let all = digest(&world.sdn.vnets, "vnet");
    Ok(Value::Array(visible.map(|(id, options)| row(("vnet", id), options, all.clone())).collect()).into())
}

fn vnet(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("vnet");
    let zone = zone_of(call.world, id)?;
    call.need(&format!("/sdn/zones/{zone}/{id}"), LOOK)?;
    Ok(row(("vnet", id), &call.world.sdn.vnets[id], digest(&call.world.sdn.vnets, "vnet")).into())
}

fn add_vnet(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut given = call.values.plain();
    let id = given.remove("vnet").unwrap_or_default();
    given.remove("lock-token");
    given.insert("type".to_owned(), "vnet".to_owned());
    let fail = |text: String| Refusal::failed(format!("create sdn vnet object failed: {text}"));
    let zone = given.get("zone").cloned().unwrap_or_default();
    if call.world.sdn.vnets.contains_key(&id) {
        return Err(fail(format!("sdn vnet object ID '{id}' already defined")));
    }
    let Some(kind) = call.world.sdn.zones.get(&zone).and_then(|z| z.get("type")) else {
        return Err(fail(format!("zone {zone} does not exist")));
    };
    // Checked by the plugin of the zone, whose complaint ends up inside the text.
    let bad = |text: &str| fail(format!("400 Parameter verification failed.\ntag: {text}"));
    match (kind.as_str(), given.contains_key("tag")) {
        ("simple", true) => return Err(bad("vlan tag is not allowed on simple zone")),
        ("vlan" | "qinq", false) => return Err(bad("missing vlan tag")),
        ("vxlan" | "evpn", false) => return Err(bad("missing vxlan tag")),
        _ => {}
    }
    call.world.sdn.vnets.insert(id, given);
    Ok(().into())
}

fn remove_vnet(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("vnet").to_owned();
    let zone = zone_of(call.world, &id)?;
    call.need(&format!("/sdn/zones/{zone}/{id}"), &["SDN.Allocate"])?;
    call.world.sdn.vnets.remove(&id);
    Ok(().into())
}
