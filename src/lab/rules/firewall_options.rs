//! Options of firewalls: which there are of whom, and setting them.

use serde_json::{Map, json};

use super::super::world::{Firewall, conf};
use super::firewall::{DELETE, LEVELS, POLICY, Target, check_digest, of, scope, target};
use super::formats as f;
use super::param::{Kind, Param, optional as o};
use super::tables::DIGEST_64;
use super::{Answer, Call, Refusal};
use serde_json::Value;

/// Options of the datacenter's firewall.
pub const CLUSTER_OPTIONS: &[Param] = &[
    o("delete", DELETE),
    o("digest", DIGEST_64),
    o("ebtables", Kind::Bool),
    o("enable", Kind::Int { min: Some(0), max: None }),
    o("log_ratelimit", Kind::Text),
    o("policy_forward", Kind::Enum(&["ACCEPT", "DROP"])),
    o("policy_in", POLICY),
    o("policy_out", POLICY),
];
/// Options of a guest's firewall.
pub const GUEST_OPTIONS: &[Param] = &[
    o("delete", DELETE),
    o("dhcp", Kind::Bool),
    o("digest", DIGEST_64),
    o("enable", Kind::Bool),
    o("ipfilter", Kind::Bool),
    o("log_level_in", LEVELS),
    o("log_level_out", LEVELS),
    o("macfilter", Kind::Bool),
    o("ndp", Kind::Bool),
    o("policy_in", POLICY),
    o("policy_out", POLICY),
    o("radv", Kind::Bool),
];
/// Options of a host's firewall.
pub const NODE_OPTIONS: &[Param] = &[
    o("delete", DELETE),
    o("digest", DIGEST_64),
    o("enable", Kind::Bool),
    o("log_level_forward", LEVELS),
    o("log_level_in", LEVELS),
    o("log_level_out", LEVELS),
    o("log_nf_conntrack", Kind::Bool),
    o("ndp", Kind::Bool),
    o("nf_conntrack_allow_invalid", Kind::Bool),
    o("nf_conntrack_helpers", Kind::Text),
    o("nf_conntrack_max", Kind::Int { min: Some(32768), max: None }),
    o("nf_conntrack_tcp_timeout_established", Kind::Int { min: Some(7875), max: None }),
    o("nf_conntrack_tcp_timeout_syn_recv", Kind::Int { min: Some(30), max: Some(60) }),
    o("nftables", Kind::Bool),
    o("nosmurfs", Kind::Bool),
    o("protection_synflood", Kind::Bool),
    o("protection_synflood_burst", Kind::Int { min: None, max: None }),
    o("protection_synflood_rate", Kind::Int { min: None, max: None }),
    o("smurf_log_level", LEVELS),
    o("tcp_flags_log_level", LEVELS),
    o("tcpflags", Kind::Bool),
];

fn option_params(target: &Target) -> &'static [Param] {
    match target {
        Target::Guest(_) => GUEST_OPTIONS,
        Target::Node(_) => NODE_OPTIONS,
        Target::Cluster => CLUSTER_OPTIONS,
    }
}

fn options_digest(options: &std::collections::BTreeMap<String, String>) -> String {
    let firewall = Firewall { options: options.clone(), ..Firewall::default() };
    conf::digest(&conf::firewall(&firewall))
}

/// The options that are set.
pub fn options(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    let params = option_params(&target(call));
    let mut row = Map::new();
    for (key, value) in &firewall.options {
        let kind = params.iter().find(|p| p.name == key).map(|p| p.kind);
        let number = matches!(kind, Some(Kind::Bool | Kind::Int { .. })).then(|| value.parse::<i64>().ok()).flatten();
        row.insert(key.clone(), number.map_or_else(|| json!(value), |n| json!(n)));
    }
    row.insert("digest".into(), json!(options_digest(&firewall.options)));
    Ok(Value::Object(row).into())
}

/// Sets and drops options.
pub fn set_options(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let firewall = of(call);
    check_digest(call, &options_digest(&firewall.options))?;
    let params = option_params(&target(call));
    let mut options = firewall.options;
    for key in f::split_list(call.values.text("delete")) {
        if !params.iter().any(|p| p.name == key && key != "delete" && key != "digest") {
            return Err(Refusal::param("delete", format!("no such option '{key}'")));
        }
        options.remove(key);
    }
    for (key, value) in call.values.plain() {
        if key == "enable" && target(call) == Target::Cluster && value.parse::<i64>().is_ok_and(|n| n > 1) {
            // The datacenter's switch takes a time for which it stays on.
            options.insert(key, call.world.now().to_string());
        } else if key != "delete" && key != "digest" {
            options.insert(key, value);
        }
    }
    let target = target(call);
    scope(call.world, &target).options = options;
    Ok(().into())
}
