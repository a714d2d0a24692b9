//! Hosts that are started anew: when the old system stops answering, and what the new one comes up with.
//!
//! Owns the way from `reboot` to the next login: for a while the *old* system still answers, then nobody does,
//! then another boot id does. How long that takes is a host's usual time at the world's pace. Entry: [`reboot`],
//! [`advance`].

use super::rules::{self, Request, answer_as_at};
use super::world::machine::{Reboot, boot};
use super::world::{Caller, World};

/// How long guests and services take to stop, in milliseconds.
const STOPPING_MS: i64 = 15_000;
/// How long nobody answers, in milliseconds.
const DOWN_MS: i64 = 75_000;

/// Asks a node to start anew; one that is about to is left alone.
pub fn reboot(world: &mut World, node: &str) {
    let (now, pace) = (world.now_ms, i64::from(world.pace));
    let Some(host) = world.nodes.get_mut(node).filter(|host| host.machine.reboot.is_none()) else { return };
    let stops_ms = now + STOPPING_MS * pace / 100;
    host.machine.reboot = Some(Reboot { stops_ms, up_ms: stops_ms + DOWN_MS * pace / 100 });
}

/// Does what was due by now; whether there was anything.
pub fn advance(world: &mut World) -> bool {
    let mut any = false;
    let due: Vec<(String, Reboot)> = world
        .nodes
        .iter()
        .filter_map(|(name, node)| Some((name.clone(), node.machine.reboot?)))
        .filter(|(_, reboot)| reboot.stops_ms <= world.now_ms)
        .collect();
    for (name, reboot) in due {
        if world.nodes.get(&name).is_some_and(|node| node.online) {
            rules::lose_node(world, &name);
            any = true;
        }
        let stuck = world.nodes.get(&name).is_some_and(|node| node.machine.firmware.stuck);
        if reboot.up_ms <= world.now_ms && !stuck {
            start(world, &name);
            any = true;
        }
    }
    any
}

/// Starts a node that is off: what was set in memory is gone, what is enabled begins anew.
pub fn start(world: &mut World, node: &str) {
    let now = world.now_ms;
    let Some(host) = world.nodes.get_mut(node) else { return };
    host.machine.reboot = None;
    host.machine.sysctls = host
        .files
        .iter()
        .filter(|(path, _)| {
            *path == "/etc/sysctl.conf" || path.starts_with("/etc/sysctl.d/") && path.ends_with(".conf")
        })
        .flat_map(|(_, file)| settings(&String::from_utf8_lossy(&file.content)))
        .collect();
    if host.machine.is_installed() {
        boot(host, now);
    }
    rules::regain_node(world, node);
    let onboot: Vec<(u32, &'static str)> = world
        .guests
        .iter()
        .filter(|(_, guest)| guest.node == node && guest.config.get("onboot").is_some_and(|on| on == "1"))
        .map(|(vmid, guest)| (*vmid, guest.kind.as_str()))
        .collect();
    for (vmid, kind) in onboot {
        let path = format!("/nodes/{node}/{kind}/{vmid}/status/start");
        let request = Request { method: "POST".to_owned(), path, ..Request::default() };
        // One that does not start stays down, as `startall` leaves it.
        let _ = answer_as_at(world, Some(node), &Caller::root_pam(), &request);
    }
}

/// `key = value` lines.
fn settings(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().trim_start_matches('-').replace('/', "."), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Scenario;
    use crate::lab::shell::run_line;

    fn world(pace: u32) -> World {
        let scenario = Scenario { pace, ..Scenario::example() };
        scenario.world(&scenario.sites[0], "s", jiff::Timestamp::from_second(1_795_254_000).unwrap()).unwrap()
    }

    fn said(world: &mut World, line: &str) -> String {
        String::from_utf8(run_line(world, "pve1", line, b"").stdout).unwrap()
    }

    #[test]
    fn the_old_system_answers_for_a_while_then_nobody_then_the_new_one() {
        let mut world = world(100);
        let before = said(&mut world, "cat /proc/sys/kernel/random/boot_id");
        assert_eq!(run_line(&mut world, "pve1", "systemctl reboot", b"").code, 0);
        world.now_ms += 5_000;
        advance(&mut world);
        assert_eq!(said(&mut world, "cat /proc/sys/kernel/random/boot_id"), before);
        world.now_ms += 15_000;
        advance(&mut world);
        assert!(!world.nodes["pve1"].online);
        world.now_ms += 75_000;
        advance(&mut world);
        assert!(world.nodes["pve1"].online);
        assert_ne!(said(&mut world, "cat /proc/sys/kernel/random/boot_id"), before);
    }

    #[test]
    fn a_host_that_hangs_in_its_firmware_does_not_come_back() {
        let mut world = world(0);
        world.nodes.get_mut("pve1").unwrap().machine.firmware.stuck = true;
        reboot(&mut world, "pve1");
        for _ in 0..3 {
            world.now_ms += 3_600_000;
            advance(&mut world);
            assert!(!world.nodes["pve1"].online);
        }
    }

    #[test]
    fn what_stands_in_etc_counts_after_a_refresh_and_a_boot() {
        let mut world = world(0);
        let reboot_now = |world: &mut World| {
            reboot(world, "pve1");
            world.now_ms += 1000;
            advance(world);
        };
        run_line(
            &mut world,
            "pve1",
            "echo 'root=ZFS=rpool/ROOT/pve-1 boot=zfs amd_iommu=off' > /etc/kernel/cmdline",
            b"",
        );
        reboot_now(&mut world);
        assert_eq!(said(&mut world, "ls -A /sys/class/iommu"), "ivhd0\n");
        run_line(&mut world, "pve1", "proxmox-boot-tool refresh", b"");
        reboot_now(&mut world);
        assert_eq!(said(&mut world, "ls -A /sys/class/iommu"), "");
        assert!(said(&mut world, "cat /proc/cmdline").contains("amd_iommu=off"));

        let driver = "readlink /sys/bus/pci/devices/0000:01:00.0/driver";
        run_line(&mut world, "pve1", "echo 'root=ZFS=rpool/ROOT/pve-1 boot=zfs' > /etc/kernel/cmdline", b"");
        run_line(&mut world, "pve1", "proxmox-boot-tool refresh", b"");
        run_line(&mut world, "pve1", "rm /etc/modprobe.d/vfio.conf", b"");
        reboot_now(&mut world);
        assert!(said(&mut world, driver).ends_with("/vfio-pci\n"), "the image is the old one");
        run_line(&mut world, "pve1", "update-initramfs -u -k all", b"");
        reboot_now(&mut world);
        assert!(said(&mut world, driver).ends_with("/nouveau\n"));
    }
}
