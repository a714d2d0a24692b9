//! Which node of a cluster carries a call out, and what is answered where that one cannot be reached.
//!
//! pveproxy looks at who asks, then passes on what is about another node before it looks at a single
//! parameter (`PVE::HTTPServer::rest_handler`, `PVE::APIServer::AnyEvent::proxy_request`). What comes of the
//! connection it hands on as it got it: 595 and the system's words where none came about.

use std::collections::BTreeMap;

use super::super::world::World;
use super::lock_file;
use super::work;
use super::{Answer, Endpoint, Refusal};
use crate::ports::Method;

/// How long the kernel looks for a host of its own network that is off, in milliseconds.
const UNREACHABLE_MS: i64 = 3_000;
/// How long a lock of the cluster is tried for, in milliseconds (`PVE::Cluster::cfs_lock`).
const CLUSTER_LOCK_MS: i64 = 10_000;

/// Whether the node that is asked leaves the call to the node that the path names.
///
/// Everything below a node is left to it but what only reads or writes the cluster's file system or its
/// statistics: lists of what there is to ask for, firewalls of guests, graphs.
#[must_use]
pub fn is_proxied(method: Method, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/nodes/{node}") else { return false };
    if let Some((_, below)) = rest.split_once("/{vmid}/") {
        return match below.split_once('/').unwrap_or((below, "")) {
            ("firewall", what) => matches!(what, "options" | "log"),
            ("snapshot", snapshot) => snapshot != "{snapname}" || method != Method::Get,
            ("rrd" | "rrddata" | "vncproxy" | "termproxy" | "vncwebsocket" | "mtunnel" | "mtunnelwebsocket", _) => {
                false
            }
            _ => true,
        };
    }
    let own: &[&str] = match method {
        Method::Get => &[
            "",
            "/apt",
            "/capabilities/qemu/cpu",
            "/capabilities/qemu/cpu-flags",
            "/ceph",
            "/ceph/cfg",
            "/ceph/osd/{osdid}",
            "/ceph/pool/{name}",
            "/certificates",
            "/certificates/acme",
            "/firewall",
            "/hardware",
            "/hardware/pci/{pci-id-or-mapping}",
            "/replication/{id}",
            "/rrd",
            "/rrddata",
            "/scan",
            "/sdn/fabrics/{fabric}",
            "/sdn/vnets/{vnet}",
            "/sdn/zones/{zone}",
            "/services/{service}",
            "/storage/{storage}",
            "/tasks/{upid}",
            "/vncwebsocket",
        ],
        // They find their node themselves.
        Method::Post => &["/storage/{storage}/upload", "/termproxy", "/vncshell", "/wakeonlan"],
        _ => &[],
    };
    !own.contains(&rest)
}

/// The node whose door is asked; that of the first node that is up, if nobody says.
#[must_use]
pub fn local_node(world: &World, door: Option<&str>) -> String {
    let up = || world.nodes.iter().find(|(_, node)| node.online).map(|(name, _)| name.as_str());
    door.or_else(up).unwrap_or_default().to_owned()
}

/// Finds the node that carries the call out, `localhost` being the one that is asked.
///
/// # Errors
/// 500 where nobody knows the node, 595 where it does not answer.
pub fn resolve(
    world: &World,
    local: &str,
    endpoint: &Endpoint,
    vars: &mut BTreeMap<&'static str, String>,
) -> Result<(), Refusal> {
    let Some(node) = vars.get_mut("node") else { return Ok(()) };
    if node == "localhost" {
        local.clone_into(node);
    }
    if node == local || !is_proxied(endpoint.method, endpoint.path) {
        return Ok(());
    }
    match world.nodes.get(node.as_str()) {
        None => Err(Refusal::failed(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        ))),
        Some(found) if !found.online => Err(Refusal::Bare { status: 595, reason: "No route to host".to_owned() }),
        Some(_) => Ok(()),
    }
}

/// How long it takes until this is answered, beside what the work takes; `pace` is a percentage.
#[must_use]
pub fn patience(answer: &Result<Answer, Refusal>, pace: i64) -> std::time::Duration {
    let real_ms = match answer {
        Err(Refusal::Bare { status: 595, .. }) => UNREACHABLE_MS,
        Err(Refusal::Failed { text, .. }) if text.ends_with("error: no quorum!") => CLUSTER_LOCK_MS,
        Err(Refusal::Failed { text, .. }) if lock_file::was_in_vain(text) => lock_file::PATIENCE_MS,
        _ => 0,
    };
    std::time::Duration::from_millis(u64::try_from(real_ms * pace / 100).unwrap_or_default())
}

/// Takes a node off the world: what worked or ran on it does so no more, and it does not answer.
pub fn lose_node(world: &mut World, node: &str) {
    let running: Vec<String> = world
        .tasks
        .iter()
        .filter(|task| task.node == node && task.is_running())
        .map(|task| task.upid.clone())
        .collect();
    for upid in running {
        work::kill(world, &upid);
    }
    for guest in world.guests.values_mut().filter(|guest| guest.node == node) {
        guest.run = None;
    }
    if let Some(node) = world.nodes.get_mut(node) {
        node.online = false;
    }
}

/// Brings a lost node back; its guests stay down.
pub fn regain_node(world: &mut World, node: &str) {
    let now = world.now_ms;
    if let Some(node) = world.nodes.get_mut(node) {
        node.online = true;
        node.booted_ms = now;
    }
}
