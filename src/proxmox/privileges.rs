//! Which privileges PVE asks for a request.
//!
//! Held against the API descriptions of 8.4, 9.1 and 9.2, the refusals recorded from 9.2.11 and
//! `PVE::API2::Qemu` / `PVE::LXC`. What is not known here for sure is not asked for: a list that is too
//! short lets the host refuse, one that is too long would refuse what works.

use super::options::Options;
use crate::ports::{Method, Request};

/// Something that is asked for; the first way is the one to recommend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Any of these will do.
    pub any_of: Vec<Grant>,
}

/// Privileges on one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Such as `/vms/100`.
    pub path: String,
    /// All of these are asked for.
    pub all: Vec<&'static str>,
    /// Whether some path below will do as well (a VLAN of a bridge).
    pub or_below: bool,
}

impl Grant {
    fn new(path: impl Into<String>, all: &[&'static str]) -> Self {
        Self { path: path.into(), all: all.to_vec(), or_below: false }
    }
}

impl Need {
    fn one(path: impl Into<String>, privilege: &'static str) -> Self {
        Self { any_of: vec![Grant::new(path, &[privilege])] }
    }

    fn any(path: &str, privileges: &[&'static str]) -> Self {
        Self { any_of: privileges.iter().map(|privilege| Grant::new(path, &[*privilege])).collect() }
    }
}

/// What `request` asks for, where its guests are or will be members of `pool`.
#[must_use]
pub fn needs(request: &Request, pool: &str) -> Vec<Need> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let param = |name: &str| request.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let storage = |name: &str| format!("/storage/{name}");
    let reads = matches!(request.method, Method::Get);
    match (request.method, &parts[..]) {
        (Method::Get, ["cluster", "mapping", "pci", id]) => {
            vec![Need::any(&format!("/mapping/pci/{id}"), &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])]
        }
        (Method::Put, ["cluster", "mapping", "pci", id]) => {
            vec![Need::one(format!("/mapping/pci/{id}"), "Mapping.Modify")]
        }
        (Method::Post | Method::Delete, ["cluster", "mapping", "pci", ..]) => {
            vec![Need::one("/mapping/pci", "Mapping.Modify")]
        }
        (Method::Get, ["cluster", "firewall", "groups", _]) => vec![Need::one("/", "Sys.Audit")],
        (_, ["cluster", "firewall", ..]) if !reads => vec![Need::one("/", "Sys.Modify")],
        (Method::Get, ["cluster", "firewall", "options" | "ipset" | "aliases", ..]) => {
            vec![Need::one("/", "Sys.Audit")]
        }
        (_, ["nodes", node, "firewall", ..]) => {
            vec![Need::one(format!("/nodes/{node}"), if reads { "Sys.Audit" } else { "Sys.Modify" })]
        }
        (_, ["pools"]) if !reads => {
            let mut needs = vec![Need::one(format!("/pool/{}", param("poolid")), "Pool.Allocate")];
            let members = param("vms").split(',').filter(|vmid| !vmid.is_empty());
            needs.extend(members.map(|vmid| on_guest(vmid, pool, &["VM.Allocate", "Permissions.Modify"])));
            needs
        }
        (Method::Post, ["nodes", node, "storage", name, "download-url"]) => vec![
            Need::one(storage(name), "Datastore.AllocateTemplate"),
            Need {
                any_of: vec![
                    Grant::new(format!("/nodes/{node}"), &["Sys.AccessNetwork"]),
                    Grant::new("/", &["Sys.Audit", "Sys.Modify"]),
                ],
            },
        ],
        (Method::Post, ["nodes", _, "aplinfo"]) => {
            vec![Need::one(storage(param("storage")), "Datastore.AllocateTemplate")]
        }
        (Method::Get, ["nodes", _, "storage", name, "content"]) => {
            vec![Need::any(&storage(name), &["Datastore.Audit", "Datastore.AllocateSpace"])]
        }
        (Method::Delete, ["nodes", _, "storage", name, "content", _]) => {
            vec![Need::any(&storage(name), &["Datastore.Allocate", "Datastore.AllocateTemplate"])]
        }
        (Method::Post, ["nodes", _, kind @ ("qemu" | "lxc")]) => {
            let vmid = param("vmid");
            let mut needs = vec![on_guest(vmid, pool, &["VM.Allocate"])];
            needs.extend(settings(request, kind, vmid, pool, true));
            needs
        }
        (method, ["nodes", _, kind @ ("qemu" | "lxc"), vmid, rest @ ..]) => match (method, rest) {
            (Method::Get, _) => vec![on_guest(vmid, pool, &["VM.Audit"])],
            (Method::Delete, []) => vec![on_guest(vmid, pool, &["VM.Allocate"])],
            (Method::Put, ["config"]) => settings(request, kind, vmid, pool, false),
            (_, ["resize"]) => vec![on_guest(vmid, pool, &["VM.Config.Disk"])],
            (_, ["status", _]) => vec![on_guest(vmid, pool, &["VM.PowerMgmt"])],
            // VM.Monitor up to 8.x, where the other two do not exist yet.
            (_, ["agent", "ping"]) => {
                vec![on_guest(vmid, pool, &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.Monitor"])]
            }
            (_, ["firewall", ..]) => vec![on_guest(vmid, pool, &["VM.Config.Network"])],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Any of `privileges` on a guest; what is held on its pool counts, too.
fn on_guest(vmid: &str, pool: &str, privileges: &[&'static str]) -> Need {
    let guest = Need::any(&format!("/vms/{vmid}"), privileges);
    let pool = Need::any(&format!("/pool/{pool}"), privileges);
    Need { any_of: guest.any_of.into_iter().chain(pool.any_of).collect() }
}

fn settings(request: &Request, kind: &str, vmid: &str, pool: &str, create: bool) -> Vec<Need> {
    let mut needs = Vec::new();
    for (key, value) in &request.params {
        if key == "delete" {
            for key in value.split(',') {
                needs.extend(setting(kind, key, "", create).map(|privileges| on_guest(vmid, pool, privileges)));
            }
            continue;
        }
        needs.extend(setting(kind, key, value, create).map(|privileges| on_guest(vmid, pool, privileges)));
        match (kind, stem(key)) {
            // It changes what the host does when it boots.
            ("qemu", "startup") => needs.push(Need::one("/", "Sys.Modify")),
            ("qemu", "hostpci") => {
                let options = Options::parse(value);
                needs.extend(options.get("mapping").map(|id| Need::one(format!("/mapping/pci/{id}"), "Mapping.Use")));
            }
            (_, "net") => needs.extend(Options::parse(value).get("bridge").and_then(bridge)),
            ("qemu", "scsi" | "ide" | "efidisk") | ("lxc", "rootfs" | "mp") => needs.extend(volume(value)),
            ("lxc", "ostemplate") => needs.extend(readable(value)),
            _ => {}
        }
    }
    needs
}

/// The privileges of a setting, any of which will do.
fn setting(kind: &str, key: &str, value: &str, create: bool) -> Option<&'static [&'static str]> {
    Some(match (kind, stem(key)) {
        (_, "cores" | "cpulimit" | "cpuunits") | ("qemu", "cpu" | "sockets" | "numa") => &["VM.Config.CPU"],
        (_, "memory") | ("qemu", "balloon" | "allow-ksm") | ("lxc", "swap") => &["VM.Config.Memory"],
        (_, "net") | ("lxc", "hostname" | "nameserver" | "searchdomain") => &["VM.Config.Network"],
        (_, "description" | "tags" | "onboot" | "startup" | "protection")
        | ("qemu", "name" | "ostype" | "agent" | "bios") => &["VM.Config.Options"],
        ("qemu", "machine" | "scsihw" | "vga" | "hostpci") => &["VM.Config.HWType"],
        ("qemu", "serial") if value == "socket" => &["VM.Config.HWType"],
        ("qemu", "boot") | ("lxc", "rootfs" | "mp") => &["VM.Config.Disk"],
        // At creation nothing but the storage is asked for.
        ("qemu", "scsi" | "ide" | "efidisk") if !create => &["VM.Config.Disk", "VM.Config.CDROM"],
        ("qemu", "cicustom" | "ciuser" | "sshkeys" | "nameserver" | "searchdomain" | "ipconfig") => {
            &["VM.Config.Cloudinit", "VM.Config.Network"]
        }
        _ => return None,
    })
}

/// `net0` → `net`.
fn stem(key: &str) -> &str {
    key.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// What a disk asks of its storages: space for a new one, and to see what it is made from. Of a volume that
/// is there nothing is known for sure, since it may be the guest's own.
fn volume(value: &str) -> Vec<Need> {
    let options = Options::parse(value);
    let head = options.head.as_deref().or_else(|| options.get("file")).or_else(|| options.get("volume"));
    let fresh = head.and_then(|head| head.split_once(':')).filter(|(_, what)| {
        *what == "cloudinit" || (!what.is_empty() && what.chars().all(|c| c.is_ascii_digit() || c == '.'))
    });
    let space = fresh.map(|(storage, _)| Need::one(format!("/storage/{storage}"), "Datastore.AllocateSpace"));
    space.into_iter().chain(options.get("import-from").and_then(readable)).collect()
}

fn readable(volume: &str) -> Option<Need> {
    let (storage, _) = volume.split_once(':')?;
    Some(Need::any(&format!("/storage/{storage}"), &["Datastore.Audit", "Datastore.AllocateSpace"]))
}

/// A Linux bridge belongs to the zone `localnetwork`. Any other name may be a VNet of a zone that we do not
/// know.
fn bridge(name: &str) -> Option<Need> {
    let digits = name.strip_prefix("vmbr")?;
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    let path = format!("/sdn/zones/localnetwork/{name}");
    plain.then(|| Need { any_of: vec![Grant { path, all: vec!["SDN.Use"], or_below: true }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::endpoints::{LXC_CREATE, QEMU_CONFIG_SET, QEMU_CREATE, STORAGE_DOWNLOAD};

    /// Every first way, as `path privileges`.
    fn first(request: &Request) -> Vec<String> {
        let mut needs: Vec<String> = needs(request, "p")
            .iter()
            .map(|need| format!("{} {}", need.any_of[0].path, need.any_of[0].all.join("+")))
            .collect();
        needs.sort();
        needs.dedup();
        needs
    }

    #[test]
    fn a_vm_asks_for_itself_its_storage_its_bridge_and_its_device() {
        let request = QEMU_CREATE
            .at(&["hq"])
            .set("vmid", 100)
            .set("scsi0", "local-zfs:0,import-from=local:import/u.qcow2")
            .set("net0", "virtio,bridge=vmbr0,firewall=1")
            .set("hostpci0", "mapping=gpu,pcie=1")
            .set("startup", "order=1")
            .request();
        assert_eq!(
            first(&request),
            [
                "/ Sys.Modify",
                "/mapping/pci/gpu Mapping.Use",
                "/sdn/zones/localnetwork/vmbr0 SDN.Use",
                "/storage/local Datastore.Audit",
                "/storage/local-zfs Datastore.AllocateSpace",
                "/vms/100 VM.Allocate",
                "/vms/100 VM.Config.HWType",
                "/vms/100 VM.Config.Network",
                "/vms/100 VM.Config.Options",
            ]
        );
    }

    #[test]
    fn a_container_asks_for_its_template_and_its_disk() {
        let request = LXC_CREATE
            .at(&["hq"])
            .set("vmid", 104)
            .set("ostemplate", "local:vztmpl/d.tar.zst")
            .set("rootfs", "local-zfs:20")
            .set("net0", "name=eth0,bridge=vnet7")
            .request();
        assert_eq!(
            first(&request),
            [
                "/storage/local Datastore.Audit",
                "/storage/local-zfs Datastore.AllocateSpace",
                "/vms/104 VM.Allocate",
                "/vms/104 VM.Config.Disk",
                "/vms/104 VM.Config.Network",
            ]
        );
    }

    #[test]
    fn what_is_taken_away_and_a_volume_that_is_there_ask_for_the_key_alone() {
        let request = QEMU_CONFIG_SET
            .at(&["hq", "100"])
            .set("scsi0", "local-zfs:vm-100-disk-0,ssd=1")
            .set("delete", "hostpci0,balloon")
            .set("digest", "abc")
            .request();
        let expected = ["/vms/100 VM.Config.Disk", "/vms/100 VM.Config.HWType", "/vms/100 VM.Config.Memory"];
        assert_eq!(first(&request), expected);
    }

    #[test]
    fn a_download_takes_either_way_to_the_network() {
        let request = STORAGE_DOWNLOAD.at(&["hq", "local"]).request();
        let needs = needs(&request, "p");
        assert_eq!(needs[1].any_of[0], Grant::new("/nodes/hq", &["Sys.AccessNetwork"]));
        assert_eq!(needs[1].any_of[1], Grant::new("/", &["Sys.Audit", "Sys.Modify"]));
    }
}
