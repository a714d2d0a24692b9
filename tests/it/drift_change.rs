//! How somebody who is root on the host changes one field of one resource, through the API or the shell.

use infra::lab::envelope;
use infra::lab::rules::{self, work};
use infra::lab::shell::run_line;
use infra::lab::world::{Caller, World};
use serde_json::Value;

/// The request of somebody who is root on the host.
fn root(world: &mut World, method: &str, path: &str, params: &[(String, String)]) -> Result<Value, String> {
    let request = rules::Request {
        method: method.into(),
        path: path.into(),
        params: params.to_vec(),
        ..rules::Request::default()
    };
    let response = envelope::wrap(rules::answer_as(world, &Caller::root_pam(), &request));
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    if response.status != 200 {
        return Err(format!("{method} {path}: {} {body}", response.reason));
    }
    let data = body["data"].clone();
    if let Some(upid) = data.as_str().filter(|text| text.starts_with("UPID:")) {
        work::finish(world, upid);
        let exit = world.task(upid).and_then(|task| task.exit()).unwrap_or_default().to_owned();
        if exit != "OK" {
            return Err(format!("{method} {path}: task ended with {exit}"));
        }
    }
    Ok(data)
}

fn shell(world: &mut World, line: &str) -> Result<(), String> {
    let output = run_line(world, "pve1", line, b"");
    if output.code == 0 { Ok(()) } else { Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr))) }
}

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// `key` of a guest with one option of its option string changed or taken away.
fn with_option(text: &str, option: &str, value: &str) -> String {
    let mut parts: Vec<(String, String)> = text
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.split_once('=').map_or((String::new(), part.to_owned()), |(k, v)| (k.to_owned(), v.to_owned()))
        })
        .collect();
    let head =
        matches!(option, "file" | "volume" | "current" | "path") || (option == "type" && !text.contains("enabled"));
    let model = |name: &str| matches!(name, "virtio" | "e1000");
    match option {
        "macaddr" => parts.iter_mut().filter(|(k, _)| model(k)).for_each(|(_, mac)| *mac = value.to_owned()),
        "model" => parts.iter_mut().filter(|(k, _)| model(k)).for_each(|(k, _)| *k = value.to_owned()),
        _ if head && parts.iter().all(|(k, _)| k != option) => {
            parts.retain(|(k, _)| !k.is_empty() && k != "size");
            parts.insert(0, (String::new(), value.to_owned()));
        }
        // PVE wants one of the two.
        "host" => parts = vec![(String::new(), value.to_owned())],
        _ => {
            parts.retain(|(k, _)| k != option);
            if value != "-" {
                parts.push((option.to_owned(), value.to_owned()));
            }
            // A gateway without an address of its kind is refused.
            if option.starts_with("gw6") && parts.iter().all(|(k, _)| k != "ip6") {
                parts.push(("ip6".to_owned(), "2001:db8::9/64".to_owned()));
            }
            if option == "ip" && value == "dhcp" {
                parts.retain(|(k, _)| k != "gw");
            }
        }
    }
    let text = |(key, value): &(String, String)| if key.is_empty() { value.clone() } else { format!("{key}={value}") };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

