//! What PVE puts on a VM's cloud-init image, as texts.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use super::addresses::mac;
use crate::lab::world::property::Properties;
use crate::lab::world::{Guest, World, conf};

/// Which of an image's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Users, keys, names.
    User,
    /// Addresses and name servers.
    Network,
    /// The id of this instance.
    Meta,
}

/// One of an image's files as PVE would write it, custom files aside.
#[must_use]
pub fn dump(world: &World, vmid: u32, guest: &Guest, file: File) -> String {
    let no_cloud = no_cloud(guest);
    let network = || if no_cloud { network_1(world, guest) } else { network_eni(world, guest) };
    match file {
        File::User => user(vmid, guest),
        File::Network => network(),
        File::Meta => {
            let id = conf::hex(&Sha1::digest(format!("{}{}", user(vmid, guest), network())));
            if no_cloud {
                format!("instance-id: {id}\n")
            } else {
                format!(
                    "{{\n     \"uuid\": \"{id}\",\n     \"network_config\": {{ \"content_path\": \"/content/0000\" }}\n}}\n"
                )
            }
        }
    }
}

fn get<'a>(guest: &'a Guest, key: &str) -> Option<&'a str> {
    guest.config.get(key).map(String::as_str)
}

/// Windows takes another kind of image, everything else the NoCloud one, unless it is said.
fn no_cloud(guest: &Guest) -> bool {
    let windows = get(guest, "ostype").is_some_and(|os| os.starts_with('w'));
    match get(guest, "citype") {
        Some(kind) => kind == "nocloud",
        None => !windows,
    }
}

fn user(vmid: u32, guest: &Guest) -> String {
    let name = get(guest, "name").map_or_else(|| format!("VM{vmid}"), str::to_owned);
    let (host, full) = match (name.split_once('.'), get(guest, "searchdomain")) {
        (Some((host, _)), _) => (host.to_owned(), name.clone()),
        (None, Some(domain)) => (name.clone(), format!("{name}.{domain}")),
        (None, None) => (name.clone(), name.clone()),
    };
    let mut out = format!("#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\nfqdn: {full}\n");
    let user = get(guest, "ciuser");
    if let Some(user) = user {
        let _ = writeln!(out, "user: {user}");
    }
    if user == Some("root") {
        out.push_str("disable_root: False\n");
    }
    if let Some(password) = get(guest, "cipassword") {
        let _ = writeln!(out, "password: {password}");
    }
    if let Some(keys) = get(guest, "sshkeys") {
        out.push_str("ssh_authorized_keys:\n");
        let keys = percent_encoding::percent_decode_str(keys).decode_utf8_lossy();
        for key in keys.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(out, "  - {key}");
        }
    }
    out.push_str("chpasswd:\n  expire: False\n");
    if user != Some("root") {
        out.push_str("users:\n  - default\n");
    }
    if get(guest, "ciupgrade") != Some("0") {
        out.push_str("package_upgrade: true\n");
    }
    out
}

/// NICs that have an `ipconfigN`, by number.
fn interfaces(guest: &Guest) -> Vec<(u32, String, Properties)> {
    (0..32).filter_map(|n| Some((n, mac(guest, n)?, Properties::parse(get(guest, &format!("ipconfig{n}"))?)))).collect()
}

