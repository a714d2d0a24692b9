//! Docker in containers of Proxmox: what the host's side keeps from working.
//!
//! Facts: pve-container `LXC.pm`, lxc-pve's changelog (bug 7006), runc #4968, moby #28847, tteck #875. A container without
//! `keyctl` is no rule: runc goes on where the call does not exist (`standard_init_linux.go`, since 1.0).

use crate::lab::world::{Guest, GuestKind, World, property::Properties};

/// Whether the guest is a container of Proxmox.
fn container(world: &World, vmid: u32) -> Option<&Guest> {
    world.guests.get(&vmid).filter(|guest| guest.kind == GuestKind::Lxc)
}

fn has_nesting(guest: &Guest) -> bool {
    guest.config.get("features").is_some_and(|features| Properties::parse(features).is_on("nesting"))
}

/// A version of a package of its host.
fn package<'w>(world: &'w World, guest: &Guest, name: &str) -> Option<&'w str> {
    world.nodes.get(&guest.node)?.machine.packages.get(name).map(String::as_str)
}

/// The numbers of a version, of which the first ones decide.
pub(in crate::lab) fn numbers(version: &str) -> Vec<u32> {
    let version = version.rsplit(':').next().unwrap_or(version);
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.take_while(|part| !part.is_empty()).filter_map(|part| part.parse().ok()).collect()
}

/// Why runc starts no container at all here.
///
/// # Errors
/// What the engine answers.
pub(super) fn refused(world: &World, vmid: u32) -> Result<(), String> {
    let Some(guest) = container(world, vmid) else { return Ok(()) };
    let runc = |why: &str| {
        Err(format!(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: {why}: unknown"
        ))
    };
    let unconfined = guest.config.get("lxc.apparmor.profile").is_some_and(|profile| profile == "unconfined");
    // A profile set by hand takes nesting's rules away, but one that is none forbids nothing.
    if !has_nesting(guest) && !unconfined {
        return runc(
            "error mounting \"proc\" to rootfs at \"/proc\": mount src=proc, dst=/proc, dstFd=/proc/thread-self/fd/8, flags=MS_NOSUID|MS_NODEV|MS_NOEXEC: permission denied",
        );
    }
    let hardened = guest.docker.as_ref().is_some_and(|docker| numbers(&docker.runc) >= vec![1, 3, 3]);
    let old = package(world, guest, "lxc-pve").is_some_and(|version| numbers(version) < vec![6, 0, 5, 2]);
    if hardened && old && !unconfined {
        return runc("open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied");
    }
    Ok(())
}

/// Whether the guest's root is on a ZFS that overlay file systems do not work on (before 2.2).
fn on_old_zfs(world: &World, guest: &Guest) -> bool {
    let on_zfs =
        guest.config.get("rootfs").is_some_and(|rootfs| rootfs.contains(":subvol-") || rootfs.contains(":basevol-"));
    on_zfs && package(world, guest, "zfsutils-linux").is_some_and(|version| numbers(version) < vec![2, 2])
}

/// The storage driver that the engine chooses by itself.
pub(super) fn default_driver(world: &World, vmid: u32) -> &'static str {
    match container(world, vmid) {
        Some(guest) if on_old_zfs(world, guest) => "vfs",
        _ => "overlay2",
    }
}

/// Whether a storage driver that was asked for works here.
///
/// # Errors
/// What the daemon ends with.
pub(super) fn driver(world: &World, vmid: u32, driver: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("failed to start daemon: error initializing graphdriver: {why}: {driver}"));
    match (driver, container(world, vmid)) {
        // Datasets are the host's to make.
        ("zfs", _) => fail("prerequisites for driver not satisfied (wrong filesystem?)"),
        ("overlay2", Some(guest)) if on_old_zfs(world, guest) => fail("driver not supported"),
        ("overlay2" | "vfs", _) => Ok(()),
        ("fuse-overlayfs", Some(guest)) if has_fuse(guest) => Ok(()),
        ("fuse-overlayfs", Some(_)) => fail("driver not supported"),
        ("fuse-overlayfs" | "btrfs", _) => fail("prerequisites for driver not satisfied (wrong filesystem?)"),
        _ => fail("unknown graphdriver"),
    }
}

fn has_fuse(guest: &Guest) -> bool {
    guest.config.get("features").is_some_and(|features| Properties::parse(features).is_on("fuse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_their_numbers() {
        assert_eq!(numbers("6.0.5-3"), [6, 0, 5, 3]);
        assert_eq!(numbers("1.3.3-0ubuntu1"), [1, 3, 3, 0]);
        assert_eq!(numbers("5:28.5.1-1~debian.12"), [28, 5, 1, 1]);
        assert!(numbers("6.0.0-1") < numbers("6.0.5-2"));
    }
}
