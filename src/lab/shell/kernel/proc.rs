//! `/proc`.

use std::fmt::Write as _;

use super::{Entry, View, modules};
use crate::lab::rules::guest_memory;
use crate::lab::shell::tree::{held_locks, inode};

/// Kernel settings that every host has, by dotted name.
const SETTINGS: &[(&str, &str)] = &[
    ("fs.inotify.max_user_instances", "128"),
    ("fs.inotify.max_user_watches", "65536"),
    ("kernel.keys.maxkeys", "200"),
    ("kernel.ostype", "Linux"),
    ("net.bridge.bridge-nf-call-iptables", "1"),
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.ip_unprivileged_port_start", "1024"),
    ("net.ipv6.conf.all.forwarding", "0"),
    ("vm.max_map_count", "1048576"),
    ("vm.nr_hugepages", "0"),
    ("vm.overcommit_memory", "0"),
    ("vm.swappiness", "60"),
];

/// What a path below `/proc` names.
pub(super) fn entry(view: View<'_>, path: &[&str]) -> Option<Entry> {
    let running = &view.node.machine.running;
    let seconds = (view.world.now_ms - view.node.booted_ms).max(0) / 1000;
    match path {
        [] => Entry::directory([
            "cmdline",
            "cpuinfo",
            "interrupts",
            "iomem",
            "loadavg",
            "locks",
            "meminfo",
            "modules",
            "mounts",
            "self",
            "spl",
            "stat",
            "sys",
            "uptime",
            "version",
        ]),
        ["cmdline"] => Entry::line(&running.command_line),
        ["cpuinfo"] => Entry::file(cpuinfo(view)),
        ["interrupts"] => Entry::file(interrupts(view)),
        ["iomem"] => Entry::file(iomem(view)),
        ["locks"] => Entry::file(locks(view)),
        ["loadavg"] => Entry::line("0.10 0.10 0.10 1/512 4242"),
        ["meminfo"] => Entry::file(meminfo(view)),
        ["modules"] => Entry::file(modules::proc(view)),
        ["stat"] => {
            Entry::file(format!("cpu  0 0 0 0 0 0 0 0 0 0\nbtime {}\nprocesses 4242\n", view.node.booted_ms / 1000))
        }
        ["driver", "nvidia", "version"] if view.node.machine.running.modules.contains_key("nvidia") => Entry::file(
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025\nGCC version:  gcc version 14.2.0 (Debian 14.2.0-19)\n",
        ),
        ["self"] => Entry::directory(["mounts"]),
        ["self", "mounts"] => Entry::file(mounts_file(view)),
        ["uptime"] => Entry::line(format!("{seconds}.00 {}.00", seconds * i64::from(view.node.cpus))),
        ["version"] => Entry::line(format!(
            "Linux version {} ({}) {}",
            running.kernel, "build@proxmox", view.node.system.kernel_version
        )),
        ["spl"] if has_zfs(view) => Entry::directory(["kstat"]),
        ["spl", "kstat"] if has_zfs(view) => Entry::directory(["zfs"]),
        ["spl", "kstat", "zfs"] if has_zfs(view) => Entry::directory(["arcstats"]),
        ["spl", "kstat", "zfs", "arcstats"] if has_zfs(view) => Entry::file(arcstats(view)),
        ["sys", "kernel", "random", "boot_id"] => Entry::line(&running.boot_id),
        ["sys", "kernel", "osrelease"] => Entry::line(&running.kernel),
        ["sys", "kernel", "hostname"] => Entry::line(view.name),
        ["sys", name @ ..] if !name.is_empty() => Entry::line(setting(view, &name.join("."))?),
        _ => None,
    }
}

fn locks(view: View<'_>) -> String {
    let held = held_locks(view.world, view.name).into_iter().enumerate();
    let line = |(number, (_, path, pid)): (usize, (u32, String, u32))| {
        format!("{}: FLOCK  ADVISORY  WRITE {pid} 00:1a:{} 0 EOF\n", number + 1, inode(&path))
    };
    held.map(line).collect()
}

fn has_zfs(view: View<'_>) -> bool {
    view.node.machine.running.modules.contains_key("zfs")
}