fn set_guest(world: &mut World, kind: &str, vmid: u32, field: &str, value: &str) -> Result<(), String> {
    let base = format!("/nodes/pve1/{kind}/{vmid}");
    let config = format!("{base}/config");
    match (field, value) {
        ("pool", "-") => {
            let gone = pairs(&[("poolid", "drift"), ("vms", &vmid.to_string()), ("delete", "1")]);
            return root(world, "PUT", "/pools", &gone).map(|_| ());
        }
        ("pool", other) => {
            root(world, "POST", "/pools", &pairs(&[("poolid", other)]))?;
            let moved = pairs(&[("poolid", other), ("vms", &vmid.to_string()), ("allow-move", "1")]);
            return root(world, "PUT", "/pools", &moved).map(|_| ());
        }
        ("power", "stopped") => return root(world, "POST", &format!("{base}/status/stop"), &[]).map(|_| ()),
        ("power", _) => return root(world, "POST", &format!("{base}/status/start"), &[]).map(|_| ()),
        ("scsi0.size" | "rootfs.size", size) => {
            let disk = field.split_once('.').unwrap().0;
            return root(world, "PUT", &format!("{base}/resize"), &pairs(&[("disk", disk), ("size", size)]))
                .map(|_| ());
        }
        ("rootfs.volume", volume) => {
            // There is no call that exchanges a root file system for a new one; a restore from a backup does it.
            let (storage, _) = volume.split_once(':').unwrap();
            let guest = world.guests.get_mut(&vmid).unwrap();
            let moved = guest.config["rootfs"].replace("local-zfs:", &format!("{storage}:"));
            guest.config.insert("rootfs".into(), moved);
            return Ok(());
        }
        _ => {}
    }
    let params = match field.split_once('.') {
        _ if value == "-" && !field.contains('.') => pairs(&[("delete", field)]),
        None => pairs(&[(field, value)]),
        Some((key, option)) => {
            let now = root(world, "GET", &config, &[])?[key].as_str().unwrap_or_default().to_owned();
            pairs(&[(key, &with_option(&now, option, value))])
        }
    };
    root(world, "PUT", &config, &params).map(|_| ())
}

const ALIAS: &str = "/cluster/firewall/aliases/infra_drift_plan";
const SET: &str = "/cluster/firewall/ipset/infra_drift_guests";

