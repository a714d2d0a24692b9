//! What becomes of changes while the cluster has no quorum.
//!
//! `/etc/pve` can be read and not written. Some calls look first and say so (`check_cfs_quorum`), some find
//! out when they do not get the cluster's lock, some when they write the file, and those that leave it to a
//! worker there. What needs neither, such as stopping a guest, is carried out (pve-cluster `PVE/Cluster.pm`,
//! qemu-server and pve-container `PVE/API2`).

use std::collections::BTreeMap;

use super::super::world::{TaskState, Work, World};
use super::{Endpoint, Refusal, Values};
use crate::ports::Method;

/// How a call meets the missing quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meets {
    /// Not at all.
    Never,
    /// It is refused at once.
    Refused(Refusal),
    /// Its worker fails with this text, and nothing is changed.
    InWorker(String),
}

/// How a call meets it, by what it would write.
#[must_use]
pub fn meets(endpoint: &Endpoint, vars: &BTreeMap<&'static str, String>, values: &Values, world: &mut World) -> Meets {
    if endpoint.method == Method::Get {
        return Meets::Never;
    }
    let locked = |what: &str, lock: &str| {
        let prefix = if what.is_empty() { String::new() } else { format!("{what} failed: ") };
        Meets::Refused(Refusal::failed(format!("{prefix}cfs-lock '{lock}' error: no quorum!")))
    };
    let verb = |create: &'static str, update: &'static str, delete: &'static str| match endpoint.method {
        Method::Post => create,
        Method::Put => update,
        _ => delete,
    };
    let path = endpoint.path;
    if let Some(rest) = path.strip_prefix("/nodes/{node}/") {
        return below_node(rest, endpoint.method, vars, values, world);
    }
    match path.split('/').nth(1).unwrap_or_default() {
        "pools" => locked(verb("create pool", "update pools", "delete pool"), "file-user_cfg"),
        "access" if path == "/access/acl" => locked("ACL update", "file-user_cfg"),
        "access" if path == "/access/ticket" => Meets::Never,
        "access" => locked("", "file-user_cfg"),
        "storage" => locked(verb("create storage", "update storage", "delete storage"), "file-storage_cfg"),
        "cluster" if path.starts_with("/cluster/mapping/pci") => locked(
            verb("create hardware mapping", "update hardware mapping", "delete pci mapping"),
            "file-mapping_pci_cfg",
        ),
        "cluster" if path.starts_with("/cluster/firewall") => locked("", "firewall-cluster"),
        "cluster" if path == "/cluster/options" => locked("", "file-datacenter_cfg"),
        "cluster" if path.starts_with("/cluster/backup") => locked("", "file-jobs_cfg"),
        _ => Meets::Refused(not_ready()),
    }
}

fn not_ready() -> Refusal {
    Refusal::failed("cluster not ready - no quorum?")
}

fn below_node(
    rest: &str,
    method: Method,
    vars: &BTreeMap<&'static str, String>,
    values: &Values,
    world: &mut World,
) -> Meets {
    let var = |name: &str| vars.get(name).cloned().unwrap_or_default();
    let (area, below) = rest.split_once('/').unwrap_or((rest, ""));
    let kind = match area {
        "qemu" => "qemu-server",
        "lxc" => "lxc",
        "firewall" => {
            let lock = format!("cfs-lock 'firewall-{}' error: no quorum!", var("node"));
            return Meets::Refused(Refusal::failed(lock));
        }
        // Volumes, tasks, services and interfaces are the node's own.
        _ => return Meets::Never,
    };
    let vmid = vars.get("vmid").map_or_else(|| values.text("vmid"), String::as_str);
    let mut unwritable = || {
        let pid = world.next_pid();
        format!("unable to open file '/etc/pve/nodes/{}/{kind}/{vmid}.conf.tmp.{pid}' - Permission denied", var("node"))
    };
    match below.strip_prefix("{vmid}").unwrap_or_default() {
        "" if below.is_empty() && kind == "lxc" => {
            Meets::Refused(Refusal::failed(format!("unable to create CT {vmid} - {}", unwritable())))
        }
        "" if below.is_empty() => Meets::Refused(not_ready()),
        "" => Meets::InWorker(unwritable()),
        "/status/start" | "/migrate" | "/clone" => Meets::Refused(not_ready()),
        what if what.starts_with("/status/") || what.starts_with("/agent") => Meets::Never,
        what if what.starts_with("/firewall") => {
            Meets::Refused(Refusal::failed(format!("cfs-lock 'firewall-{vmid}' error: no quorum!")))
        }
        "/config" if method == Method::Post => Meets::InWorker(unwritable()),
        "/config" | "/unlink" | "/cloudinit" => Meets::Refused(Refusal::failed(unwritable())),
        _ => Meets::InWorker(unwritable()),
    }
}

/// Lets the workers that a call started fail; `before` is how many there were.
pub fn doom_workers(world: &mut World, before: usize, text: &str) {
    for task in world.tasks.iter_mut().skip(before) {
        if let TaskState::Running { work, doom, .. } = &mut task.state {
            *work = Work::Nothing;
            *doom = Some(text.to_owned());
        }
    }
}