/// Search domains and name servers: the guest's, else those of its host.
fn dns(world: &World, guest: &Guest) -> (Vec<String>, Vec<String>) {
    let file = world.nodes.get(&guest.node).and_then(|node| node.files.get("/etc/resolv.conf"));
    let host = file.map(|file| String::from_utf8_lossy(&file.content).into_owned()).unwrap_or_default();
    let of_host = |word: &str| -> Vec<String> {
        let lines = host.lines().filter_map(|line| line.trim().strip_prefix(word));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let own = |key: &str| get(guest, key).map(|text| text.split_whitespace().map(str::to_owned).collect());
    (
        own("searchdomain").unwrap_or_else(|| of_host("search ")),
        own("nameserver").unwrap_or_else(|| of_host("nameserver ")),
    )
}

fn netmask(prefix: &str) -> String {
    let prefix: u32 = prefix.parse().unwrap_or_default();
    let bits = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
    std::net::Ipv4Addr::from(bits).to_string()
}

fn network_1(world: &World, guest: &Guest) -> String {
    let mut out = "version: 1\nconfig:\n".to_owned();
    for (number, mac, ip) in interfaces(guest) {
        let _ =
            write!(out, "    - type: physical\n      name: eth{number}\n      mac_address: '{mac}'\n      subnets:\n");
        match ip.get("ip").map(|ip| (ip, ip.split_once('/'))) {
            Some(("dhcp", _)) => out.push_str("      - type: dhcp4\n"),
            Some((_, Some((address, prefix)))) => {
                let mask = netmask(prefix);
                let _ = write!(out, "      - type: static\n        address: '{address}'\n        netmask: '{mask}'\n");
                if let Some(gateway) = ip.get("gw") {
                    let _ = writeln!(out, "        gateway: '{gateway}'");
                }
            }
            _ => {}
        }
        match ip.get("ip6") {
            Some("dhcp") => out.push_str("      - type: dhcp6\n"),
            Some("auto") => out.push_str("      - type: ipv6_slaac\n"),
            Some(address) => {
                let _ = write!(out, "      - type: static6\n        address: '{address}'\n");
                if let Some(gateway) = ip.get("gw6") {
                    let _ = writeln!(out, "        gateway: '{gateway}'");
                }
            }
            None => {}
        }
    }
    let (search, servers) = dns(world, guest);
    out.push_str("    - type: nameserver\n");
    for (head, list) in [("address", servers), ("search", search)] {
        if !list.is_empty() {
            let _ = writeln!(out, "      {head}:");
        }
        for entry in list {
            let _ = writeln!(out, "      - '{entry}'");
        }
    }
    out
}

fn network_eni(world: &World, guest: &Guest) -> String {
    let mut out = "auto lo\niface lo inet loopback\n\n".to_owned();
    let (search, servers) = dns(world, guest);
    for (word, list) in [("dns_nameservers", servers), ("dns_search", search)] {
        if !list.is_empty() {
            let _ = writeln!(out, "        {word} {}", list.join(" "));
        }
    }
    for (number, _, ip) in interfaces(guest) {
        let _ = writeln!(out, "auto eth{number}");
        for (key, family, gateway) in [("ip", "inet", "gw"), ("ip6", "inet6", "gw6")] {
            match ip.get(key).map(|ip| (ip, ip.split_once('/'))) {
                Some((word @ ("dhcp" | "auto"), _)) => {
                    let _ = writeln!(out, "iface eth{number} {family} {word}");
                }
                Some((_, Some((address, prefix)))) => {
                    let mask = if key == "ip" { netmask(prefix) } else { prefix.to_owned() };
                    let _ = write!(
                        out,
                        "iface eth{number} {family} static\n        address {address}\n        netmask {mask}\n"
                    );
                    if let Some(gateway) = ip.get(gateway) {
                        let _ = writeln!(out, "        gateway {gateway}");
                    }
                }
                _ => {}
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::world::GuestKind;

    fn guest(pairs: &[(&str, &str)]) -> Guest {
        let config = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Guest::new(GuestKind::Qemu, "pve1", config)
    }

    #[test]
    fn user_data_names_the_host_the_user_and_the_keys() {
        let guest =
            guest(&[("name", "web"), ("searchdomain", "rig.test"), ("ciuser", "root"), ("sshkeys", "a%20b%0A")]);
        let text = dump(&World::default(), 100, &guest, File::User);
        assert_eq!(
            text,
            "#cloud-config\nhostname: web\nmanage_etc_hosts: true\nfqdn: web.rig.test\nuser: root\ndisable_root: False\n\
             ssh_authorized_keys:\n  - a b\nchpasswd:\n  expire: False\npackage_upgrade: true\n"
        );
    }

    #[test]
    fn windows_gets_a_config_drive() {
        let pairs =
            [("ostype", "win11"), ("net0", "virtio=BC:24:11:00:00:01"), ("ipconfig0", "ip=192.0.2.5/24,gw=192.0.2.1")];
        let text = dump(&World::default(), 100, &guest(&pairs), File::Network);
        assert!(text.ends_with(
            "auto eth0\niface eth0 inet static\n        address 192.0.2.5\n        netmask 255.255.255.0\n        \
             gateway 192.0.2.1\n"
        ));
    }

    #[test]
    fn what_changes_an_instance_changes_its_id() {
        let meta = |name: &str| dump(&World::default(), 100, &guest(&[("name", name)]), File::Meta);
        assert_ne!(meta("a"), meta("b"));
        assert!(meta("a").starts_with("instance-id: "));
    }
}