/// Changes a field behind our back.
pub fn change(world: &mut World, kind: &str, field: &str, value: &str) -> Result<(), String> {
    let put =
        |world: &mut World, path: &str, params: &[(&str, &str)]| root(world, "PUT", path, &pairs(params)).map(|_| ());
    let dataset = "rpool/containers/proj";
    let snippet = "/var/lib/vz/snippets/infra-drift-plan.yaml";
    let volume = "/nodes/pve1/storage/local/content/local:import/u-1.qcow2";
    let pci = "/cluster/mapping/pci/rtx4090";
    match (kind, field) {
        ("vm", _) => set_guest(world, "qemu", 100, field, value),
        ("ct", _) => set_guest(world, "lxc", 104, field, value),
        ("vm firewall" | "ct firewall", _) => {
            let path = if kind == "vm firewall" { "qemu/100" } else { "lxc/104" };
            let path = format!("/nodes/pve1/{path}/firewall/options");
            if value == "-" { put(world, &path, &[("delete", field)]) } else { put(world, &path, &[(field, value)]) }
        }
        ("vm rule" | "ct rule" | "group rule", _) => {
            let path = match kind {
                "vm rule" => "/nodes/pve1/qemu/100/firewall/rules/0",
                "ct rule" => "/nodes/pve1/lxc/104/firewall/rules/0",
                _ => "/cluster/firewall/groups/apart/0",
            };
            let text = if value == "-" { format!("delete={field}") } else { format!("{field}={value}") };
            let params: Vec<(&str, &str)> = text.split('&').filter_map(|pair| pair.split_once('=')).collect();
            // What goes together goes first: `icmp-type` needs its protocol.
            let (gone, set): (Vec<_>, Vec<_>) = params.into_iter().partition(|(key, _)| *key == "delete");
            if !gone.is_empty() {
                put(world, path, &gone)?;
            }
            if set.is_empty() { Ok(()) } else { put(world, path, &set) }
        }
        ("alias", "name") => root(world, "DELETE", ALIAS, &[]).map(|_| ()),
        ("alias", "comment") => put(world, ALIAS, &[("cidr", "10.0.0.10"), (field, value)]),
        ("alias", "rename") => {
            let comment = "plan (infra: drift)";
            put(world, ALIAS, &[("cidr", "10.0.0.10"), ("comment", comment), (field, value)])
        }
        ("alias", _) => put(world, ALIAS, &[("comment", "plan (infra: drift)"), (field, value)]),
        ("ipset", "name") => root(world, "DELETE", SET, &pairs(&[("force", "1")])).map(|_| ()),
        ("ipset", "rename") => {
            let params = pairs(&[("name", value), ("rename", "infra_drift_guests")]);
            root(world, "POST", "/cluster/firewall/ipset", &params).map(|_| ())
        }
        ("ipset", _) => {
            let params = pairs(&[("name", "infra_drift_guests"), ("rename", "infra_drift_guests"), (field, value)]);
            root(world, "POST", "/cluster/firewall/ipset", &params).map(|_| ())
        }
        ("ipset entry" | "vm ipset entry" | "ct ipset entry", _) => {
            let (set, entry) = match kind {
                "ipset entry" => (SET, "dc/infra_drift_plan"),
                "vm ipset entry" => ("/nodes/pve1/qemu/100/firewall/ipset/ipfilter-net0", "10.0.0.10"),
                _ => ("/nodes/pve1/lxc/104/firewall/ipset/ipfilter-net0", "10.0.0.20"),
            };
            let entry = format!("{set}/{}", entry.replace('/', "%2F"));
            match (field, value) {
                ("cidr", "-") => root(world, "DELETE", &entry, &[]).map(|_| ()),
                ("cidr", _) => root(world, "POST", set, &pairs(&[(field, value)])).map(|_| ()),
                _ => put(world, &entry, &[(field, value)]),
            }
        }
        ("group", "group") => {
            for _ in 0..3 {
                root(world, "DELETE", "/cluster/firewall/groups/apart/0", &[])?;
            }
            root(world, "DELETE", "/cluster/firewall/groups/apart", &[]).map(|_| ())
        }
        ("group", "rename") => {
            let params = pairs(&[("group", value), ("rename", "apart")]);
            root(world, "POST", "/cluster/firewall/groups", &params).map(|_| ())
        }
        ("group", _) => {
            let params = pairs(&[("group", "apart"), ("rename", "apart"), (field, value)]);
            root(world, "POST", "/cluster/firewall/groups", &params).map(|_| ())
        }
        ("pool", "vms") => put(world, "/pools", &[("poolid", "drift"), ("vms", value), ("delete", "1")]),
        ("pool", _) => put(world, "/pools", &[("poolid", "drift"), (field, value)]),
        ("mapping", "id") => root(world, "DELETE", pci, &[]).map(|_| ()),
        ("mapping", _) => {
            let map = root(world, "GET", pci, &[])?["map"][0].as_str().unwrap().to_owned();
            match field {
                "map" => put(world, pci, &[("map", value)]),
                "map.description" => put(world, pci, &[("map", &with_option(&map, "description", value))]),
                _ => put(world, pci, &[("map", &map), (field, value)]),
            }
        }
        ("image", "volume") => root(world, "DELETE", volume, &[]).map(|_| ()),
        ("image", _) => put(world, volume, &[(field, value)]),
        ("snippet", "content") => {
            let output = run_line(world, "pve1", &format!("dd of={snippet} status=none"), value.as_bytes());
            if output.code == 0 { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        }
        ("snippet", "mode") => shell(world, &format!("chmod {value} {snippet}")),
        ("snippet", "owner") => shell(world, &format!("chown {value} {snippet}")),
        ("snippet", "path") => shell(world, &format!("rm {snippet}")),
        ("dataset", "owner") => shell(world, &format!("chown {value} /{dataset}")),
        ("dataset", "mode") => shell(world, &format!("chmod {value} /{dataset}")),
        ("dataset", "mounted") => shell(world, &format!("zfs unmount {dataset}")),
        ("dataset", "name") => shell(world, &format!("zfs destroy {dataset}")),
        ("dataset", _) => shell(world, &format!("zfs set {field}={value} {dataset}")),
        _ => Err(format!("{kind} {field}: nobody knows how to change it")),
    }
}
