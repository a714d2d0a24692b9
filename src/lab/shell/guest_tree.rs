//! A guest's files as its programs see them: what was put there, the directories of every Debian, its devices.
//!
//! Owns what of a guest's tree is made up from the world. The tree itself is [`tree`](super::tree)'s, as a node's is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::lab::rules::reach;
use crate::lab::world::{Guest, World};

/// Directories that every Debian and Ubuntu has.
pub(super) const DIRECTORIES: [&str; 33] = [
    "/boot",
    "/dev",
    "/etc/apt/apt.conf.d",
    "/etc/apt/keyrings",
    "/etc/apt/sources.list.d",
    "/etc/cron.d",
    "/etc/default",
    "/etc/profile.d",
    "/etc/ssh/sshd_config.d",
    "/etc/sysctl.d",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/proc/self",
    "/root/.ssh",
    "/run/lock",
    "/run/systemd/system",
    "/srv",
    "/sys",
    "/tmp",
    "/usr/bin",
    "/usr/lib/systemd/system",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/share/keyrings",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// The guest that programs call by this name, where no node is called so.
pub(super) fn guest<'w>(world: &'w World, name: &str) -> Option<(u32, &'w Guest)> {
    if world.nodes.contains_key(name) {
        return None;
    }
    world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == name).map(|(vmid, guest)| (*vmid, guest))
}

/// The same, to be changed.
pub(super) fn guest_mut<'w>(world: &'w mut World, name: &str) -> Option<&'w mut Guest> {
    let (vmid, _) = guest(world, name)?;
    world.guests.get_mut(&vmid)
}

/// Files that follow from what the guest is.
pub(super) fn rendered(world: &World, name: &str, guest: &Guest) -> BTreeMap<String, Vec<u8>> {
    let shifted = guest.number("unprivileged", 0) == 1;
    let (outside, count) = if shifted { (100_000, 65_536) } else { (0, u32::MAX) };
    let mut arp = String::from("IP address       HW type     Flags       HW address            Mask     Device\n");
    for address in neighbours(world, name, guest) {
        arp.push_str(&format!("{address:<16} 0x1         0x2         bc:24:11:00:00:01     *        eth0\n"));
    }
    let six = match reach::link_local(guest) {
        Some(IpAddr::V6(own)) => format!("{:032x} 02 40 20 80     eth0\n", u128::from(own)),
        _ => String::new(),
    };
    let release = crate::lab::guest_packages::os_release(guest);
    let mut listeners = String::from(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n",
    );
    let vmid = world.guests.iter().find(|(vmid, own)| own.name(**vmid) == name).map_or(0, |(vmid, _)| *vmid);
    let containers = guest.docker.iter().flat_map(|docker| docker.containers.values());
    let published: std::collections::BTreeSet<u16> =
        containers.flat_map(|one| one.ports.iter().map(|port| port.here)).collect();
    let published = published.iter().filter(|port| crate::lab::docker::network::listens(world, vmid, guest, **port));
    for port in guest.listeners.keys().filter(|port| guest.listens(**port, world.now_ms)).chain(published) {
        listeners.push_str(&format!(
            "   1: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        ));
    }
    [
        ("/etc/ssh/ssh_host_ed25519_key.pub", host_key(name)),
        ("/etc/hostname", format!("{name}\n")),
        ("/etc/os-release", release.to_owned()),
        ("/proc/self/uid_map", format!("{:>10} {outside:>10} {count:>10}\n", 0)),
        ("/proc/net/tcp", listeners),
        ("/proc/net/arp", arp),
        ("/proc/net/if_inet6", six),
    ]
    .into_iter()
    .chain(crate::lab::guest_gpu::proc_version(world, vmid).map(|text| ("/proc/driver/nvidia/version", text)))
    .map(|(path, text)| (path.to_owned(), text.into_bytes()))
    .collect()
}

/// What sshd makes at the first boot; nobody has the private part of it.
fn host_key(name: &str) -> String {
    let mut key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    key.extend(Sha256::digest(name.as_bytes()));
    format!("ssh-ed25519 {} root@{name}\n", base64::engine::general_purpose::STANDARD.encode(key))
}

/// Whether a path is a device in the guest: what every system has, and what its configuration passes on (`devN`).
pub(super) fn is_device(guest: &Guest, path: &str) -> bool {
    let passed = guest.config.iter().filter(|(key, _)| {
        key.strip_prefix("dev").is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    });
    let mut passed = passed.map(|(_, value)| value.split(',').next().unwrap_or_default());
    let everywhere = ["/dev/null", "/dev/zero", "/dev/stdin", "/dev/urandom", "/dev/random", "/dev/tty"];
    let vm = guest.kind == crate::lab::world::GuestKind::Qemu && path == "/dev/net/tun";
    everywhere.contains(&path) || vm || passed.any(|given| given.strip_prefix("path=").unwrap_or(given) == path)
}

/// Who else is up on a guest's node; a kernel knows those that it asked for lately.
fn neighbours(world: &World, name: &str, own: &Guest) -> Vec<IpAddr> {
    let others = world.guests.iter().filter(|(vmid, other)| other.name(**vmid) != name && other.node == own.node);
    let up = others.filter(|(_, other)| other.has_booted(world.now_ms));
    up.filter_map(|(_, other)| reach::address(other)).chain(gateway(own)).collect()
}

/// Its way out: whatever it looked up or loaded down, it asked for that one's address first.
fn gateway(guest: &Guest) -> Option<IpAddr> {
    let settings = ["net0", "ipconfig0"].into_iter().filter_map(|key| guest.config.get(key));
    settings.flat_map(|value| value.split(',')).find_map(|part| part.strip_prefix("gw=")?.parse().ok())
}
