//! The agent in a VM: whether it answers, and what it says.

use serde_json::{Value, json};

use crate::lab::rules::endpoint::Access::Any;
use crate::lab::rules::guest::addresses::{addresses, mac};
use crate::lab::rules::guest::status;
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::{Guest, GuestKind};
use crate::ports::Method::{Get, Post};

const AGENT: &[&str] = &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.Monitor"];

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/agent/ping", &[], Any("/vms/{vmid}", AGENT), agent_ping),
    Endpoint::new(
        Get,
        "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
        &[],
        Any("/vms/{vmid}", AGENT),
        agent_interfaces,
    ),
];

fn agent<'a>(call: &'a Call<'_>) -> Result<&'a Guest, Refusal> {
    let vmid = call.vmid();
    let guest = call.guest(GuestKind::Qemu)?;
    if !guest.is_running() {
        return Err(format!("VM {vmid} is not running").into());
    }
    if !status::agent_enabled(guest) {
        return Err("No QEMU guest agent configured".into());
    }
    if !guest.has_booted(call.world.now_ms) {
        return Err("QEMU guest agent is not running".into());
    }
    Ok(guest)
}

fn agent_ping(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    agent(call)?;
    Ok(json!({"result": {}}).into())
}

fn agent_interfaces(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = agent(call)?;
    let mut rows = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}],
    })];
    for index in 0..32 {
        let Some(mac) = mac(guest, index) else { continue };
        let addresses: Vec<Value> = addresses(guest, index)
            .iter()
            .filter_map(|a| a.split_once('/'))
            .map(|(ip, prefix)| {
                let kind = if ip.contains(':') { "ipv6" } else { "ipv4" };
                json!({"ip-address": ip, "ip-address-type": kind, "prefix": prefix.parse::<u8>().unwrap_or(0)})
            })
            .collect();
        rows.push(json!({"name": format!("eth{index}"), "hardware-address": mac, "ip-addresses": addresses}));
    }
    Ok(json!({"result": rows}).into())
}
