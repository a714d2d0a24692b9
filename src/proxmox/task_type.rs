//! Which task a call starts: how to find it again when the answer with its id got lost.

use crate::model::Vmid;
use crate::ports::{Method, Request};

/// What is known of a task before it has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Type as it will stand in the UPID, such as `qmcreate`.
    pub task_type: &'static str,
    /// The guest, if it is about one.
    pub vmid: Option<Vmid>,
    /// The node that runs it.
    pub node: String,
}

/// The task that a call starts; `None` for calls that start none or that we never make. Task types
/// were observed on 9.2.11.
#[must_use]
pub fn started_by(request: &Request) -> Option<Expected> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let vm = |kind: &str, of_vm: &'static str, of_container: &'static str| match kind {
        "qemu" => Some(of_vm),
        "lxc" => Some(of_container),
        _ => None,
    };
    let (node, id, task_type) = match (request.method, &parts[..]) {
        (Method::Post, ["nodes", node, kind @ ("qemu" | "lxc")]) => {
            let id = request.params.iter().find(|(name, _)| name == "vmid").map(|(_, id)| id.as_str());
            (*node, id, vm(kind, "qmcreate", "vzcreate")?)
        }
        (Method::Delete, ["nodes", node, kind, id]) => (*node, Some(*id), vm(kind, "qmdestroy", "vzdestroy")?),
        (Method::Post, ["nodes", node, "qemu", id, "config"]) => (*node, Some(*id), "qmconfig"),
        (Method::Put, ["nodes", node, "qemu" | "lxc", id, "resize"]) => (*node, Some(*id), "resize"),
        (Method::Post, ["nodes", node, kind, id, "status", verb]) => {
            let task_type = match *verb {
                "start" => vm(kind, "qmstart", "vzstart")?,
                "stop" => vm(kind, "qmstop", "vzstop")?,
                "shutdown" => vm(kind, "qmshutdown", "vzshutdown")?,
                "reboot" => vm(kind, "qmreboot", "vzreboot")?,
                _ => return None,
            };
            (*node, Some(*id), task_type)
        }
        (Method::Post, ["nodes", node, "aplinfo"]) => (*node, None, "download"),
        (Method::Post, ["nodes", node, "storage", _, "download-url"]) => (*node, None, "download"),
        (Method::Delete, ["nodes", node, "storage", _, "content", _]) => (*node, None, "imgdel"),
        _ => return None,
    };
    let vmid = match id {
        Some(id) => Some(id.parse().ok()?),
        None => None,
    };
    Some(Expected { task_type, vmid, node: node.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::endpoints;

    #[test]
    fn the_task_of_a_create_is_about_the_guest_in_its_parameters() {
        let create = endpoints::LXC_CREATE.at(&["pve1"]).set("vmid", 104).request();
        let expected = Expected { task_type: "vzcreate", vmid: Some(104.try_into().unwrap()), node: "pve1".into() };
        assert_eq!(started_by(&create), Some(expected));
        assert_eq!(started_by(&endpoints::QEMU_START.at(&["pve1", "100"]).request()).unwrap().task_type, "qmstart");
        assert_eq!(started_by(&endpoints::QEMU_CONFIG_SET.at(&["pve1", "100"]).request()), None);
        assert_eq!(started_by(&endpoints::POOL_CREATE.at(&[]).request()), None);
    }
}