/// A kernel setting by its dotted name.
fn setting(view: View<'_>, name: &str) -> Option<String> {
    let own = view.node.machine.sysctls.get(name).cloned();
    own.or_else(|| SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn cpuinfo(view: View<'_>) -> String {
    let (node, system) = (view.node, &view.node.system);
    let mut out = String::new();
    for number in 0..node.cpus.min(1024) {
        let _ = write!(
            out,
            "processor\t: {number}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: 97\nmodel name\t: {}\ncpu MHz\t\t: {}\n\
             cache size\t: 1024 KB\nphysical id\t: 0\ncore id\t\t: {number}\nflags\t\t: {}\n\n",
            system.cpu_vendor, system.cpu_family, node.cpu_model, system.mhz, system.cpu_flags
        );
    }
    out
}

/// Two lines of it: controllers that remap are called so.
fn interrupts(view: View<'_>) -> String {
    let remaps = if view.node.machine.running.interrupt_remapping { "IR-" } else { "" };
    format!(
        "            CPU0\n   0:         41  {remaps}IO-APIC    2-edge      timer\n  25:          0  \
         {remaps}PCI-MSI-0000:00:01.0    0-edge      PCIe PME\n"
    )
}

fn iomem(view: View<'_>) -> String {
    let mut out = String::from("00000000-00000fff : Reserved\n00001000-0009ffff : System RAM\n");
    for line in &view.node.machine.iomem {
        let _ = writeln!(out, "{line}");
    }
    out.push_str("100000000-103fffffff : System RAM\n");
    out
}

/// Bytes that ZFS's cache holds: what it may, up to half of the memory.
fn arc(view: View<'_>) -> (u64, u64) {
    let limit = modules::arc_limit(view).unwrap_or(view.node.memory / 2);
    (limit.min(1 << 30), limit)
}

fn meminfo(view: View<'_>) -> String {
    let total = view.node.memory;
    let guests = guest_memory(view.world, view.name);
    let cache = if has_zfs(view) { arc(view).0 } else { 0 };
    let used = ((2u64 << 30) + guests + cache).min(total);
    let kib = |bytes: u64| bytes / 1024;
    let mut out = String::new();
    for (name, bytes) in
        [("MemTotal", total), ("MemFree", total - used), ("MemAvailable", total - used), ("Buffers", 0), ("Cached", 0)]
    {
        let _ = writeln!(out, "{:<15} {:>8} kB", format!("{name}:"), kib(bytes));
    }
    out.push_str("SwapTotal:             0 kB\nSwapFree:              0 kB\n");
    out.push_str("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    out
}

fn arcstats(view: View<'_>) -> String {
    let (size, limit) = arc(view);
    let least = (view.node.memory / 32).min(limit);
    let rows = [
        ("hits", 4_812_345),
        ("misses", 123_456),
        ("p", limit / 2),
        ("c", limit),
        ("c_min", least),
        ("c_max", limit),
        ("size", size),
    ];
    let mut out =
        String::from("9 1 0x01 147 39984 4186540352 3600123456789\nname                            type data\n");
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<31} 4    {value}");
    }
    out
}

/// Source, mount point, type, options of what is mounted.
pub(in crate::lab::shell) fn mounts(world: &crate::lab::world::World, node: &str) -> Vec<[String; 4]> {
    super::view(world, node).map(table).unwrap_or_default()
}

fn table(view: View<'_>) -> Vec<[String; 4]> {
    let row =
        |source: &str, target: &str, kind: &str, options: &str| [source, target, kind, options].map(str::to_owned);
    let mut all = vec![
        row("sysfs", "/sys", "sysfs", "rw,nosuid,nodev,noexec,relatime"),
        row("proc", "/proc", "proc", "rw,relatime"),
        row("udev", "/dev", "devtmpfs", "rw,nosuid,relatime,size=32768000k,nr_inodes=8192000,mode=755,inode64"),
    ];
    match view.node.machine.boot.root.strip_prefix("ZFS=") {
        Some(dataset) => all.push(row(dataset, "/", "zfs", "rw,relatime,xattr,posixacl,casesensitive")),
        None => all.push(row("/dev/mapper/pve-root", "/", "ext4", "rw,relatime,errors=remount-ro")),
    }
    if !view.node.system.legacy_bios {
        all.push(row("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", "rw,nosuid,nodev,noexec,relatime"));
        if !view.node.machine.boot.by_tool {
            all.push(row("/dev/nvme0n1p2", "/boot/efi", "vfat", "rw,relatime,fmask=0022,dmask=0022,codepage=437"));
        }
    }
    for (name, dataset) in view.node.zfs.datasets.iter().filter(|(_, dataset)| dataset.mounted) {
        let _ = dataset;
        if let Some(target) = view.node.zfs.get(name, "mountpoint").filter(|target| target.starts_with('/')) {
            all.push([name.clone(), target, "zfs".to_owned(), "rw,relatime,xattr,noacl,casesensitive".to_owned()]);
        }
    }
    all.push(row(
        "/dev/fuse",
        "/etc/pve",
        "fuse",
        "rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other",
    ));
    all
}

fn mounts_file(view: View<'_>) -> String {
    table(view)
        .iter()
        .map(|[source, target, kind, options]| format!("{source} {target} {kind} {options} 0 0\n"))
        .collect()
}
